//! The promised requests, with their real replies, each compared with what is true.

use crate::console;
use crate::control::Truth;
use crate::error::DemoError;
use crate::house::{TENANT, View};
use crate::redis_cli;
use launcher::api_client::{ApiClient, Reply};
use launcher::binaries::Program;
use reqwest::Client;
use serde_json::Value;

/// The warehouse the tour shows, if it is there.
const USUAL_WAREHOUSE: &str = "24";

/// How many pieces D365 sells between the two questions.
const SOLD: i64 = 3;

/// Enough to sell some and still have some.
const LEAST_STOCK: i64 = 10;

/// Asks, sells, asks again.
pub(crate) async fn walk(view: &View) -> Result<(), DemoError> {
    let api = ApiClient::new(&view.api_url).map_err(failed)?;
    let stop = choose_stop(view).await?;
    let before = stop.available;
    let after = before - SOLD;

    console::headline("A FAST question: what can I show? Answered from Redis");
    let fast = stop.ask(view, &api, "FAST").await?;
    stop.check("the FAST reply", &fast, before, "CACHE")?;

    console::headline("Meanwhile, in D365");
    view.control
        .set_on_hand(&stop.row, &stop.warehouse, stop.on_hand - SOLD)
        .await?;
    console::say(&format!(
        "{SOLD} pieces of {} leave warehouse {}: {before} -> {after}. Nobody tells the cache.",
        stop.row.item, stop.warehouse
    ));

    console::headline("An EXACT question: may I accept this order? Answered by D365, now");
    let exact = stop.ask(view, &api, "EXACT").await?;
    stop.check("the EXACT reply", &exact, after, "LIVE")?;

    console::headline("The FAST question again: the live answer was written through");
    let again = stop.ask(view, &api, "FAST").await?;
    stop.check("the second FAST reply", &again, after, "CACHE")?;
    let live_as_of = stop.as_of(&exact)?;
    promise(
        "the second FAST reply is as old as the live answer",
        &live_as_of,
        &stop.as_of(&again)?,
        |got| *got == live_as_of,
    )?;

    console::headline("What Redis holds");
    show_redis(view, &stop, after, &live_as_of).await?;

    console::headline("Why is it told so?");
    let worker = Program::PrefetchWorker.path()?;
    let here = std::env::current_dir().unwrap_or_default();
    console::say(&format!(
        "{} explain --config {} {}",
        worker.strip_prefix(here).unwrap_or(&worker).display(),
        view.config.display(),
        stop.row.item
    ));

    console::headline("For a browser");
    check_page(&view.api_url, "/inventory/api", "inventory-api").await?;
    check_page(
        &view.worker_url,
        "/inventoryPrefetcher/api",
        "prefetch-worker",
    )
    .await?;
    console::say(&format!(
        "prefetch-worker   {}/inventoryPrefetcher/v1/status",
        view.worker_url
    ));
    Ok(())
}

/// What the tour looks at: one SKU in one warehouse.
struct Stop {
    warehouse: String,
    row: Truth,
    available: i64,
    on_hand: i64,
}

/// The first item of the warehouse with one row, a plain number, and enough of it.
async fn choose_stop(view: &View) -> Result<Stop, DemoError> {
    let usual = view
        .warehouses
        .iter()
        .find(|found| found.id == USUAL_WAREHOUSE);
    let warehouse = usual
        .or(view.warehouses.first())
        .map(|found| found.id.clone())
        .unwrap_or_default();
    let rows = view.control.truth(&warehouse).await?;
    let mut items: Vec<&str> = rows.iter().map(|row| row.item.as_str()).collect();
    items.sort_unstable();
    let is_alone = |item: &str| {
        let from = items.partition_point(|other| *other < item);
        items.get(from + 1).is_none_or(|next| *next != item)
    };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    rows.iter()
        .filter(|row| plain(&row.item) && is_alone(&row.item))
        .find_map(|row| {
            let (available, on_hand) = (row.available.parse().ok()?, row.on_hand.parse().ok()?);
            (available >= LEAST_STOCK && on_hand >= LEAST_STOCK).then(|| Stop {
                warehouse: warehouse.clone(),
                row: row.clone(),
                available,
                on_hand,
            })
        })
        .ok_or(DemoError::NothingToShow { warehouse })
}

impl Stop {
    /// Asks as the shown command does, and shows the reply as it came.
    async fn ask(&self, view: &View, api: &ApiClient, severity: &str) -> Result<Reply, DemoError> {
        let sku = [self.row.item.as_str()];
        let reply = match severity {
            "EXACT" => api.exact(&self.warehouse, &sku).await,
            _ => api.fast(&self.warehouse, &sku).await,
        }
        .map_err(failed)?;
        console::say(&format!(
            "curl -s {}/inventory/v1/inventories -H 'content-type: application/json' \\\n     \
             -d '{{\"severity\":\"{severity}\",\"warehouseId\":\"{}\",\"products\":[{{\"sku\":\"{}\"}}]}}'\n\n{}",
            view.api_url, self.warehouse, self.row.item, reply.text
        ));
        Ok(reply)
    }

    /// Fails unless the reply has this quantity from this source.
    fn check(
        &self,
        what: &str,
        reply: &Reply,
        quantity: i64,
        source: &str,
    ) -> Result<(), DemoError> {
        promise(
            &format!("{what} has status 200"),
            &200,
            &reply.status.as_u16(),
            |got| *got == 200,
        )?;
        let line = reply.line(&self.row.item).unwrap_or(&Value::Null);
        let is_right = |line: &&Value| {
            line["availableStock"] == quantity
                && line["inStock"] == true
                && line["state"] == "PRESENT"
                && line["source"] == source
        };
        promise(
            &format!("{what} brings the quantity of D365"),
            &format!("{quantity} pieces, in stock, PRESENT, from {source}"),
            &line,
            is_right,
        )
    }

    fn as_of(&self, reply: &Reply) -> Result<String, DemoError> {
        let line = reply.line(&self.row.item).unwrap_or(&Value::Null);
        let as_of = line["asOf"].as_str();
        as_of.map(str::to_owned).ok_or(DemoError::NotAsPromised {
            what: "a line says how old it is".to_owned(),
            expected: "asOf".to_owned(),
            got: line.to_string(),
        })
    }
}

async fn show_redis(view: &View, stop: &Stop, quantity: i64, as_of: &str) -> Result<(), DemoError> {
    let key = format!("{}{TENANT}:stock:{}", view.key_prefix, stop.row.item);
    let session = redis_cli::hash(&view.redis_url, &key).await?;
    console::say(&format!("{}\n\n{}", session.command, session.output));
    let begin = format!("\"{quantity}|");
    let end = format!("|{as_of}|live\"");
    promise(
        "Redis holds the live answer",
        &format!("{begin}..{end}"),
        &session.output.as_str(),
        |output| {
            output
                .lines()
                .any(|line| line.contains(&begin) && line.ends_with(&end))
        },
    )
}

/// The interactive page is there for a browser, and the document for a program.
async fn check_page(base: &str, path: &str, name: &str) -> Result<(), DemoError> {
    let url = format!("{base}{path}");
    let page = fetch(&url, "text/html").await?;
    promise(
        &format!("{url} is a page for a browser"),
        &"<html",
        &page,
        |text| text.to_lowercase().contains("<html"),
    )?;
    let document = fetch(&url, "application/json").await?;
    promise(
        &format!("{url} is an OpenAPI 3.1 document for a program"),
        &"\"openapi\": \"3.1..\"",
        &document,
        |text| {
            let document: Value = serde_json::from_str(text).unwrap_or_default();
            let version = document["openapi"].as_str();
            version.is_some_and(|version| version.starts_with("3.1"))
        },
    )?;
    console::say(&format!("{name:<17} {url}"));
    Ok(())
}

async fn fetch(url: &str, accept: &str) -> Result<String, DemoError> {
    let request = Client::new().get(url).header("accept", accept);
    let reply = request.send().await.map_err(failed)?;
    reply
        .error_for_status()
        .map_err(failed)?
        .text()
        .await
        .map_err(failed)
}

fn failed(source: reqwest::Error) -> DemoError {
    DemoError::Http {
        what: "the services",
        source,
    }
}

/// Turns a broken promise into the demo's failure.
fn promise<T: ToString>(
    what: &str,
    expected: &impl ToString,
    got: &T,
    holds: impl FnOnce(&T) -> bool,
) -> Result<(), DemoError> {
    if holds(got) {
        return Ok(());
    }
    Err(DemoError::NotAsPromised {
        what: what.to_owned(),
        expected: expected.to_string(),
        got: got.to_string().chars().take(600).collect(),
    })
}

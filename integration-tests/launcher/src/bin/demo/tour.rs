//! The promised requests, with their real replies, each compared with what is true.

use crate::Failure;
use crate::console::{headline, say};
use crate::control::Truth;
use crate::programs::{TENANT, View};
use launcher::api_client::{ApiClient, Reply};
use launcher::binaries::Program;
use reqwest::Client;
use serde_json::Value;
use tokio::process::Command;

/// The warehouse the tour shows, if it is there.
const USUAL_WAREHOUSE: &str = "24";
/// How many pieces D365 sells between the two questions.
const SOLD: i64 = 3;
/// Enough to sell some and still have some.
const LEAST_STOCK: i64 = 10;

/// Asks, sells, asks again.
pub(crate) async fn walk(view: &View) -> Result<(), Failure> {
    let api = ApiClient::new(&view.api_url)?;
    let shown = choose(view).await?;
    let (before, after) = (shown.available, shown.available - SOLD);
    let (item, warehouse) = (&shown.row.key.item, &shown.warehouse);

    headline("A FAST question: what can I show? Answered from Redis");
    shown.ask(view, &api, "FAST", before, "CACHE").await?;

    headline("Meanwhile, in D365");
    view.control
        .set_on_hand(&shown.row, shown.on_hand - SOLD)
        .await?;
    say(&format!(
        "{SOLD} pieces of {item} leave warehouse {warehouse}: {before} -> {after}. Nobody tells the cache."
    ));

    headline("An EXACT question: may I accept this order? Answered by D365, now");
    let live_as_of = shown.ask(view, &api, "EXACT", after, "LIVE").await?;

    headline("The FAST question again: the live answer was written through");
    let as_of = shown.ask(view, &api, "FAST", after, "CACHE").await?;
    promise(
        "a line as old as the live answer",
        as_of == live_as_of,
        &as_of,
    )?;

    headline("What Redis holds");
    let key = format!("{}{TENANT}:stock:{item}", view.key_prefix);
    let words = ["-u", &view.redis_url, "HGETALL", &key];
    let mut redis_cli = Command::new("redis-cli");
    redis_cli
        .args(["--no-raw", "--no-auth-warning"])
        .args(words);
    let output = redis_cli.kill_on_drop(true).output().await?;
    let text = String::from_utf8([output.stdout, output.stderr].concat())?;
    say(&format!(
        "redis-cli -u {} HGETALL '{key}'\n\n{}",
        view.redis_url,
        text.trim_end()
    ));
    let (begin, end) = (format!("\"{after}|"), format!("|{live_as_of}|live\""));
    let is_stored = |line: &str| line.contains(&begin) && line.ends_with(&end);
    promise(
        "the live answer in Redis",
        text.lines().any(is_stored),
        &text,
    )?;

    headline("Where does a number come from?");
    let worker = Program::PrefetchWorker.path()?;
    let here = std::env::current_dir().unwrap_or_default();
    let worker = worker.strip_prefix(here).unwrap_or(&worker).display();
    say(&format!(
        "{worker} explain --config {} {item}",
        view.config.display()
    ));

    headline("For a browser");
    check_page(&view.api_url, "/inventory/api", "inventory-api").await?;
    let page = "/inventoryPrefetcher/api";
    check_page(&view.worker_url, page, "prefetch-worker").await?;
    let status = format!("{}/inventoryPrefetcher/v1/status", view.worker_url);
    say(&format!("prefetch-worker   {status}"));
    Ok(())
}

/// What the tour looks at: one SKU in one warehouse.
struct Shown {
    warehouse: String,
    row: Truth,
    available: i64,
    on_hand: i64,
}

/// The first item of the warehouse with one row, a plain number, and enough of it.
async fn choose(view: &View) -> Result<Shown, Failure> {
    let mut ids = view.warehouses.iter().map(|found| found.id.as_str());
    let first = ids.clone().next().unwrap_or_default();
    let warehouse = ids.find(|id| *id == USUAL_WAREHOUSE).unwrap_or(first);
    let rows = view.control.truth(warehouse).await?;
    let is_alone = |row: &&Truth| {
        let same = rows.iter().filter(|other| other.key.item == row.key.item);
        same.count() == 1
    };
    let is_plain = |row: &&Truth| {
        row.key
            .item
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric())
    };
    let enough = |row: &Truth| {
        let (available, on_hand) = (row.available.parse().ok()?, row.on_hand.parse().ok()?);
        (available >= LEAST_STOCK && on_hand >= LEAST_STOCK).then(|| Shown {
            warehouse: warehouse.to_owned(),
            row: row.clone(),
            available,
            on_hand,
        })
    };
    let mut chosen = rows.iter().filter(is_plain).filter(is_alone);
    let nothing = || format!("warehouse {warehouse} has no plain item with a stock of ten or more");
    Ok(chosen.find_map(enough).ok_or_else(nothing)?)
}

impl Shown {
    /// Asks as the shown command does, shows the reply as it came, fails unless it has this quantity from
    /// this source, and returns its as-of.
    async fn ask(
        &self,
        view: &View,
        api: &ApiClient,
        severity: &str,
        quantity: i64,
        source: &str,
    ) -> Result<String, Failure> {
        let sku = [self.row.key.item.as_str()];
        let reply: Reply = match severity {
            "EXACT" => api.exact(&self.warehouse, &sku).await?,
            _ => api.fast(&self.warehouse, &sku).await?,
        };
        say(&format!(
            "curl -s {}/inventory/v1/inventories -H 'content-type: application/json' \\\n     \
             -d '{{\"severity\":\"{severity}\",\"warehouseId\":\"{}\",\"products\":[{{\"sku\":\"{}\"}}]}}'\n\n{}",
            view.api_url, self.warehouse, sku[0], reply.text
        ));
        let line = &reply.json["data"][0];
        let is_right = reply.status == 200
            && line["availableStock"] == quantity
            && line["inStock"] == true
            && line["state"] == "PRESENT"
            && line["source"] == source;
        let promised = format!("{quantity} pieces, in stock, PRESENT, from {source}");
        promise(&promised, is_right, &reply.text)?;
        let as_of = line["asOf"].as_str().unwrap_or_default();
        promise(
            "a line that says how old it is",
            !as_of.is_empty(),
            &reply.text,
        )?;
        Ok(as_of.to_owned())
    }
}

/// The interactive page is there for a browser, and the document for a program.
async fn check_page(base: &str, path: &str, name: &str) -> Result<(), Failure> {
    let url = format!("{base}{path}");
    let fetch = async |accept: &str| {
        let request = Client::new().get(&url).header("accept", accept);
        request.send().await?.error_for_status()?.text().await
    };
    let page = fetch("text/html").await?;
    let is_page = page.to_lowercase().contains("<html");
    promise(&format!("a page for a browser at {url}"), is_page, &page)?;
    let document = fetch("application/json").await?;
    let version: Value = serde_json::from_str(&document).unwrap_or_default();
    let version = version["openapi"].as_str().unwrap_or_default();
    let what = format!("an OpenAPI 3.1 document for a program at {url}");
    promise(&what, version.starts_with("3.1"), &document)?;
    say(&format!("{name:<17} {url}"));
    Ok(())
}

/// Turns a broken promise into the demo's failure.
fn promise(expected: &str, holds: bool, got: &str) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    let got: String = got.chars().take(600).collect();
    Err(format!("not as promised\n  expected: {expected}\n  got:      {got}").into())
}

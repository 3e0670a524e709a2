//! The floor under what reading a snapshot can cost: fetches and parses on-hand pages as a prefetcher
//! must, and throws them away. A process of its own, so that its processor time is not the
//! simulator's.

use super::Usage;
use d365_simulator::Config;
use futures_util::{StreamExt, TryStreamExt, stream};
use integration_tests::stopwatch::Stopwatch;
use integration_tests::test_bed::{Failure, TestBed};
use integration_tests::usage::cpu_time;
use reqwest::Client;
use serde::Deserialize;
use std::io::{Read as _, Write as _};
use std::process::{ExitCode, Stdio};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// Command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    d365: String,
    /// Warehouses read at once.
    #[arg(long)]
    at_once: usize,
    /// Warehouses.
    warehouses: Vec<String>,
}

/// Reads all pages of all warehouses, so many at once.
pub(super) async fn read_all(bed: &TestBed, at_once: usize) -> Result<Usage, Failure> {
    let begun = Stopwatch::start();
    let mut child = Command::new(std::env::current_exe()?)
        .args(["prefetch-floor", "--d365", &bed.config.d365_url])
        .args(["--at-once", &at_once.to_string()])
        .args(&bed.config.warehouses)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut output = child.stdout.take().ok_or("no output")?;
    // It says one byte when it is done, and waits to be looked at.
    output.read_u8().await?;
    let time = begun.elapsed();
    let cpu = cpu_time(child.id().ok_or("it has ended")?)?;
    drop(child.stdin.take());
    child.wait().await?;
    Ok(Usage {
        time,
        cpu,
        ..Usage::default()
    })
}

/// What a prefetcher needs of a row.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "parsing them is what is measured")]
struct Row {
    #[serde(rename = "dataAreaId")]
    company: String,
    item_number: String,
    product_color_id: String,
    product_configuration_id: String,
    product_size_id: String,
    product_style_id: String,
    product_version_id: String,
    inventory_site_id: String,
    inventory_warehouse_id: String,
    available_on_hand_quantity: f64,
    on_hand_quantity: f64,
    reserved_on_hand_quantity: f64,
    ordered_quantity: f64,
}

#[derive(Debug, Deserialize)]
struct Page {
    value: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Token {
    access_token: String,
}

const PAGE: usize = 10_000;
const FIELDS: &str = "dataAreaId,ItemNumber,ProductColorId,ProductConfigurationId,ProductSizeId,ProductStyleId,ProductVersionId,InventorySiteId,InventoryWarehouseId,AvailableOnHandQuantity,OnHandQuantity,ReservedOnHandQuantity,OrderedQuantity";
const ORDER: &str = "ItemNumber,ProductColorId,ProductConfigurationId,ProductSizeId,ProductStyleId,ProductVersionId,InventorySiteId";

pub(crate) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let http = Client::builder().gzip(true).http1_only().build()?;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", Config::CLIENT_ID),
        ("client_secret", Config::CLIENT_SECRET),
        ("scope", &format!("{}/.default", options.d365)),
    ];
    let directory = Config::ENTRA_TENANT;
    let url = format!("{}/{directory}/oauth2/v2.0/token", options.d365);
    let token: Token = http.post(url).form(&form).send().await?.json().await?;
    let d365 = format!("{}/data/WarehousesOnHandV2", options.d365);
    stream::iter(options.warehouses)
        .map(|warehouse| read(&http, &d365, &token, warehouse))
        .buffer_unordered(options.at_once)
        .try_for_each(async |()| Ok(()))
        .await?;
    std::io::stdout().write_all(b"!")?;
    std::io::stdout().flush()?;
    // Stays until it was looked at.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(ExitCode::SUCCESS)
}

async fn read(http: &Client, url: &str, token: &Token, warehouse: String) -> reqwest::Result<()> {
    let of_warehouse = format!("dataAreaId eq 'usmf' and InventoryWarehouseId eq '{warehouse}'");
    let mut filter = of_warehouse.clone();
    loop {
        let page: Page = http
            .get(url)
            .bearer_auth(&token.access_token)
            .query(&[
                ("cross-company", "true"),
                ("$filter", &filter),
                ("$orderby", ORDER),
                ("$top", &PAGE.to_string()),
                ("$select", FIELDS),
            ])
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let Some(last) = page.value.last().filter(|_| page.value.len() == PAGE) else {
            return Ok(());
        };
        let after = last.item_number.replace('\'', "''");
        filter = format!("{of_warehouse} and ItemNumber gt '{after}'");
    }
}

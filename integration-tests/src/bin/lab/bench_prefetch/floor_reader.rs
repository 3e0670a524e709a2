//! Fetches and parses on-hand pages as a prefetcher must, and throws them away: the floor under what
//! reading a snapshot can cost.

use reqwest::Client;
use serde::Deserialize;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use tokio::task::JoinSet;

/// Command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    d365: String,
    #[arg(long)]
    directory: String,
    #[arg(long)]
    client: String,
    #[arg(long)]
    secret: String,
    /// Warehouses read at once.
    #[arg(long)]
    at_once: usize,
    warehouses: Vec<String>,
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

pub(crate) async fn run(options: Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let http = Client::builder().gzip(true).http1_only().build()?;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &options.client),
        ("client_secret", &options.secret),
        ("scope", &format!("{}/.default", options.d365)),
    ];
    let url = format!("{}/{}/oauth2/v2.0/token", options.d365, options.directory);
    let token: Token = http.post(url).form(&form).send().await?.json().await?;
    let mut waiting = options.warehouses.into_iter();
    let mut reading = JoinSet::new();
    loop {
        while reading.len() < options.at_once
            && let Some(warehouse) = waiting.next()
        {
            let (http, d365) = (http.clone(), options.d365.clone());
            let token = token.access_token.clone();
            reading.spawn(async move {
                read(&http, &d365, &token, &warehouse)
                    .await
                    .map_err(|error| error.to_string())
            });
        }
        let Some(rows) = reading.join_next().await else {
            break;
        };
        rows??;
    }
    std::io::stdout().write_all(b"!")?;
    std::io::stdout().flush()?;
    // Stays until it was looked at.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(ExitCode::SUCCESS)
}

async fn read(http: &Client, d365: &str, token: &str, warehouse: &str) -> reqwest::Result<u64> {
    let (mut after, mut rows) = (None::<String>, 0);
    loop {
        let mut filter = format!("dataAreaId eq 'usmf' and InventoryWarehouseId eq '{warehouse}'");
        if let Some(after) = &after {
            filter.push_str(" and ItemNumber gt '");
            filter.push_str(&after.replace('\'', "''"));
            filter.push('\'');
        }
        let page: Page = http
            .get(format!("{d365}/data/WarehousesOnHandV2"))
            .bearer_auth(token)
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
        rows += page.value.len() as u64;
        if page.value.len() < PAGE {
            return Ok(rows);
        }
        after = page
            .value
            .into_iter()
            .next_back()
            .map(|row| row.item_number);
    }
}

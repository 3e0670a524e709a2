//! The simulator's controls: what is true, and what shall become true.

use crate::Failure;
use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// A warehouse's truth is tens of megabytes; on the loopback interface that takes a second.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// Quarantine, goods under way, and rows without a warehouse.
const NOT_SOLD_FROM: [&str; 3] = ["QUAR", "TRANSIT", ""];

/// The controls of one simulator, for one company.
#[derive(Debug)]
pub(crate) struct Control {
    base: String,
    company: &'static str,
    http: Client,
}

/// A warehouse of the simulated D365.
#[derive(Debug, Deserialize)]
pub(crate) struct Warehouse {
    company: String,
    #[serde(rename = "warehouse")]
    pub(crate) id: String,
    /// On-hand rows.
    pub(crate) rows: u64,
}

/// An on-hand row as it is. Quantities are decimal text.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Truth {
    #[serde(flatten)]
    pub(crate) key: RowKey,
    pub(crate) available: String,
    pub(crate) on_hand: String,
}

/// What tells a row from the others of its company.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct RowKey {
    pub(crate) item: String,
    warehouse: String,
    color: String,
    configuration: String,
    size: String,
    style: String,
    version: String,
    site: String,
}

#[derive(Serialize)]
struct NewStock<'a> {
    company: &'a str,
    #[serde(flatten)]
    key: &'a RowKey,
    on_hand: String,
}

impl Control {
    /// Of the simulator at this address.
    pub(crate) fn new(simulator: &str, company: &'static str) -> Result<Self, Failure> {
        Ok(Self {
            base: format!("{simulator}/control"),
            company,
            http: Client::builder().timeout(REPLY_WITHIN).build()?,
        })
    }

    /// The company's warehouses that sell and have stock.
    pub(crate) async fn warehouses(&self) -> Result<Vec<Warehouse>, Failure> {
        let request = self.http.get(format!("{}/warehouses", self.base));
        let mut warehouses: Vec<Warehouse> = serde_json::from_str(&answer(request).await?)?;
        warehouses.retain(|found| {
            let is_ordinary = !NOT_SOLD_FROM.contains(&found.id.as_str());
            is_ordinary && found.company == self.company && found.rows > 0
        });
        Ok(warehouses)
    }

    /// All rows of a warehouse.
    pub(crate) async fn truth(&self, warehouse: &str) -> Result<Vec<Truth>, Failure> {
        let request = self.http.get(format!("{}/truth", self.base));
        let of_warehouse = [("company", self.company), ("warehouse", warehouse)];
        let text = answer(request.query(&of_warehouse)).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Sets a row's physical inventory, as a sale or a delivery in D365 would.
    pub(crate) async fn set_on_hand(&self, row: &Truth, on_hand: i64) -> Result<(), Failure> {
        let stock = NewStock {
            company: self.company,
            key: &row.key,
            on_hand: on_hand.to_string(),
        };
        answer(self.http.put(format!("{}/stock", self.base)).json(&stock)).await?;
        Ok(())
    }

    /// Lets stock move at random.
    pub(crate) async fn set_sales(&self, per_second: u32) -> Result<(), Failure> {
        let sales = json!({"per_second": per_second});
        answer(self.http.post(format!("{}/sales", self.base)).json(&sales)).await?;
        Ok(())
    }
}

async fn answer(request: RequestBuilder) -> Result<String, Failure> {
    let response = request.send().await?;
    let status = response.status();
    let text = response.text().await?;
    if status.is_success() {
        return Ok(text);
    }
    Err(format!("the simulator answered {status}: {text}").into())
}

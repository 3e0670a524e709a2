//! The simulator's controls: what is true, and what shall become true.

use crate::error::DemoError;
use reqwest::{Client, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// A warehouse's truth is tens of megabytes; on the loopback interface that takes a second.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

const WHAT: &str = "the simulator's controls";

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
    kind: String,
    /// On-hand rows.
    pub(crate) rows: u64,
}

/// An on-hand row as it is. Quantities are decimal text.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Truth {
    pub(crate) item: String,
    pub(crate) available: String,
    pub(crate) on_hand: String,
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
    item: &'a str,
    warehouse: &'a str,
    color: &'a str,
    configuration: &'a str,
    size: &'a str,
    style: &'a str,
    version: &'a str,
    site: &'a str,
    on_hand: String,
}

impl Control {
    /// Of the simulator at this address.
    pub(crate) fn new(simulator: &str, company: &'static str) -> Result<Self, DemoError> {
        Ok(Self {
            base: format!("{simulator}/control"),
            company,
            http: Client::builder()
                .timeout(REPLY_WITHIN)
                .build()
                .map_err(failed)?,
        })
    }

    /// The company's ordinary warehouses that have a name and stock.
    pub(crate) async fn warehouses(&self) -> Result<Vec<Warehouse>, DemoError> {
        let url = format!("{}/warehouses", self.base);
        let response = self.http.get(url).send().await.map_err(failed)?;
        let mut warehouses: Vec<Warehouse> = lines(response, "GET warehouses").await?;
        warehouses.retain(|found| {
            found.company == self.company
                && found.kind == "Standard"
                && !found.id.is_empty()
                && found.rows > 0
        });
        Ok(warehouses)
    }

    /// All rows of a warehouse.
    pub(crate) async fn truth(&self, warehouse: &str) -> Result<Vec<Truth>, DemoError> {
        let request = self
            .http
            .get(format!("{}/truth", self.base))
            .query(&[("company", self.company), ("warehouse", warehouse)]);
        lines(request.send().await.map_err(failed)?, "GET truth").await
    }

    /// Sets a row's physical inventory, as a sale or a delivery in D365 would.
    pub(crate) async fn set_on_hand(
        &self,
        row: &Truth,
        warehouse: &str,
        on_hand: i64,
    ) -> Result<(), DemoError> {
        let stock = NewStock {
            company: self.company,
            item: &row.item,
            warehouse,
            color: &row.color,
            configuration: &row.configuration,
            size: &row.size,
            style: &row.style,
            version: &row.version,
            site: &row.site,
            on_hand: on_hand.to_string(),
        };
        let request = self.http.put(format!("{}/stock", self.base)).json(&stock);
        accepted(request.send().await.map_err(failed)?, "PUT stock").await
    }

    /// Lets stock move at random.
    pub(crate) async fn set_sales(&self, per_second: u32) -> Result<(), DemoError> {
        let request = self
            .http
            .post(format!("{}/sales", self.base))
            .json(&json!({"per_second": per_second}));
        accepted(request.send().await.map_err(failed)?, "POST sales").await
    }
}

fn failed(source: reqwest::Error) -> DemoError {
    DemoError::Http { what: WHAT, source }
}

async fn lines<T: DeserializeOwned>(
    response: Response,
    what: &'static str,
) -> Result<Vec<T>, DemoError> {
    let status = response.status();
    let text = response.text().await.map_err(failed)?;
    if !status.is_success() {
        let answer = format!("{status} {text}");
        return Err(DemoError::Simulator { what, answer });
    }
    let parsed: Result<Vec<T>, _> = text.lines().map(serde_json::from_str).collect();
    parsed.map_err(|error| DemoError::Simulator {
        what,
        answer: error.to_string(),
    })
}

async fn accepted(response: Response, what: &'static str) -> Result<(), DemoError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let answer = format!("{status} {}", response.text().await.map_err(failed)?);
    Err(DemoError::Simulator { what, answer })
}

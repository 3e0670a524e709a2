//! The inventory API in named calls, as ICM's adapter would make them.

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Above the longest deadline the API accepts; a reply later than this is a hang.
const REPLY_WITHIN: Duration = Duration::from_secs(30);

/// A reply as it came.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, byte for byte: quantities are compared as text.
    pub text: String,
    /// The body as JSON; `null` if it is none.
    pub json: Value,
}

impl Reply {
    /// The entry of `data[]` for a SKU.
    pub fn line(&self, sku: &str) -> Option<&Value> {
        self.json["data"]
            .as_array()?
            .iter()
            .find(|line| line["sku"] == sku)
    }

    /// The stable code of the first entry of `errors[]`.
    pub fn error_code(&self) -> Option<&str> {
        self.json["errors"][0]["code"].as_str()
    }
}

/// A caller of one inventory API.
#[derive(Debug, Clone)]
pub struct ApiClient {
    base: String,
    http: Client,
}

impl ApiClient {
    /// For the API at this address, e.g. `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> reqwest::Result<Self> {
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            http: Client::builder().timeout(REPLY_WITHIN).build()?,
        })
    }

    /// Asks what can be shown, from the cache.
    pub async fn fast(&self, warehouse: &str, skus: &[&str]) -> reqwest::Result<Reply> {
        self.stock("FAST", warehouse, skus).await
    }

    /// Asks D365 itself.
    pub async fn exact(&self, warehouse: &str, skus: &[&str]) -> reqwest::Result<Reply> {
        self.stock("EXACT", warehouse, skus).await
    }

    /// Any question, as JSON.
    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Reply> {
        reply(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    /// Any change, as JSON.
    pub async fn put(&self, path: &str, body: &Value) -> reqwest::Result<Reply> {
        reply(self.http.put(format!("{}{path}", self.base)).json(body)).await
    }

    /// Any DELETE.
    pub async fn delete(&self, path: &str) -> reqwest::Result<Reply> {
        reply(self.http.delete(format!("{}{path}", self.base))).await
    }

    /// Any body, also one that is no JSON.
    pub async fn post_raw(
        &self,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> reqwest::Result<Reply> {
        let request = self.http.post(format!("{}{path}", self.base)).body(body);
        reply(request.header("content-type", content_type)).await
    }

    /// Any GET without a query.
    pub async fn fetch(&self, path: &str) -> reqwest::Result<Reply> {
        reply(self.http.get(format!("{}{path}", self.base))).await
    }

    async fn stock(
        &self,
        severity: &str,
        warehouse: &str,
        skus: &[&str],
    ) -> reqwest::Result<Reply> {
        let products: Vec<Value> = skus.iter().map(|sku| json!({"sku": sku})).collect();
        let question =
            json!({"severity": severity, "warehouseId": warehouse, "products": products});
        self.post("/inventory/v1/inventories", &question).await
    }
}

async fn reply(request: RequestBuilder) -> reqwest::Result<Reply> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await?;
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Reply {
        status,
        headers,
        text,
        json,
    })
}

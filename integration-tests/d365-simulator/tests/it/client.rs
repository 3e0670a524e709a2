//! A plain HTTP client with a token, and nothing of the connector's.

use d365_simulator::{Config, Handle, start};
use reqwest::{Response, StatusCode};
use serde_json::Value;

pub(crate) struct Client {
    pub(crate) handle: Handle,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
}

impl Client {
    pub(crate) async fn start(config: Config) -> Self {
        let handle = start(config).unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut client = Self {
            handle,
            http,
            token: String::new(),
        };
        client.token = client.fetch_token().await;
        client
    }

    pub(crate) fn url(&self) -> String {
        self.handle.url()
    }

    pub(crate) async fn fetch_token(&self) -> String {
        let body: Value = self.ask_token(&self.url()).await.json().await.unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    /// Asks the v2 endpoint with the default app's secret.
    pub(crate) async fn ask_token(&self, resource: &str) -> Response {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", Config::CLIENT_ID),
            ("client_secret", Config::CLIENT_SECRET),
            ("scope", &format!("{resource}/.default")),
        ];
        let url = format!("{}/{}/oauth2/v2.0/token", self.url(), Config::ENTRA_TENANT);
        self.http.post(url).form(&form).send().await.unwrap()
    }

    pub(crate) fn request(&self, path_and_query: &str) -> reqwest::RequestBuilder {
        self.http
            .get(format!("{}{path_and_query}", self.url()))
            .bearer_auth(&self.token)
    }

    /// GET of an address below the environment.
    pub(crate) async fn get(&self, path_and_query: &str) -> Response {
        self.request(path_and_query).send().await.unwrap()
    }

    /// GET that must succeed with JSON.
    pub(crate) async fn json(&self, path_and_query: &str) -> Value {
        let response = self.get(path_and_query).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path_and_query}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// All rows of a chain of pages, and the number of pages.
    pub(crate) async fn chain(&self, path_and_query: &str) -> (Vec<Value>, usize) {
        let (mut rows, mut pages) = (Vec::new(), 0);
        let mut next = Some(path_and_query.to_owned());
        while let Some(here) = next {
            let mut page = self.json(&here).await;
            pages += 1;
            rows.append(page["value"].as_array_mut().unwrap());
            next = page["@odata.nextLink"]
                .as_str()
                .map(|link| link.strip_prefix(&self.url()).unwrap().to_owned());
        }
        (rows, pages)
    }
}

/// The on-hand rows of a warehouse in full key order.
pub(crate) fn warehouse_page(warehouse: &str) -> String {
    format!(
        "/data/WarehousesOnHandV2?cross-company=true&$filter=dataAreaId%20eq%20%27usmf%27%20and%20InventoryWarehouseId%20eq%20%27{warehouse}%27&$orderby={FULL_KEY}"
    )
}

pub(crate) const FULL_KEY: &str = "ItemNumber,ProductConfigurationId,ProductColorId,ProductSizeId,ProductStyleId,ProductVersionId,InventorySiteId,InventoryWarehouseId";

/// JSON without the blanks between its parts, everything else as it stands.
pub(crate) fn compact(json: &str) -> String {
    let (mut out, mut in_text, mut escaped) = (String::new(), false, false);
    for letter in json.chars() {
        if in_text || !letter.is_whitespace() {
            out.push(letter);
        }
        (in_text, escaped) = match (in_text, escaped, letter) {
            (true, false, '\\') => (true, true),
            (_, false, '"') => (!in_text, false),
            _ => (in_text, false),
        };
    }
    out
}

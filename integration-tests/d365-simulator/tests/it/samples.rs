//! The recorded exchanges come back byte for byte.

use std::collections::BTreeMap;

use d365_simulator::{
    Action, Config, FaultSpec, Kind, RetryAfter, StockChange, StockKey, ThrottleBody,
};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::{Client, compact};

const HOST: &str = "https://contoso.operations.dynamics.com";

fn sample(name: &str) -> String {
    let file = format!("{}/../samples/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(file).unwrap()
}

/// A part of a sample as it stands in the file, without the blanks between its parts.
fn part(text: &str, path: &[&str]) -> String {
    let mut part = text.to_owned();
    for name in path {
        let value: Box<RawValue> = if let Ok(place) = name.parse::<usize>() {
            let mut list: Vec<Box<RawValue>> = serde_json::from_str(&part).unwrap();
            list.remove(place)
        } else {
            let mut object: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&part).unwrap();
            object.remove(*name).unwrap()
        };
        value.get().clone_into(&mut part);
    }
    compact(&part)
}

/// A simulator whose world is the rows of both sample pages.
async fn with_sample_rows() -> Client {
    let client = Client::start(Config {
        world: None,
        page_size: 7,
        ..Config::default()
    })
    .await;
    for name in ["onhand-page-1-nextlink", "onhand-page-2-last"] {
        let page: Value = serde_json::from_str(&sample(name)).unwrap();
        for row in page["response"]["body"]["value"].as_array().unwrap() {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let number = |name: &str| Some(row[name].to_string());
            let reserved_ordered = row["ReservedOrderedQuantity"].to_string();
            let key = StockKey {
                company: text("dataAreaId"),
                item: text("ItemNumber"),
                color: text("ProductColorId"),
                configuration: text("ProductConfigurationId"),
                size: text("ProductSizeId"),
                style: text("ProductStyleId"),
                version: text("ProductVersionId"),
                site: text("InventorySiteId"),
                warehouse: text("InventoryWarehouseId"),
            };
            let change = StockChange {
                on_hand: number("OnHandQuantity"),
                reserved: number("ReservedOnHandQuantity"),
                ordered: number("OrderedQuantity"),
                reserved_ordered: Some(reserved_ordered),
                on_order: number("OnOrderQuantity"),
                name: Some(text("ProductName")),
                managed: Some(text("AreWarehouseManagementProcessesUsed") == "Yes"),
            };
            client.handle.simulator().put_stock(&key, &change).unwrap();
        }
    }
    client
}

#[tokio::test]
async fn the_on_hand_pages_come_back_byte_for_byte() {
    let client = with_sample_rows().await;
    for name in ["onhand-page-1-nextlink", "onhand-page-2-last"] {
        let text = sample(name);
        let exchange: Value = serde_json::from_str(&text).unwrap();
        let address = exchange["request"]["url"].as_str().unwrap();
        // The recorded page holds 10,000 rows; it is cut to seven in the file.
        let address = address
            .strip_prefix(HOST)
            .unwrap()
            .replace("$skip=10000", "$skip=7");
        let response = client.get(&address).await;
        assert_eq!(
            response.headers()["content-type"],
            "application/json; odata.metadata=minimal"
        );
        assert_eq!(response.headers()["odata-version"], "4.0");
        let expected = part(&text, &["response", "body"])
            .replace(HOST, &client.url())
            .replace("$skip=10000", "$skip=7");
        assert_eq!(response.text().await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn the_tokens_come_back_in_their_shapes() {
    let client = Client::start(Config::default()).await;
    for (name, path, target) in [
        ("token-v1", "oauth2/token", ("resource", client.url())),
        (
            "token-v2",
            "oauth2/v2.0/token",
            ("scope", format!("{}/.default", client.url())),
        ),
    ] {
        let url = format!("{}/{}/{path}", client.url(), Config::ENTRA_TENANT);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", Config::CLIENT_ID),
            ("client_secret", Config::CLIENT_SECRET),
            (target.0, &target.1),
        ];
        let response = client.http.post(url).form(&form).send().await.unwrap();
        let recorded: Value = serde_json::from_str(&sample(name)).unwrap();
        for header in ["Content-Type", "Cache-Control"] {
            let expected = recorded["response"]["headers"][header].as_str().unwrap();
            assert_eq!(response.headers()[header], expected, "{name}");
        }
        let text = response.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        let mut expected = part(&sample(name), &["response", "body"]).replace(HOST, &client.url());
        // What differs from token to token.
        for field in ["access_token", "expires_on", "not_before"] {
            if let Some(value) = body[field].as_str() {
                let recorded = recorded["response"]["body"][field].as_str().unwrap();
                expected = expected.replace(recorded, value);
            }
        }
        assert_eq!(text, expected, "{name}");
    }
}

#[tokio::test]
async fn the_errors_come_back_byte_for_byte() {
    let mut client = Client::start(Config::default()).await;
    let text = sample("errors");
    let faults = [(3, Action::ServerError), (2, Action::Forbidden)];
    let mut answers = vec![
        (
            0,
            client
                .get("/data/WarehousesOnHandV2?$select=ItemNumbr")
                .await,
        ),
        (3, client.get("/data/InventWarehouseOnHandV2").await),
    ];
    for (_, fault) in &faults {
        client
            .handle
            .simulator()
            .add_fault(FaultSpec::on(Kind::Any, fault.clone()).times(1));
    }
    answers.push((4, client.get("/data/Warehouses").await));
    answers.push((2, client.get("/data/Warehouses").await));
    client.token = "nobody's".to_owned();
    answers.push((1, client.get("/data/Warehouses").await));
    for (place, response) in answers {
        let place = place.to_string();
        let status = part(&text, &["exchanges", &place, "status"]);
        assert_eq!(response.status().as_str(), status);
        let body = part(&text, &["exchanges", &place, "body"]).replace(HOST, &client.url());
        let expected = if body == "null" { String::new() } else { body };
        let headers: Value =
            serde_json::from_str(&part(&text, &["exchanges", &place, "headers"])).unwrap();
        if let Some(kind) = headers["Content-Type"].as_str() {
            assert_eq!(response.headers()["content-type"], kind);
        }
        assert_eq!(response.text().await.unwrap(), expected, "exchange {place}");
    }
}

#[tokio::test]
async fn a_429_comes_back_in_all_its_forms() {
    let client = Client::start(Config::default()).await;
    let text = sample("throttled-429");
    let forms = [
        (ThrottleBody::WebApi, part(&text, &["response", "body"])),
        (
            ThrottleBody::Odata,
            part(&text, &["response_variants", "0", "body"]),
        ),
        (
            ThrottleBody::Text,
            serde_json::from_str(&part(&text, &["response_variants", "1", "body"])).unwrap(),
        ),
        (ThrottleBody::Empty, String::new()),
    ];
    for (body, expected) in forms {
        let throttle = Action::Throttle {
            retry_after: RetryAfter::Seconds(37),
            body,
        };
        client
            .handle
            .simulator()
            .add_fault(FaultSpec::on(Kind::Any, throttle).times(1));
        let response = client
            .get("/data/WarehousesOnHandV2?cross-company=true")
            .await;
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "37");
        assert_eq!(response.text().await.unwrap(), expected, "{body:?}");
    }
}

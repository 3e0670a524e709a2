//! Who gets in, what is there, and how pages go on.

use d365_simulator::{
    AppRegistration, Config, NumberStyle, StockChange, StockKey, Switches, WorldConfig,
};
use serde_json::Value;

use crate::client::{Client, FULL_KEY, warehouse_page};

fn pages_of(page_size: usize) -> Config {
    Config {
        world: Some(WorldConfig {
            items: 300,
            warehouses: 3,
            ..WorldConfig::default()
        }),
        page_size,
        ..Config::default()
    }
}

/// Item, color, size and available quantity of each row.
fn lines(rows: &[Value]) -> Vec<String> {
    let line = |row: &Value| {
        let key = ["ItemNumber", "ProductColorId", "ProductSizeId"];
        let key = key.map(|name| row[name].as_str().unwrap());
        format!("{}={}", key.join("|"), row["AvailableOnHandQuantity"])
    };
    let mut lines: Vec<_> = rows.iter().map(line).collect();
    lines.sort();
    lines
}

/// What the journal says is in the warehouse.
fn truth(client: &Client, warehouse: &str) -> Vec<String> {
    let simulator = client.handle.simulator();
    let lines = simulator.truth("usmf", Some(warehouse), None).unwrap();
    let line = |line: &d365_simulator::TruthLine| {
        let key = [&*line.item, &*line.color, &*line.size];
        format!("{}={}", key.join("|"), line.available)
    };
    let mut lines: Vec<_> = lines.iter().map(line).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn a_chain_of_links_brings_the_whole_warehouse_and_not_more_than_asked_for() {
    let client = Client::start(pages_of(40)).await;
    let (rows, pages) = client.chain(&warehouse_page("11")).await;
    assert_eq!(pages, rows.len().div_ceil(40));
    assert_eq!(lines(&rows), truth(&client, "11"));
    for (top, expected) in [(100, (100, 3)), (40, (40, 1))] {
        let address = format!("{}&$top={top}", warehouse_page("11"));
        let (rows, pages) = client.chain(&address).await;
        assert_eq!((rows.len(), pages), expected);
    }
}

#[tokio::test]
async fn pages_by_key_bring_the_whole_warehouse() {
    let client = Client::start(pages_of(10_000)).await;
    let (mut rows, mut last) = (Vec::new(), String::new());
    loop {
        let item = last.replace('\'', "''");
        let filter = format!(
            "dataAreaId eq 'usmf' and InventoryWarehouseId eq '12' and ItemNumber gt '{item}'"
        );
        let query = [
            ("cross-company", "true"),
            ("$filter", &filter),
            ("$orderby", FULL_KEY),
            ("$top", "50"),
        ];
        let request = client.request("/data/WarehousesOnHandV2").query(&query);
        let page: Value = request.send().await.unwrap().json().await.unwrap();
        assert!(
            page.get("@odata.nextLink").is_none(),
            "a top within the page"
        );
        let page = page["value"].as_array().unwrap();
        let Some(end) = page.last() else {
            break;
        };
        // The last item may go on behind the page: it is read again with the next one.
        let whole = page.iter();
        let whole = whole.filter(|row| page.len() < 50 || row["ItemNumber"] != end["ItemNumber"]);
        rows.extend(whole.cloned());
        let read: &Value = rows.last().unwrap();
        read["ItemNumber"].as_str().unwrap().clone_into(&mut last);
    }
    assert_eq!(lines(&rows), truth(&client, "12"));
}

#[tokio::test]
async fn without_cross_company_the_default_company_answers_silently() {
    let client = Client::start(pages_of(1000)).await;
    let page = client.json("/data/WarehousesOnHandV2").await;
    let rows = page["value"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["dataAreaId"] == "dat"));
    let other = "/data/WarehousesOnHandV2?$filter=dataAreaId%20eq%20'usmf'";
    assert_eq!(client.json(other).await["value"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_selection_shows_in_the_context_and_keeps_the_etag() {
    let client = Client::start(pages_of(10)).await;
    let page = warehouse_page("11");
    let address = format!("{page}&$top=1&$select=OnHandQuantity,ItemNumber");
    let text = client.get(&address).await.text().await.unwrap();
    let start = format!(
        r#"{{"@odata.context":"{}/data/$metadata#WarehousesOnHandV2(OnHandQuantity,ItemNumber)","value":[{{"@odata.etag":"W/\"JzAsMDswLDAn\"","ItemNumber":" RFI-TEST-001","OnHandQuantity":"#,
        client.url()
    );
    assert!(text.starts_with(&start), "{text}");
}

#[tokio::test]
async fn variants_and_warehouses_are_listed() {
    let client = Client::start(pages_of(10_000)).await;
    let variants =
        "/data/ReleasedProductVariantsV2?cross-company=true&$filter=dataAreaId%20eq%20'usmf'";
    let variants = client.json(variants).await;
    let expected = client.handle.simulator().variants("usmf").unwrap();
    assert_eq!(variants["value"].as_array().unwrap().len(), expected.len());
    let warehouses =
        "/data/Warehouses?cross-company=true&$orderby=WarehouseId&$filter=dataAreaId%20eq%20'usmf'";
    let warehouses = client.json(warehouses).await;
    let ids = warehouses["value"].as_array().unwrap().iter();
    let ids: Vec<_> = ids
        .map(|row| row["WarehouseId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["11", "12", "13", "QUAR", "TRANSIT"]);
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_not_a_read_is_405() {
    let client = Client::start(pages_of(10)).await;
    assert_eq!(client.get("/Data/Warehouses").await.status(), 200);
    for path in [
        "/data/warehouses",
        "/data/WarehousesOnHand",
        "/data/Warehouses/x",
        "/other/",
        "/data/$metadata",
    ] {
        assert_eq!(client.get(path).await.status(), 404, "{path}");
    }
    let post = client
        .http
        .post(format!("{}/data/Warehouses", client.url()));
    let post = post.bearer_auth(&client.token).send().await;
    assert_eq!(post.unwrap().status(), 405);
}

#[tokio::test]
async fn numbers_and_compression_are_switched() {
    let client = Client::start(Config {
        world: None,
        ..Config::default()
    })
    .await;
    let simulator = client.handle.simulator();
    let key = StockKey::of("usmf", "A", "11");
    simulator
        .put_stock(&key, &StockChange::on_hand("15"))
        .unwrap();
    let raw = reqwest::Client::builder().no_gzip().build().unwrap();
    let address = format!("{}{}", client.url(), warehouse_page("11"));
    for (numbers, gzip, accepts, expected) in [
        (NumberStyle::Plain, false, "gzip", Some(":15,")),
        (
            NumberStyle::SixDecimals,
            true,
            "identity",
            Some(":15.000000,"),
        ),
        (NumberStyle::Exponent, true, "br, gzip", None),
    ] {
        simulator.set_switches(Switches { numbers, gzip });
        let request = raw.get(&address).bearer_auth(&client.token);
        let request = request.header("Accept-Encoding", accepts);
        let answer = request.send().await.unwrap();
        let encoding = answer.headers().get("content-encoding").cloned();
        assert_eq!(encoding.is_some(), expected.is_none(), "{accepts}");
        let body = answer.bytes().await.unwrap();
        match expected {
            Some(number) => {
                let number = format!("\"OnHandQuantity\"{number}");
                assert!(String::from_utf8_lossy(&body).contains(&number));
            }
            None => assert!(body.starts_with(&[0x1f, 0x8b])),
        }
    }
}

#[tokio::test]
async fn data_wants_a_token_for_this_environment_of_a_listed_app() {
    let app = AppRegistration {
        listed_in_d365: false,
        ..AppRegistration::with_secret("unlisted", "s")
    };
    let mut config = Config {
        token_life_seconds: 1,
        ..Config::default()
    };
    config.apps.push(app);
    let mut client = Client::start(config).await;
    let here = client.url();
    let good = client.token.clone();
    let foreign = client
        .ask_token("https://other.operations.dynamics.com")
        .await;
    let foreign: Value = foreign.json().await.unwrap();
    let slash: Value = client
        .ask_token(&format!("{here}/"))
        .await
        .json()
        .await
        .unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "unlisted"),
        ("client_secret", "s"),
        ("resource", &here),
    ];
    let url = format!("{here}/{}/oauth2/token", Config::ENTRA_TENANT);
    let unlisted = client.http.post(url).form(&form).send().await.unwrap();
    let unlisted: Value = unlisted.json().await.unwrap();
    let token = |body: &Value| body["access_token"].as_str().unwrap().to_owned();
    for (token, status) in [
        (good.clone(), 200),
        (token(&slash), 200),
        (token(&foreign), 401),
        (token(&unlisted), 401),
        (String::new(), 401),
        (good[..good.len() - 4].to_owned(), 401),
    ] {
        client.token = token;
        let answer = client.get("/data/Warehouses").await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers().contains_key("p3p"), status == 401);
    }
    let unknown = client
        .ask_token("https://unknown.operations.dynamics.com")
        .await;
    assert_eq!(unknown.status(), 400);
    // A life in whole seconds from a started one: over after two at the latest.
    client.token = good;
    let simulator = client.handle.simulator();
    let from = simulator.now().unix_millis();
    while client.get("/data/Warehouses").await.status() != 401 {
        assert!(simulator.now().unix_millis() < from + 2_500);
    }
}

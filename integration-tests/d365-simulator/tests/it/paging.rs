//! Pages, their ends and their quirks.

use d365_simulator::{
    Config, NumberStyle, PagingStyle, StockChange, StockKey, Switches, WorldConfig,
};
use serde_json::Value;

use crate::client::{Client, FULL_KEY, warehouse_page};

fn small_pages(page_size: usize) -> Config {
    let world = WorldConfig {
        items: 300,
        warehouses: 3,
        ..WorldConfig::default()
    };
    Config {
        world: Some(world),
        page_size,
        ..Config::default()
    }
}

/// Item, dimensions and available quantity of each row.
fn lines(rows: &[Value]) -> Vec<String> {
    let columns = [
        "ItemNumber",
        "ProductColorId",
        "ProductSizeId",
        "ProductConfigurationId",
        "ProductStyleId",
        "ProductVersionId",
    ];
    rows.iter()
        .map(|row| {
            let key: Vec<_> = columns
                .iter()
                .map(|name| row[name].as_str().unwrap())
                .collect();
            format!("{}={}", key.join("|"), row["AvailableOnHandQuantity"])
        })
        .collect()
}

/// What the journal says is in the warehouse.
fn truth(client: &Client, warehouse: &str) -> Vec<String> {
    let lines = client
        .handle
        .simulator()
        .truth("usmf", Some(warehouse), None)
        .unwrap();
    lines
        .iter()
        .map(|line| {
            let key = [
                &line.item,
                &line.color,
                &line.size,
                &line.configuration,
                &line.style,
                &line.version,
            ];
            format!("{}={}", key.map(String::as_str).join("|"), line.available)
        })
        .collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[tokio::test]
async fn a_chain_of_links_brings_the_whole_warehouse() {
    let client = Client::start(small_pages(100)).await;
    for style in [PagingStyle::Skip, PagingStyle::SkipToken] {
        client.handle.simulator().set_switches(Switches {
            paging: style,
            ..Switches::default()
        });
        let (rows, pages) = client.chain(&warehouse_page("11")).await;
        assert_eq!(pages, rows.len().div_ceil(100), "{style:?}");
        assert!(pages > 2);
        assert_eq!(
            sorted(lines(&rows)),
            sorted(truth(&client, "11")),
            "{style:?}"
        );
    }
}

#[tokio::test]
async fn keyset_pages_bring_the_whole_warehouse() {
    let client = Client::start(small_pages(10_000)).await;
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
        let response = client
            .request("/data/WarehousesOnHandV2")
            .query(&query)
            .send()
            .await
            .unwrap();
        let page: Value = response.json().await.unwrap();
        assert!(
            page.get("@odata.nextLink").is_none(),
            "a top within the page size ends there"
        );
        let page = page["value"].as_array().unwrap().clone();
        let Some(end) = page
            .last()
            .map(|row| row["ItemNumber"].as_str().unwrap().to_owned())
        else {
            break;
        };
        // The last item may go on behind the page: it is read again with the next one, unless it is alone.
        let mut whole = page
            .iter()
            .filter(|row| page.len() < 50 || row["ItemNumber"] != end.as_str());
        rows.extend(whole.clone().cloned());
        last = whole.next_back().unwrap()["ItemNumber"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    assert_eq!(sorted(lines(&rows)), sorted(truth(&client, "12")));
}

#[tokio::test]
async fn a_top_beyond_the_page_continues_with_the_rest() {
    let client = Client::start(small_pages(40)).await;
    let (rows, pages) = client
        .chain(&format!("{}&$top=100", warehouse_page("11")))
        .await;
    assert_eq!((rows.len(), pages), (100, 3));
    let (rows, pages) = client
        .chain(&format!("{}&$top=40", warehouse_page("11")))
        .await;
    assert_eq!((rows.len(), pages), (40, 1));
}

#[tokio::test]
async fn a_preferred_page_size_stops_early_where_it_is_honoured() {
    let client = Client::start(small_pages(1000)).await;
    let ask = || {
        client
            .request(&warehouse_page("11"))
            .header("Prefer", "odata.maxpagesize=30")
    };
    let page: Value = ask().send().await.unwrap().json().await.unwrap();
    assert!(
        page["value"].as_array().unwrap().len() > 30,
        "off by default"
    );
    let switches = Switches {
        prefer_max_page_size: true,
        ..Switches::default()
    };
    client.handle.simulator().set_switches(switches);
    let page: Value = ask().send().await.unwrap().json().await.unwrap();
    assert_eq!(page["value"].as_array().unwrap().len(), 30);
    let link = page["@odata.nextLink"].as_str().unwrap();
    assert!(link.ends_with("&$skip=30&$top=30"), "{link}");
    let second = client.json(link.strip_prefix(&client.url()).unwrap()).await;
    assert_eq!(second["value"].as_array().unwrap().len(), 30);
    assert!(
        second.get("@odata.nextLink").is_none(),
        "although rows remain"
    );
}

#[tokio::test]
async fn the_link_can_name_another_host() {
    let client = Client::start(small_pages(100)).await;
    let origin = "https://contoso.operations.dynamics.com";
    let switches = Switches {
        next_link_origin: Some(origin.into()),
        ..Switches::default()
    };
    client.handle.simulator().set_switches(switches);
    let page = client.json(&warehouse_page("11")).await;
    assert!(
        page["@odata.nextLink"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{origin}/data/"))
    );
}

#[tokio::test]
async fn counts_come_as_annotation_and_as_bare_number() {
    let client = Client::start(small_pages(10)).await;
    let expected = truth(&client, "13").len();
    let page = client
        .json(&format!("{}&$count=true&$top=3", warehouse_page("13")))
        .await;
    assert_eq!(page["@odata.count"], expected);
    let filter = "$filter=dataAreaId%20eq%20'usmf'%20and%20InventoryWarehouseId%20eq%20'13'";
    let bare = client
        .get(&format!(
            "/data/WarehousesOnHandV2/$count?cross-company=true&{filter}"
        ))
        .await;
    assert_eq!(bare.headers()["content-type"], "text/plain");
    assert_eq!(bare.text().await.unwrap(), expected.to_string());
}

#[tokio::test]
async fn a_selection_shows_in_the_context_and_keeps_the_etag() {
    let client = Client::start(small_pages(10)).await;
    let address = format!(
        "{}&$top=1&$select=OnHandQuantity,ItemNumber",
        warehouse_page("11")
    );
    let text = client.get(&address).await.text().await.unwrap();
    let start = format!(
        r#"{{"@odata.context":"{}/data/$metadata#WarehousesOnHandV2(OnHandQuantity,ItemNumber)","value":[{{"@odata.etag":"W/\"JzAsMDswLDAn\"","ItemNumber":" RFI-TEST-001","OnHandQuantity":"#,
        client.url()
    );
    assert!(text.starts_with(&start), "{text}");
}

#[tokio::test]
async fn without_cross_company_the_default_company_answers_silently() {
    let client = Client::start(small_pages(1000)).await;
    let page = client.json("/data/WarehousesOnHandV2").await;
    let rows = page["value"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["dataAreaId"] == "dat"));
    let page = client
        .json("/data/WarehousesOnHandV2?$filter=dataAreaId%20eq%20'usmf'")
        .await;
    assert_eq!(page["value"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn numbers_are_written_in_the_style_switched_on() {
    let client = Client::start(Config {
        world: None,
        ..Config::default()
    })
    .await;
    let key = StockKey::of("usmf", "A", "11");
    client
        .handle
        .simulator()
        .put_stock(&key, &StockChange::on_hand("15"))
        .unwrap();
    for (style, expected) in [
        (NumberStyle::Plain, ":15,"),
        (NumberStyle::OneDecimal, ":15.0,"),
        (NumberStyle::SixDecimals, ":15.000000,"),
        (NumberStyle::Exponent, ":1.5E1,"),
    ] {
        client.handle.simulator().set_switches(Switches {
            numbers: style,
            ..Switches::default()
        });
        let text = client
            .get(&warehouse_page("11"))
            .await
            .text()
            .await
            .unwrap();
        assert!(
            text.contains(&format!("\"OnHandQuantity\"{expected}")),
            "{style:?}: {text}"
        );
    }
}

#[tokio::test]
async fn an_order_that_is_not_asked_for_is_not_kept_where_switched_on() {
    let client = Client::start(small_pages(10_000)).await;
    let address = "/data/WarehousesOnHandV2?cross-company=true&$filter=dataAreaId%20eq%20'usmf'";
    let first = client.json(address).await;
    assert_eq!(first, client.json(address).await);
    let switches = Switches {
        unstable_order: true,
        ..Switches::default()
    };
    client.handle.simulator().set_switches(switches);
    let second = client.json(address).await;
    assert_ne!(second, client.json(address).await);
    let ordered = client.json(&warehouse_page("11")).await;
    assert_eq!(
        ordered,
        client.json(&warehouse_page("11")).await,
        "an order asked for is kept"
    );
}

#[tokio::test]
async fn gzip_is_offered_where_switched_on() {
    let client = Client::start(small_pages(100)).await;
    let raw = reqwest::Client::builder().no_gzip().build().unwrap();
    let address = format!("{}{}", client.url(), warehouse_page("11"));
    let ask = |accepts: &'static str| {
        let request = raw.get(&address).bearer_auth(&client.token);
        request.header("Accept-Encoding", accepts).send()
    };
    let plain = ask("gzip").await.unwrap();
    assert!(
        plain.headers().get("content-encoding").is_none(),
        "off by default"
    );
    let plain = plain.bytes().await.unwrap();
    client.handle.simulator().set_switches(Switches {
        gzip: true,
        ..Switches::default()
    });
    let unasked = ask("identity").await.unwrap();
    assert!(unasked.headers().get("content-encoding").is_none());
    let packed = ask("br, gzip").await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    assert!(packed.len() * 4 < plain.len() && packed.starts_with(&[0x1f, 0x8b]));
    let unpacked = client
        .get(&warehouse_page("11"))
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(unpacked, plain);
}

#[tokio::test]
async fn the_service_document_lists_the_sets() {
    let client = Client::start(small_pages(10)).await;
    for root in ["/data/", "/data", "/Data/"] {
        let document = client.json(root).await;
        let names: Vec<_> = document["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|set| set["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.len(), 5);
        for name in names {
            client.json(&format!("/data/{name}?$top=1")).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_not_a_read_is_405() {
    let client = Client::start(small_pages(10)).await;
    for path in [
        "/data/warehousesOnHandV2",
        "/data/WarehousesOnHand",
        "/data/Warehouses/x",
        "/other/",
        "/data/$metadata",
    ] {
        assert_eq!(client.get(path).await.status(), 404, "{path}");
    }
    let post = client
        .http
        .post(format!("{}/data/Warehouses", client.url()))
        .bearer_auth(&client.token);
    assert_eq!(post.send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn a_query_longer_than_allowed_is_404_as_the_web_server_says() {
    let client = Client::start(small_pages(10)).await;
    let long = format!("{}&x={}", warehouse_page("11"), "y".repeat(3000));
    assert_eq!(client.get(&long).await.status(), 200);
    client.handle.simulator().set_switches(Switches {
        max_query_chars: 2048,
        ..Switches::default()
    });
    assert_eq!(client.get(&long).await.status(), 404);
    assert_eq!(client.get(&warehouse_page("11")).await.status(), 200);
}

//! Each fault does what it says, is counted, and ends.

use std::time::Duration;

use d365_simulator::{
    Action, Config, CutPoint, DelayPoint, FaultSpec, Kind, LinkTrick, RetryAfter, StockChange,
    StockKey, ThrottleBody, WorldConfig,
};
use serde_json::Value;

use crate::client::{Client, warehouse_page};

async fn client() -> Client {
    Client::start(Config {
        world: Some(WorldConfig {
            items: 200,
            warehouses: 3,
            ..WorldConfig::default()
        }),
        page_size: 50,
        ..Config::default()
    })
    .await
}

/// Adds a fault that fires once.
fn once(client: &Client, kind: Kind, action: Action) -> u64 {
    let fault = FaultSpec::on(kind, action).times(1);
    client.handle.simulator().add_fault(fault)
}

async fn text(client: &Client) -> String {
    let page = client.get(&warehouse_page("11")).await;
    page.text().await.unwrap()
}

fn rows(page: &Value) -> &Vec<Value> {
    page["value"].as_array().unwrap()
}

fn link(page: &Value) -> Option<&str> {
    page["@odata.nextLink"].as_str()
}

/// A good page, the same page under a fault, and proof that the fault fired once and is over.
async fn under(client: &Client, action: Action) -> (Value, Value) {
    let address = warehouse_page("11");
    let good = client.json(&address).await;
    let id = once(client, Kind::Page, action);
    let bad = client.json(&address).await;
    assert_ne!(good, bad);
    let reports = client.handle.simulator().faults();
    let report = reports.iter().find(|report| report.id == id).unwrap();
    assert_eq!(report.fired, 1);
    assert_eq!(client.json(&address).await, good, "the fault is over");
    (good, bad)
}

#[tokio::test]
async fn a_status_comes_with_its_header() {
    let client = client().await;
    let location = "https://login.example/".to_owned();
    let date = Action::Throttle {
        retry_after: RetryAfter::DateIn(9),
        body: ThrottleBody::Empty,
    };
    let wait = Some(3);
    for (action, status, header, value) in [
        (Action::Unauthorized, 401, "p3p", "No P3P policy"),
        (Action::Forbidden, 403, "content-length", "0"),
        (
            Action::ServerError,
            500,
            "content-type",
            "odata.metadata=minimal",
        ),
        (
            Action::Unavailable { retry_after: wait },
            503,
            "retry-after",
            "3",
        ),
        (
            Action::Redirect { location },
            302,
            "location",
            "https://login.example/",
        ),
        (date, 429, "retry-after", " GMT"),
    ] {
        once(&client, Kind::Page, action.clone());
        let answer = client.get(&warehouse_page("11")).await;
        assert_eq!(answer.status(), status, "{action:?}");
        let found = answer.headers()[header].to_str().unwrap();
        assert!(found.contains(value), "{action:?}: {found}");
        assert_eq!(client.get(&warehouse_page("11")).await.status(), 200);
    }
}

#[tokio::test]
async fn rows_missing_and_damaged() {
    let client = client().await;
    let (good, empty) = under(&client, Action::Empty).await;
    assert!(rows(&empty).is_empty() && link(&empty).is_none() && link(&good).is_some());
    let (_, half) = under(&client, Action::Halve).await;
    let kept = rows(&half).len();
    assert_eq!(rows(&half), &rows(&good)[..kept]);
    assert!(
        (10..=25).contains(&kept) && link(&half).is_none(),
        "{kept} rows"
    );
    let item = |row: usize| &rows(&good)[row]["ItemNumber"];
    assert_ne!(item(kept - 1), item(kept), "cut within an item");
    let property = || "AvailableOnHandQuantity".to_owned();
    let missing = Action::MissingProperty {
        property: property(),
        row: 2,
    };
    let (_, missing) = under(&client, missing).await;
    assert!(rows(&missing)[2].get(property()).is_none());
    let null = Action::NullProperty {
        property: property(),
        row: 0,
    };
    let (_, null) = under(&client, null).await;
    assert_eq!(rows(&null)[0][property()], Value::Null);
    let (_, respelled) = under(&client, Action::Respell { every: 2 }).await;
    for (place, row) in rows(&respelled).iter().enumerate() {
        let expected = if place % 2 == 0 { "USMF " } else { "usmf" };
        assert_eq!(row["dataAreaId"], expected);
    }
}

#[tokio::test]
async fn rows_that_were_not_asked_for_are_poisoned() {
    let client = client().await;
    let is_poisoned = |row: &&Value| row["OnHandQuantity"].as_f64().unwrap() > 900_000.0;
    let company = "demf".to_owned();
    let (good, wrong) = under(&client, Action::WrongCompany { company }).await;
    assert!(rows(&wrong).iter().all(|row| row["dataAreaId"] == "demf"));
    assert_eq!(rows(&wrong).iter().filter(is_poisoned).count(), 50);
    let wrong = Action::WrongWarehouse {
        warehouse: "12".into(),
        every: 10,
    };
    let (_, mixed) = under(&client, wrong).await;
    let is_asked = |row: &&Value| row["InventoryWarehouseId"] == "11";
    let (asked, other): (Vec<_>, Vec<_>) = rows(&mixed).iter().partition(is_asked);
    assert_eq!(asked, rows(&good).iter().collect::<Vec<_>>());
    assert!(other.len() == 5 && other.iter().all(is_poisoned));
}

#[tokio::test]
async fn links_that_lead_astray() {
    let client = client().await;
    let trick = |trick| Action::NextLink { trick, host: None };
    let (_, host) = under(&client, trick(LinkTrick::OtherHost)).await;
    assert!(link(&host).unwrap().starts_with("http://evil.example:"));
    let (_, same) = under(&client, trick(LinkTrick::SamePage)).await;
    let here = format!("{}{}", client.url(), warehouse_page("11"));
    assert_eq!(link(&same), Some(here.as_str()));
    once(&client, Kind::Page, trick(LinkTrick::Endless));
    let last = format!("{}&$skip=100000", warehouse_page("11"));
    let last = client.json(&last).await;
    assert!(rows(&last).is_empty() && link(&last).unwrap().ends_with("&$skip=100050"));
}

#[tokio::test]
async fn bodies_that_are_not_pages() {
    let client = client().await;
    let bad = |action| once(&client, Kind::Page, action);
    bad(Action::BadJson);
    assert!(serde_json::from_str::<Value>(&text(&client).await).is_err());
    let lie = "application/json; odata.metadata=minimal";
    bad(Action::Html {
        content_type: lie.to_owned(),
    });
    let html = client.get(&warehouse_page("11")).await;
    assert_eq!(html.headers()["content-type"], lie);
    assert!(html.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    bad(Action::TruncatedGzip);
    let torn = client.get(&warehouse_page("11")).await.bytes().await;
    assert!(torn.is_err(), "the gzip breaks off");
    bad(Action::HugeBody { bytes: 3_000_000 });
    let page: Value = serde_json::from_str(&text(&client).await).unwrap();
    assert_eq!(page["Padding"].as_str().unwrap().len(), 3_000_000);
    assert_eq!(rows(&page).len(), 50);
}

#[tokio::test]
async fn a_cut_comes_after_the_bytes_or_rows_named() {
    let client = client().await;
    let whole = text(&client).await;
    let third_row = whole.match_indices("},{").nth(2).unwrap().0 + 1;
    for (after, expected) in [
        (CutPoint::Bytes(100), 100),
        (CutPoint::Rows(3), third_row),
        (CutPoint::Bytes(0), 0),
    ] {
        once(&client, Kind::Page, Action::Cut { after });
        let mut answer = client.get(&warehouse_page("11")).await;
        let mut got = Vec::new();
        while let Ok(chunk) = answer.chunk().await {
            got.extend_from_slice(&chunk.expect("a cut, not an end"));
        }
        assert_eq!(got.len(), expected, "{after:?}");
        assert!(whole.as_bytes().starts_with(&got));
    }
}

/// How long the simulator was busy with the last request, by its own log.
fn milliseconds_of_the_last(client: &Client) -> i64 {
    let record = client.handle.simulator().requests(0).pop().unwrap();
    record.answered.unwrap().unix_millis() - record.started.unix_millis()
}

#[tokio::test]
async fn a_trickle_brings_everything_slowly() {
    let client = client().await;
    let whole = text(&client).await;
    let trickle = Action::Trickle {
        bytes: whole.len() / 5,
        pause_ms: 20,
    };
    once(&client, Kind::Page, trickle);
    assert_eq!(text(&client).await, whole);
    assert!(milliseconds_of_the_last(&client) >= 100);
}

#[tokio::test]
async fn a_delay_after_the_read_brings_old_data() {
    let client = client().await;
    let simulator = client.handle.simulator();
    let key = StockKey::of("usmf", "NEW", "11");
    let put = |quantity| simulator.put_stock(&key, &StockChange::on_hand(quantity));
    let address = "/data/WarehousesOnHandV2?cross-company=true&$filter=ItemNumber%20eq%20'NEW'";
    for (at, expected) in [(DelayPoint::AfterRead, 1), (DelayPoint::BeforeRead, 2)] {
        put("1").unwrap();
        once(&client, Kind::Lookup, Action::Delay { ms: 400, at });
        let before = simulator.counters().requests;
        let changing = async {
            // The fault has fired when it is noted; the page has been read when its answer is.
            let is_time = || {
                simulator.requests(before).first().is_some_and(|request| {
                    request.faults > 0 && (at == DelayPoint::BeforeRead || request.status.is_some())
                })
            };
            while !is_time() {
                tokio::task::yield_now().await;
            }
            put("2").unwrap();
        };
        let (page, ()) = tokio::join!(client.json(address), changing);
        assert_eq!(rows(&page)[0]["OnHandQuantity"], expected, "{at:?}");
    }
}

#[tokio::test]
async fn a_black_hole_never_answers_and_ends_with_the_simulator() {
    let client = client().await;
    once(&client, Kind::Page, Action::BlackHole);
    let waiting = client.request(&warehouse_page("11"));
    let waiting = waiting.timeout(Duration::from_millis(200)).send().await;
    assert!(waiting.unwrap_err().is_timeout());
    once(&client, Kind::Page, Action::BlackHole);
    let hanging = client.request(&warehouse_page("11")).send();
    let Client { handle, .. } = client;
    let stopping = async {
        while handle.simulator().faults()[1].fired == 0 {
            tokio::task::yield_now().await;
        }
        handle.stop().await;
    };
    let both = async { tokio::join!(hanging, stopping) };
    let ended = tokio::time::timeout(Duration::from_secs(10), both).await;
    let (answer, ()) = ended.expect("the simulator stops although a request is hanging");
    assert!(answer.is_ok_and(|answer| answer.status() == 504));
}

#[tokio::test]
async fn requests_are_told_apart() {
    let client = client().await;
    let lookup = "/data/WarehousesOnHandV2?cross-company=true&$filter=dataAreaId%20eq%20'usmf'%20and%20(ItemNumber%20eq%20'A0001'%20or%20ItemNumber%20eq%20'D0001')";
    for (address, kind) in [
        (lookup, Kind::Lookup),
        (&format!("{lookup}&$orderby=ItemNumber"), Kind::Lookup),
        (&format!("{lookup}&$top=5"), Kind::Page),
        (&format!("{lookup}&$skip=5"), Kind::Page),
        (&warehouse_page("11"), Kind::Page),
        ("/data/WarehousesOnHandV2", Kind::Page),
        ("/data/ReleasedProductVariantsV2", Kind::Variants),
        ("/data/Warehouses", Kind::Warehouses),
        ("/data/", Kind::Other),
    ] {
        client.get(address).await;
        let record = client.handle.simulator().requests(0).pop().unwrap();
        assert_eq!(record.kind, kind, "{address}");
    }
}

#[tokio::test]
async fn the_token_endpoint_can_fail_too() {
    let client = client().await;
    let delay = Action::Delay {
        ms: 100,
        at: DelayPoint::BeforeRead,
    };
    for (action, status, field, value) in [
        (Action::ServerError, 500, "none", Value::Null),
        (Action::Unauthorized, 401, "error", "invalid_client".into()),
        (
            Action::ShortToken { seconds: 60 },
            200,
            "expires_in",
            60.into(),
        ),
        (delay, 200, "expires_in", 3599.into()),
    ] {
        once(&client, Kind::Token, action);
        let answer = client.ask_token(&client.url()).await;
        assert_eq!(answer.status(), status);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body[field], value);
    }
    assert!(milliseconds_of_the_last(&client) >= 100);
}

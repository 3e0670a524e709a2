//! Each fault does what it says, is counted, and ends.

use std::time::Duration;

use d365_simulator::{
    Action, Config, CutPoint, DelayPoint, FaultSpec, Kind, LinkTrick, RetryAfter, StockChange,
    StockKey, ThrottleBody, WorldConfig,
};
use serde_json::Value;

use crate::client::{Client, warehouse_page};

async fn client() -> Client {
    let world = WorldConfig {
        items: 200,
        warehouses: 3,
        ..WorldConfig::default()
    };
    Client::start(Config {
        world: Some(world),
        page_size: 50,
        ..Config::default()
    })
    .await
}

/// Adds a fault that fires once.
fn once(client: &Client, action: Action) -> u64 {
    client
        .handle
        .simulator()
        .add_fault(FaultSpec::on(Kind::Page, action).times(1))
}

fn rows(page: &Value) -> &Vec<Value> {
    page["value"].as_array().unwrap()
}

fn items(page: &Value) -> Vec<&str> {
    rows(page)
        .iter()
        .map(|row| row["ItemNumber"].as_str().unwrap())
        .collect()
}

/// A good page, the same page under a fault, and proof that the fault fired once and is over.
async fn under(client: &Client, action: Action) -> (Value, Value) {
    let address = warehouse_page("11");
    let good = client.json(&address).await;
    let id = once(client, action);
    let bad = client.json(&address).await;
    assert_ne!(good, bad);
    let report = client
        .handle
        .simulator()
        .faults()
        .into_iter()
        .find(|report| report.id == id)
        .unwrap();
    assert_eq!(report.fired, 1);
    assert_eq!(client.json(&address).await, good, "the fault is over");
    (good, bad)
}

#[tokio::test]
async fn statuses() {
    let client = client().await;
    let cases = [
        (Action::Unauthorized, 401),
        (Action::Forbidden, 403),
        (Action::ServerError, 500),
        (
            Action::Unavailable {
                retry_after: Some(3),
            },
            503,
        ),
        (
            Action::Redirect {
                location: "https://login.example/".into(),
            },
            302,
        ),
        (
            Action::Throttle {
                retry_after: RetryAfter::DateIn(9),
                body: ThrottleBody::Empty,
            },
            429,
        ),
    ];
    for (action, status) in cases {
        once(&client, action.clone());
        let answer = client.get(&warehouse_page("11")).await;
        assert_eq!(answer.status(), status, "{action:?}");
        let headers = answer.headers();
        match action {
            Action::Unavailable { .. } => assert_eq!(headers["retry-after"], "3"),
            Action::Redirect { .. } => assert_eq!(headers["location"], "https://login.example/"),
            Action::Throttle { .. } => {
                assert!(headers["retry-after"].to_str().unwrap().ends_with(" GMT"));
            }
            _ => {}
        }
        assert_eq!(client.get(&warehouse_page("11")).await.status(), 200);
    }
}

#[tokio::test]
async fn rows_missing_and_chains_ended() {
    let client = client().await;
    let (good, empty) = under(&client, Action::Empty).await;
    assert!(rows(&empty).is_empty() && empty.get("@odata.nextLink").is_none());
    let (_, half) = under(&client, Action::Halve).await;
    let kept = rows(&half).len();
    assert_eq!(rows(&half), &rows(&good)[..kept]);
    let numbers = items(&good);
    assert!((10..=25).contains(&kept), "{kept} rows");
    assert_ne!(numbers[kept - 1], numbers[kept], "cut within an item");
    assert!(half.get("@odata.nextLink").is_none());
    let item = numbers[3].to_owned();
    let (_, without) = under(&client, Action::DropItem { item: item.clone() }).await;
    assert!(!items(&without).contains(&item.as_str()));
    assert_eq!(
        without["@odata.nextLink"], good["@odata.nextLink"],
        "the chain goes on"
    );
}

#[tokio::test]
async fn rows_that_were_not_asked_for_are_poisoned() {
    let client = client().await;
    let (_, wrong) = under(
        &client,
        Action::WrongCompany {
            company: "demf".into(),
        },
    )
    .await;
    assert!(rows(&wrong).iter().all(|row| row["dataAreaId"] == "demf"));
    assert!(
        rows(&wrong)
            .iter()
            .all(|row| row["OnHandQuantity"].as_f64().unwrap() > 900_000.0)
    );
    let (good, mixed) = under(
        &client,
        Action::WrongWarehouse {
            warehouse: "12".into(),
            every: 10,
        },
    )
    .await;
    let (asked, other): (Vec<_>, Vec<_>) = rows(&mixed)
        .iter()
        .cloned()
        .partition(|row| row["InventoryWarehouseId"] == "11");
    assert_eq!(&asked, rows(&good));
    assert_eq!(other.len(), 5);
    assert!(
        other
            .iter()
            .all(|row| row["AvailableOnHandQuantity"].as_f64().unwrap() > 900_000.0)
    );
}

#[tokio::test]
async fn rows_repeated_shifted_and_damaged() {
    let client = client().await;
    let (good, repeated) = under(&client, Action::RepeatRow { row: 4 }).await;
    assert_eq!(rows(&repeated)[4], rows(&repeated)[5]);
    assert_eq!(rows(&repeated).len(), rows(&good).len() + 1);
    let (_, shifted) = under(&client, Action::ShiftRows { by: 3 }).await;
    assert_eq!(rows(&shifted)[0], rows(&good)[3]);
    let missing = Action::MissingProperty {
        property: "AvailableOnHandQuantity".into(),
        row: 2,
    };
    let (_, missing) = under(&client, missing).await;
    assert!(rows(&missing)[2].get("AvailableOnHandQuantity").is_none());
    let null = Action::NullProperty {
        property: "AvailableOnHandQuantity".into(),
        row: 0,
    };
    let (_, null) = under(&client, null).await;
    assert_eq!(rows(&null)[0]["AvailableOnHandQuantity"], Value::Null);
}

#[tokio::test]
async fn links_that_lead_astray() {
    let client = client().await;
    let next = |page: &Value| page["@odata.nextLink"].as_str().map(str::to_owned);
    let link = |trick| Action::NextLink { trick, host: None };
    let (good, host) = under(&client, link(LinkTrick::OtherHost)).await;
    assert!(next(&host).unwrap().starts_with("http://evil.example:"));
    let (_, port) = under(&client, link(LinkTrick::OtherPort)).await;
    let expected = format!(
        "http://127.0.0.1:{}/",
        client.handle.address().port().wrapping_add(1)
    );
    assert!(next(&port).unwrap().starts_with(&expected));
    let (_, scheme) = under(&client, link(LinkTrick::OtherScheme)).await;
    assert_eq!(
        next(&scheme).unwrap().replacen("https", "http", 1),
        next(&good).unwrap()
    );
    let (_, user) = under(&client, link(LinkTrick::UserInfo)).await;
    assert!(next(&user).unwrap().contains("@evil.example/data/"));
    let (_, path) = under(&client, link(LinkTrick::OtherPath)).await;
    assert!(!next(&path).unwrap().contains("/data/"));
    let (_, same) = under(&client, link(LinkTrick::SamePage)).await;
    assert_eq!(
        next(&same).unwrap(),
        format!("{}{}", client.url(), warehouse_page("11"))
    );
    once(&client, link(LinkTrick::Endless));
    let last = client
        .json(&format!("{}&$skip=100000", warehouse_page("11")))
        .await;
    assert!(rows(&last).is_empty() && next(&last).unwrap().ends_with("&$skip=100050"));
}

#[tokio::test]
async fn bodies_that_are_not_pages() {
    let client = client().await;
    once(&client, Action::BadJson);
    let answer = client.get(&warehouse_page("11")).await;
    assert_eq!(answer.status(), 200);
    assert!(serde_json::from_str::<Value>(&answer.text().await.unwrap()).is_err());
    for kind in [
        "text/html; charset=utf-8",
        "application/json; odata.metadata=minimal",
    ] {
        once(
            &client,
            Action::Html {
                content_type: kind.into(),
            },
        );
        let answer = client.get(&warehouse_page("11")).await;
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.headers()["content-type"].to_str().unwrap()
            ),
            (200, kind)
        );
        assert!(answer.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    }
    once(&client, Action::TruncatedGzip);
    assert!(
        client
            .get(&warehouse_page("11"))
            .await
            .bytes()
            .await
            .is_err(),
        "the gzip breaks off"
    );
}

#[tokio::test]
async fn a_huge_body_is_sent_to_the_end_and_is_json() {
    let client = client().await;
    once(&client, Action::HugeBody { bytes: 3_000_000 });
    let text = client
        .get(&warehouse_page("11"))
        .await
        .text()
        .await
        .unwrap();
    assert!(text.len() > 3_000_000);
    let page: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(page["Padding"].as_str().unwrap().len(), 3_000_000);
    assert_eq!(rows(&page).len(), 50);
}

#[tokio::test]
async fn a_cut_comes_after_the_bytes_or_rows_named() {
    let client = client().await;
    let whole = client
        .get(&warehouse_page("11"))
        .await
        .text()
        .await
        .unwrap();
    let third_row = whole.match_indices("},{").nth(2).unwrap().0 + 1;
    for (after, expected) in [
        (CutPoint::Bytes(100), 100),
        (CutPoint::Rows(3), third_row),
        (CutPoint::Bytes(0), 0),
    ] {
        once(&client, Action::Cut { after });
        let mut answer = client.get(&warehouse_page("11")).await;
        let mut got = Vec::new();
        let end = loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => got.extend_from_slice(&chunk),
                Ok(None) => break "clean",
                Err(_) => break "cut",
            }
        };
        assert_eq!((end, got.len()), ("cut", expected), "{after:?}");
        assert!(whole.as_bytes().starts_with(&got));
    }
}

#[tokio::test]
async fn a_trickle_brings_everything_slowly() {
    let client = client().await;
    let whole = client
        .get(&warehouse_page("11"))
        .await
        .bytes()
        .await
        .unwrap();
    let bytes = whole.len() / 5;
    once(
        &client,
        Action::Trickle {
            bytes,
            pause_ms: 20,
        },
    );
    assert_eq!(
        client
            .get(&warehouse_page("11"))
            .await
            .bytes()
            .await
            .unwrap(),
        whole
    );
    assert!(milliseconds_of_the_last(&client) >= 100);
}

/// How long the simulator was busy with the last request, by its own log.
fn milliseconds_of_the_last(client: &Client) -> i64 {
    let record = client.handle.simulator().requests(0).pop().unwrap();
    record.answered.unwrap().unix_millis() - record.started.unix_millis()
}

#[tokio::test]
async fn a_delay_after_the_read_brings_old_data() {
    let client = client().await;
    let key = StockKey::of("usmf", "A0001", "11");
    let address = "/data/WarehousesOnHandV2?cross-company=true&$filter=dataAreaId%20eq%20'usmf'%20and%20InventoryWarehouseId%20eq%20'11'%20and%20ItemNumber%20eq%20'A0001'";
    for (at, expected) in [(DelayPoint::AfterRead, "1"), (DelayPoint::BeforeRead, "2")] {
        let simulator = client.handle.simulator();
        simulator
            .put_stock(
                &key,
                &StockChange {
                    reserved: Some("0".into()),
                    ..StockChange::on_hand("1")
                },
            )
            .unwrap();
        simulator.clear_faults();
        simulator.add_fault(FaultSpec::on(Kind::Lookup, Action::Delay { ms: 400, at }));
        let before = simulator.counters();
        let reading = client.json(address);
        let changing = async {
            // The request is under way as soon as the simulator has counted it.
            while simulator.counters().requests == before.requests
                || simulator.faults()[0].fired == 0
            {
                tokio::task::yield_now().await;
            }
            if at == DelayPoint::AfterRead {
                // The page has been read when its answer is noted.
                while simulator.requests(before.requests)[0].status.is_none() {
                    tokio::task::yield_now().await;
                }
            }
            simulator
                .put_stock(&key, &StockChange::on_hand("2"))
                .unwrap();
        };
        let (page, ()) = tokio::join!(reading, changing);
        assert_eq!(
            rows(&page)[0]["AvailableOnHandQuantity"].to_string(),
            expected,
            "{at:?}"
        );
    }
}

#[tokio::test]
async fn a_black_hole_never_answers_and_ends_with_the_simulator() {
    let client = client().await;
    once(&client, Action::BlackHole);
    let waiting = client
        .request(&warehouse_page("11"))
        .timeout(Duration::from_millis(200))
        .send()
        .await;
    assert!(waiting.unwrap_err().is_timeout());
    once(&client, Action::BlackHole);
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
    assert!(
        answer.is_ok_and(|answer| answer.status() == 504),
        "the hole ends with the simulator"
    );
}

#[tokio::test]
async fn lookups_and_pages_are_told_apart() {
    let client = client().await;
    let lookup = "/data/WarehousesOnHandV2?cross-company=true&$filter=dataAreaId%20eq%20'usmf'%20and%20(ItemNumber%20eq%20'A0001'%20or%20ItemNumber%20eq%20'D0001')";
    let cases = [
        (lookup.to_owned(), Kind::Lookup),
        (format!("{lookup}&$select=ItemNumber"), Kind::Lookup),
        (format!("{lookup}&$top=5"), Kind::Page),
        (format!("{lookup}&$orderby=ItemNumber"), Kind::Lookup),
        (format!("{lookup}&$orderby=ItemNumber&$skip=5"), Kind::Page),
        (warehouse_page("11"), Kind::Page),
        ("/data/WarehousesOnHandV2".to_owned(), Kind::Page),
        (
            "/data/ReleasedProductVariantsV2?cross-company=true".to_owned(),
            Kind::Variants,
        ),
        ("/data/Warehouses".to_owned(), Kind::Warehouses),
        ("/data/WarehousesOnHandV2/$count".to_owned(), Kind::Count),
        ("/data/".to_owned(), Kind::Other),
    ];
    for (address, kind) in cases {
        client.get(&address).await;
        let record = client.handle.simulator().requests(0).pop().unwrap();
        assert_eq!(record.kind, kind, "{address}");
    }
}

#[tokio::test]
async fn the_token_endpoint_can_fail_too() {
    let client = client().await;
    let simulator = client.handle.simulator();
    simulator.add_fault(FaultSpec::on(Kind::Token, Action::ServerError).times(1));
    assert_eq!(client.ask_token(&client.url()).await.status(), 500);
    simulator.add_fault(FaultSpec::on(Kind::Token, Action::Unauthorized).times(1));
    let revoked = client.ask_token(&client.url()).await;
    assert_eq!(revoked.status(), 401);
    assert_eq!(
        revoked.json::<Value>().await.unwrap()["error"],
        "invalid_client"
    );
    simulator.add_fault(
        FaultSpec::on(
            Kind::Token,
            Action::Delay {
                ms: 100,
                at: DelayPoint::BeforeRead,
            },
        )
        .times(1),
    );
    assert_eq!(client.ask_token(&client.url()).await.status(), 200);
    assert!(milliseconds_of_the_last(&client) >= 100);
}

//! The control API over HTTP.

use d365_simulator::{Config, JournalEntry, Secret, TruthLine, WorldConfig};
use serde_json::{Value, json};

use crate::client::{Client, warehouse_page};

async fn client() -> Client {
    let world = WorldConfig {
        items: 120,
        warehouses: 3,
        ..WorldConfig::default()
    };
    Client::start(Config {
        world: Some(world),
        ..Config::default()
    })
    .await
}

async fn lines<T: serde::de::DeserializeOwned>(client: &Client, path: &str) -> Vec<T> {
    let answer = client.get(path).await;
    assert_eq!(answer.status(), 200, "{path}");
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    answer
        .text()
        .await
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn send(client: &Client, method: &str, path: &str, body: Value) -> (u16, Value) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = client
        .http
        .request(method, format!("{}{path}", client.url()))
        .json(&body);
    let answer = request.send().await.unwrap();
    (
        answer.status().as_u16(),
        answer.json().await.unwrap_or(Value::Null),
    )
}

#[tokio::test]
async fn stock_is_put_seen_and_deleted() {
    let client = client().await;
    let before: Value = client.json("/control/clock").await;
    let row = json!({"company": "usmf", "item": "NEW 'ITEM'", "warehouse": "11", "color": "Red", "on_hand": "7.25", "reserved": "0.25"});
    let (status, put) = send(&client, "PUT", "/control/stock", row).await;
    assert_eq!(status, 200);
    assert!(put["at"].as_str().unwrap() >= before["now"].as_str().unwrap());
    let truth: Vec<TruthLine> = lines(&client, "/control/truth?company=usmf&warehouse=11").await;
    let line = truth.iter().find(|line| line.item == "NEW 'ITEM'").unwrap();
    assert_eq!(
        (
            line.available.as_str(),
            line.color.as_str(),
            line.site.as_str()
        ),
        ("7", "Red", "1")
    );
    let page = client
        .json(&format!("{}&$top=10000", warehouse_page("11")))
        .await;
    assert!(
        page["value"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["ItemNumber"] == "NEW 'ITEM'")
    );
    let key = "company=usmf&item=NEW%20'ITEM'&warehouse=11&color=Red";
    let (status, _) = send(
        &client,
        "DELETE",
        &format!("/control/stock?{key}"),
        json!(null),
    )
    .await;
    assert_eq!(status, 200);
    let journal: Vec<JournalEntry> =
        lines(&client, "/control/journal?company=usmf&item=new%20'item'").await;
    assert_eq!(
        journal
            .iter()
            .map(|entry| entry.line.is_some())
            .collect::<Vec<_>>(),
        [true, false]
    );
    let at = put["at"].as_str().unwrap();
    let then: Vec<TruthLine> =
        lines(&client, &format!("/control/truth?company=usmf&at={at}")).await;
    assert!(
        then.iter().any(|line| line.item == "NEW 'ITEM'"),
        "the past stays"
    );
    let (status, _) = send(
        &client,
        "DELETE",
        &format!("/control/stock?{key}"),
        json!(null),
    )
    .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn the_truth_of_many_items_comes_whole() {
    let world = WorldConfig {
        items: 4500,
        warehouses: 2,
        ..WorldConfig::default()
    };
    let client = Client::start(Config {
        world: Some(world),
        ..Config::default()
    })
    .await;
    let sent: Vec<TruthLine> = lines(&client, "/control/truth?company=usmf").await;
    assert!(sent.len() > 7000);
    assert_eq!(
        sent,
        client.handle.simulator().truth("usmf", None, None).unwrap()
    );
}

#[tokio::test]
async fn sales_move_stock_and_stop_when_told() {
    let client = client().await;
    let simulator = client.handle.simulator();
    let at_start = simulator.now();
    let before = simulator.truth("usmf", None, None).unwrap();
    // A sale within the same millisecond would belong to that instant's truth.
    while simulator.now() == at_start {
        tokio::task::yield_now().await;
    }
    let (status, _) = send(
        &client,
        "POST",
        "/control/sales",
        json!({"per_second": 5000.0}),
    )
    .await;
    assert_eq!(status, 200);
    while simulator.sales().1 < 50 {
        tokio::task::yield_now().await;
    }
    let (status, stopped) = send(&client, "POST", "/control/sales", json!({"per_second": 0})).await;
    assert_eq!(status, 200);
    let after = simulator.truth("usmf", None, None).unwrap();
    assert_ne!(before, after);
    assert_eq!(
        simulator.sales().1,
        stopped["made"].as_u64().unwrap(),
        "none is in flight"
    );
    assert_eq!(simulator.truth("usmf", None, None).unwrap(), after);
    let then = simulator.truth("usmf", None, Some(at_start)).unwrap();
    assert_eq!(then, before, "the truth of the start can still be asked");
    let (status, _) = send(&client, "POST", "/control/sales", json!({"per_second": -1})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn faults_are_added_counted_and_removed() {
    let client = client().await;
    let two = json!([
        {"on": "page", "warehouse": "11", "times": 1, "action": {"do": "server-error"}},
        {"on": "token", "action": {"do": "delay", "ms": 1}},
    ]);
    let (status, added) = send(&client, "POST", "/control/faults", two).await;
    assert_eq!((status, &added["ids"]), (200, &json!([1, 2])));
    assert_eq!(client.get(&warehouse_page("11")).await.status(), 500);
    let faults = client.json("/control/faults").await;
    assert_eq!(
        (&faults[0]["fired"], &faults[1]["fired"]),
        (&json!(1), &json!(0))
    );
    let (status, _) = send(
        &client,
        "POST",
        "/control/faults",
        json!({"on": "page", "action": {"do": "nothing"}}),
    )
    .await;
    assert_eq!(status, 400);
    assert_eq!(
        send(&client, "DELETE", "/control/faults/1", json!(null))
            .await
            .0,
        204
    );
    assert_eq!(
        send(&client, "DELETE", "/control/faults/1", json!(null))
            .await
            .0,
        404
    );
    assert_eq!(
        send(&client, "DELETE", "/control/faults", json!(null))
            .await
            .0,
        204
    );
    assert_eq!(client.json("/control/faults").await, json!([]));
}

#[tokio::test]
async fn the_log_tells_what_was_asked() {
    let client = client().await;
    client
        .get(&format!("{}&$top=5", warehouse_page("12")))
        .await
        .text()
        .await
        .unwrap();
    let log = client.json("/control/requests?since=1").await;
    let record = &log["requests"][0];
    assert_eq!(
        (
            &record["seq"],
            &record["kind"],
            &record["status"],
            &record["rows"],
            &record["warehouse"]
        ),
        (
            &json!(2),
            &json!("page"),
            &json!(200),
            &json!(5),
            &json!("12")
        )
    );
    assert_eq!(record["app"], Config::CLIENT_ID);
    assert!(record["started"].as_str().unwrap() <= record["answered"].as_str().unwrap());
    assert_eq!(log["counters"]["answers"]["page 200"], 1);
    assert!(!log.to_string().contains(&client.token));
}

#[tokio::test]
async fn quirks_and_load_change_while_it_runs() {
    let client = client().await;
    let (status, switches) = send(
        &client,
        "PUT",
        "/control/switches",
        json!({"numbers": "six-decimals", "gzip": true}),
    )
    .await;
    assert_eq!(
        (status, &switches["numbers"]),
        (200, &json!("six-decimals"))
    );
    let (status, _) = send(
        &client,
        "PUT",
        "/control/switches",
        json!({"nubmers": "plain"}),
    )
    .await;
    assert_eq!(status, 400);
    let model = json!({"capacity": 1, "background_level": 500, "retry_after": 4});
    assert_eq!(send(&client, "PUT", "/control/load", model).await.0, 200);
    assert_eq!(client.get(&warehouse_page("11")).await.status(), 429);
    assert_eq!(client.json("/control/load").await["refused"], 1);
    assert_eq!(
        send(&client, "PUT", "/control/load", json!({})).await.0,
        200
    );
    assert_eq!(client.get(&warehouse_page("11")).await.status(), 200);
}

#[tokio::test]
async fn variants_and_warehouses_are_told() {
    let client = client().await;
    let warehouses: Vec<Value> = lines(&client, "/control/warehouses").await;
    let usmf: Vec<_> = warehouses
        .iter()
        .filter(|line| line["company"] == "usmf")
        .collect();
    assert_eq!(usmf.len(), 5);
    assert!(
        usmf.iter()
            .any(|line| line["warehouse"] == "13" && line["rows"].as_u64().unwrap() > 50)
    );
    let variants: Vec<Value> = lines(&client, "/control/variants?company=usmf").await;
    assert!(
        variants
            .iter()
            .all(|line| line["variant"].as_str().unwrap().starts_with("SKU-"))
    );
    assert!(!variants.is_empty());
    for path in [
        "/control/variants?company=none",
        "/control/truth?company=none",
        "/control/nothing",
    ] {
        assert_eq!(client.get(path).await.status(), 404, "{path}");
    }
    for path in [
        "/control/truth",
        "/control/truth?company=usmf&at=yesterday",
        "/control/truth?company=usmf&x=1",
    ] {
        assert_eq!(client.get(path).await.status(), 400, "{path}");
    }
}

#[tokio::test]
async fn a_control_token_is_asked_for_where_configured() {
    let config = Config {
        control_token: Some(Secret::new("t0ken")),
        ..Config::default()
    };
    let client = Client::start(config).await;
    assert_eq!(client.get("/control/clock").await.status(), 401);
    let wrong = client
        .request("/control/clock")
        .header("X-Control-Token", "other");
    assert_eq!(wrong.send().await.unwrap().status(), 401);
    let right = client
        .request("/control/clock")
        .header("X-Control-Token", "t0ken");
    assert_eq!(right.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn beyond_loopback_the_control_api_is_closed_without_a_token() {
    let listen = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    let handle = d365_simulator::start(Config {
        listen,
        ..Config::default()
    })
    .unwrap();
    let url = format!("http://127.0.0.1:{}/control/clock", handle.address().port());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 403);
    handle.stop().await;
}

//! The control API over HTTP.

use d365_simulator::Config;
use serde_json::{Value, json};

use crate::client::{Client, warehouse_page};

async fn send(client: &Client, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let method = method.parse().unwrap();
    let request = client
        .http
        .request(method, format!("{}{path}", client.url()));
    let answer = request.json(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

#[tokio::test]
async fn stock_faults_sales_and_quirks_change_while_it_runs() {
    let client = Client::start(Config::default()).await;
    let send = async |method, path, body: Value| send(&client, method, path, &body).await;
    let row = json!({"company": "usmf", "item": "NEW 'ITEM'", "warehouse": "11", "color": "Red", "on_hand": "7.25", "reserved": "0.25"});
    assert_eq!(send("PUT", "/control/stock", row).await.0, 200);
    let truth = client
        .json("/control/truth?company=usmf&warehouse=11")
        .await;
    let is_new = |line: &&Value| line["item"] == "NEW 'ITEM'";
    let line = truth.as_array().unwrap().iter().find(is_new).unwrap();
    assert_eq!(
        (&line["available"], &line["color"]),
        (&json!("7"), &json!("Red"))
    );

    let faults =
        json!([{"on": "page", "warehouse": "11", "times": 1, "action": {"do": "server-error"}}]);
    let (_, added) = send("POST", "/control/faults", faults).await;
    assert_eq!(added["ids"], json!([1]));
    assert_eq!(client.get(&warehouse_page("11")).await.status(), 500);
    let fired = client.json("/control/faults").await;
    assert_eq!(
        (&fired[0]["fired"], &fired[0]["matched"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(send("DELETE", "/control/faults", json!(null)).await.0, 204);
    assert_eq!(client.json("/control/faults").await, json!([]));

    let switches = json!({"numbers": "six-decimals", "gzip": true});
    assert_eq!(send("PUT", "/control/switches", switches).await.0, 204);
    let page = client
        .get(&warehouse_page("11"))
        .await
        .text()
        .await
        .unwrap();
    assert!(page.contains("\"AvailableOnHandQuantity\":7.000000"));
    let key = "/control/stock?company=usmf&item=NEW%20'ITEM'&warehouse=11&color=Red";
    assert_eq!(send("DELETE", key, json!(null)).await.0, 200);
    let (_, sales) = send("POST", "/control/sales", json!({"per_second": 0})).await;
    assert_eq!(sales["made"], 0);

    let log = client.json("/control/requests").await;
    let record = log["requests"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (
            &record["kind"],
            &record["status"],
            &record["warehouse"],
            &record["app"]
        ),
        (
            &json!("page"),
            &json!(200),
            &json!("11"),
            &json!(Config::CLIENT_ID)
        )
    );
    assert!(record["started"].as_str() <= record["answered"].as_str());
    assert_eq!(log["counters"]["answers"]["page 500"], 1);
    assert!(!log.to_string().contains(&client.token));
    for (method, path, body, status) in [
        (
            "POST",
            "/control/faults",
            json!([{"action": {"do": "nothing"}}]),
            400,
        ),
        ("PUT", "/control/switches", json!({"nubmers": "plain"}), 400),
        ("DELETE", key, json!(null), 400),
        ("GET", "/control/truth?company=none", json!(null), 400),
        ("GET", "/control/nothing", json!(null), 404),
    ] {
        assert_eq!(send(method, path, body).await.0, status, "{method} {path}");
    }
}

#[tokio::test]
async fn sales_move_stock_and_stop_where_they_are_told_to() {
    let client = Client::start(Config::default()).await;
    let simulator = client.handle.simulator();
    let at_start = simulator.now();
    let before = simulator.truth("usmf", None, None).unwrap();
    // A sale within the same millisecond would belong to that instant's truth.
    while simulator.now() == at_start {
        tokio::task::yield_now().await;
    }
    simulator.set_sales(5_000.0);
    while simulator.sales().1 < 50 {
        tokio::task::yield_now().await;
    }
    simulator.set_sales(0.0);
    let (_, made) = simulator.sales();
    let after = simulator.truth("usmf", None, None).unwrap();
    assert_ne!(before, after);
    assert_eq!(simulator.truth("usmf", None, None).unwrap(), after);
    assert_eq!(simulator.sales().1, made, "none is under way");
    let then = simulator.truth("usmf", None, Some(at_start)).unwrap();
    assert_eq!(then, before, "the truth of the start can still be asked");
}

#[tokio::test]
async fn beyond_loopback_the_control_api_is_closed() {
    let handle = d365_simulator::start(Config {
        listen: std::net::SocketAddr::from(([0, 0, 0, 0], 0)),
        ..Config::default()
    })
    .unwrap();
    let url = format!(
        "http://127.0.0.1:{}/control/faults",
        handle.address().port()
    );
    assert_eq!(reqwest::get(url).await.unwrap().status(), 403);
    handle.stop().await;
}

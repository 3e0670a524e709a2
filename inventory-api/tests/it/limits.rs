//! What callers may send, how fast and how often. What a connection may do is proved in
//! `shared/src/http/connections`; here that the service has those limits.

use crate::rig::{PATIENCE, Rig, STOCK, code, fast, told};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const GET_LIMITS: &str = "GET /inventory/v1/limits HTTP/1.1\r\nhost: localhost\r\n\r\n";

async fn connect(rig: &Rig) -> TcpStream {
    let address = rig.api.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// The head of a request with a JSON body that is sent as `framing` says.
fn head(path: &str, framing: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
    )
}

/// Sends `begin`, then `piece` again and again, until the service closes the connection, which it must;
/// what came back.
async fn trickled(rig: &Rig, begin: &str, piece: &str) -> String {
    let (mut reading, mut writing) = connect(rig).await.into_split();
    writing.write_all(begin.as_bytes()).await.unwrap();
    let pieces = async {
        while writing.write_all(piece.as_bytes()).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut reply = Vec::new();
    tokio::select! {
        () = pieces => {}
        // A reset is an end too.
        read = timeout(PATIENCE, reading.read_to_end(&mut reply)) => { let _ = read.expect("it is closed"); }
    }
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn every_limit_is_served_and_names_the_refusal() {
    let rig = Rig::start_with("[api.limits]\nheader_timeout = \"2s\"\nskus = 3").await;
    let (_, limits) = told(rig.get("/inventory/v1/limits").send().await.unwrap()).await;
    let expected = json!({ "jsonDepth": 32, "headerTimeoutMs": 2_000, "bodyTimeoutMs": 5_000,
        "keepAliveMs": 75_000, "connections": 5_000, "requestsPerSecondPerCaller": 1_000,
        "burstPerCaller": 2_000, "bodyBytes": 1_048_576, "requestsInFlight": 512,
        "connectionsPerAddress": 1_000, "quietConnections": 400, "largeBodyBytes": 65_536,
        "largeBodies": 4, "largeBodiesPerCaller": 2, "largeBodiesWaitingPerCaller": 8,
        "wrongPasswordsPerSecond": 2, "wrongPasswordsAtOnce": 60, "tokenCharacters": 8_192,
        "longestReservationSeconds": 3_600, "holdsPerSku": 2_000, "reservationsPerSku": 1_000,
        "smallestQuantity": 0.001, "slowBodiesPerCaller": 64, "largeReplyLines": 230,
        "lines": 50_000, "linesPerCaller": 40_000, "skus": 3, "longestTimeoutMs": 5_000 });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&limits[name], value, "{name}");
    }
    for (field, value, status, name) in [
        ("timeoutMs", json!(199), 422, "shortestTimeoutMs"),
        ("timeoutMs", json!(5_001), 422, "longestTimeoutMs"),
        ("maxAgeSeconds", json!(31_536_001), 422, "maxAgeSeconds"),
        ("skus", json!(["a", "b", "c", "d"]), 413, "skus"),
    ] {
        let mut question = fast("11", &["a"]);
        question[field] = value;
        let (found, body) = rig.stock(question).await;
        let expected = json!({ "name": name, "limit": limits[name].to_string() });
        assert_eq!(
            (found, &body["errors"][0]["parameters"]),
            (status, &expected)
        );
    }
    let (_, document) = told(rig.get("/inventory/api").send().await.unwrap()).await;
    let question = &document["components"]["schemas"]["StockQuestion"]["properties"];
    assert_eq!(question["products"]["maxItems"], 3);
}

#[tokio::test]
async fn what_trickles_is_not_waited_for() {
    let limits =
        "[api.limits]\nbody_timeout = \"300ms\"\nheader_timeout = \"1s\"\nkeep_alive = \"1s\"";
    let rig = Rig::start_with(limits).await;
    let body = format!("{}{{", head(STOCK, "content-length: 5000"));
    let reply = trickled(&rig, &body, " ").await;
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
    assert!(reply.contains("\"name\":\"bodyTimeoutMs\""), "{reply}");
    trickled(&rig, "GET / HTTP/1.1\r\nx: ", "y").await;
    let second = format!("{GET_LIMITS}GET /inventory/v1/limits HTTP/1.1\r\nhost: ");
    let reply = trickled(&rig, &second, "").await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
}

#[tokio::test]
async fn a_body_that_goes_on_after_its_refusal_is_not_drained_for_long() {
    // A connection that is merely quiet would stay for longer than the test waits.
    let rig = Rig::start_with("[api.limits]\nkeep_alive = \"20s\"").await;
    let head = head("/inventory/v1/nowhere", "transfer-encoding: chunked");
    let reply = trickled(&rig, &head, "1\r\nx\r\n").await;
    assert!(reply.starts_with("HTTP/1.1 404 "), "{reply}");
}

/// A question that takes more than 64 KiB.
fn large_question() -> String {
    let skus: Vec<String> = (0..1_000).map(|n| format!("{n:0100}")).collect();
    fast("11", &skus.iter().map(String::as_str).collect::<Vec<_>>()).to_string()
}

#[tokio::test]
async fn large_bodies_take_turns_and_small_ones_need_none() {
    let rig = Rig::start_with("[api.limits]\nbody_timeout = \"3s\"").await;
    let read = rig.ago(Duration::from_secs(30));
    rig.snapshot(read, &["11"], &[("a", "11", "1")]).await;
    let question = large_question();
    let (early, rest) = question.as_bytes().split_at(100_000);
    let head = head(STOCK, &format!("content-length: {}", question.len()));
    let begin = async || {
        let mut connection = connect(&rig).await;
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(early).await.unwrap();
        connection
    };
    let mut two = [begin().await, begin().await];
    let large_ones = async |number: u8| {
        rig.eventually("large bodies in work", async || {
            let line = format!("inventory_api_large_bodies {number}");
            rig.metrics().await.lines().any(|found| found == line)
        })
        .await;
    };
    large_ones(2).await;
    let ask = async |body: String| {
        let request = rig.client.post(format!("{}{STOCK}", rig.api));
        let request = request.header("content-type", "application/json");
        let (status, body) = told(request.body(body).send().await.unwrap()).await;
        assert_eq!(status, 200, "{body}");
        body["data"].as_array().unwrap().len()
    };
    let others = async {
        assert_eq!(ask(fast("11", &["a"]).to_string()).await, 1);
        // One of the two ends, and the third of this caller has its turn.
        two[0].write_all(rest).await.unwrap();
        let mut start = [0; 12];
        two[0].read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    };
    let (third, ()) = tokio::join!(ask(large_question()), others);
    assert_eq!(third, 1_000);
    let mut reply = [0; 12];
    let read = timeout(PATIENCE, two[1].read_exact(&mut reply)).await;
    read.unwrap().unwrap();
    assert_eq!(&reply, b"HTTP/1.1 408");
    large_ones(0).await;
}

#[tokio::test]
async fn bodies_that_trickle_are_few_of_one_caller_and_hold_nobody_up() {
    let rig = Rig::start().await;
    let head = head(STOCK, "content-length: 100");
    let mut trickling = Vec::new();
    for _ in 0..65 {
        let mut connection = connect(&rig).await;
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(b"{").await.unwrap();
        trickling.push(connection);
    }
    // Sooner than the time of a body is over.
    let replies = trickling.iter_mut().map(|connection| {
        Box::pin(async {
            let mut reply = [0; 4096];
            let length = connection.read(&mut reply).await.unwrap();
            String::from_utf8_lossy(&reply[..length]).into_owned()
        })
    });
    let first = timeout(PATIENCE, futures_util::future::select_all(replies));
    let (first, ..) = first.await.unwrap();
    assert!(first.starts_with("HTTP/1.1 429"), "{first}");
    assert!(first.contains("slowBodiesPerCaller"), "{first}");
    let (status, _) = told(rig.get("/inventory/v1/limits").send().await.unwrap()).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_caller_who_asks_too_often_learns_when_to_come_back() {
    let limits = "[api.limits]\nrequests_per_second_per_caller = 1\n";
    let rig = Rig::start_with(limits).await;
    for _ in 0..2 {
        assert_ne!(rig.stock(fast("11", &["a"])).await.0, 429);
    }
    let mut reply = rig.post(STOCK, &fast("11", &["a"])).send().await.unwrap();
    while reply.status() != 429 {
        reply = rig.post(STOCK, &fast("11", &["a"])).send().await.unwrap();
    }
    let wait: u64 = reply.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    let (_, body) = told(reply).await;
    assert_eq!(code(&body), "inventory.throttled.error");
    let expected = json!({ "name": "requestsPerSecondPerCaller", "limit": "1" });
    assert_eq!(body["errors"][0]["parameters"], expected);
    assert_eq!(rig.ready().await["ready"], true);
}

/// A certificate of its own, for a caller who believes any.
fn tls_settings(folder: &Path) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let [key_file, certificate_file] = ["key.pem", "certificate.pem"].map(|name| folder.join(name));
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    let (key, certificate) = (key_file.display(), certificate_file.display());
    format!("[api.tls]\nkey_file = '{key}'\ncertificate_file = '{certificate}'\n")
}

#[tokio::test]
async fn silent_callers_do_not_keep_others_from_shaking_hands() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(&tls_settings(folder.path())).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(connect(&rig).await);
    }
    let caller = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        // Before the silent ones are given up.
        .timeout(Duration::from_secs(4))
        .build()
        .unwrap();
    let address = rig.api.replace("http://", "https://");
    let asked = caller.get(format!("{address}/inventory/v1/limits"));
    assert_eq!(asked.send().await.unwrap().status(), 200);
}

//! What callers may send, how fast and how often.

use crate::rig::{PATIENCE, Rig, code, fast, told};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const STOCK: &str = "/inventory/v1/inventories";

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

/// Everything until the service closes the connection, which it must.
async fn rest_of(connection: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    // A reset is an end too.
    let _ = timeout(PATIENCE, connection.read_to_end(&mut reply))
        .await
        .expect("the connection is closed");
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn every_limit_is_served() {
    let rig = Rig::start_with("[api.limits]\nheader_timeout = \"2s\"").await;
    let (_, limits) = told(rig.get("/inventory/v1/limits").send().await.unwrap()).await;
    let expected = json!({ "jsonDepth": 32, "headerTimeoutMs": 2_000, "bodyTimeoutMs": 5_000,
        "keepAliveMs": 75_000, "connections": 5_000, "requestsPerSecondPerCaller": 1_000,
        "burstPerCaller": 2_000, "bodyBytes": 1_048_576, "requestsInFlight": 512,
        "connectionsPerAddress": 1_000, "quietConnections": 400, "largeBodyBytes": 65_536,
        "largeBodies": 4, "largeBodiesPerCaller": 2, "largeBodiesWaitingPerCaller": 8,
        "wrongPasswordsPerSecond": 2, "wrongPasswordsAtOnce": 60, "tokenCharacters": 8_192,
        "longestReservationSeconds": 3_600, "holdsPerSku": 2_000, "reservationsPerSku": 1_000,
        "smallestQuantity": 0.001, "slowBodiesPerCaller": 64, "largeReplyLines": 230,
        "lines": 50_000, "linesPerCaller": 40_000 });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&limits[name], value, "{name}");
    }
}

#[tokio::test]
async fn a_number_beyond_a_limit_is_refused_by_the_limits_name() {
    let rig = Rig::start().await;
    let (_, limits) = told(rig.get("/inventory/v1/limits").send().await.unwrap()).await;
    for (field, value, name) in [
        ("timeoutMs", 199, "shortestTimeoutMs"),
        ("timeoutMs", 5_001, "longestTimeoutMs"),
        ("maxAgeSeconds", 31_536_001, "maxAgeSeconds"),
    ] {
        let mut question = fast("11", &["a"]);
        question[field] = json!(value);
        let (status, body) = rig.stock(question).await;
        assert_eq!(
            (status, code(&body)),
            (422, "inventory.request.invalid.error")
        );
        let limit = limits[name].to_string();
        let expected = json!({ "name": name, "limit": limit });
        assert_eq!(body["errors"][0]["parameters"], expected);
    }
}

#[tokio::test]
async fn a_body_that_trickles_is_not_waited_for() {
    let rig = Rig::start_with("[api.limits]\nbody_timeout = \"300ms\"").await;
    let mut connection = connect(&rig).await;
    let head = head(STOCK, "content-length: 5000");
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(b"{").await.unwrap();
    let (mut reading, mut writing) = connection.into_split();
    let trickle = async {
        while writing.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut reply = Vec::new();
    tokio::select! {
        () = trickle => {}
        read = timeout(PATIENCE, reading.read_to_end(&mut reply)) => { let _ = read.unwrap(); }
    }
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
    assert!(reply.contains("\"name\":\"bodyTimeoutMs\""), "{reply}");
}

#[tokio::test]
async fn a_head_that_trickles_is_not_waited_for() {
    let rig = Rig::start_with("[api.limits]\nheader_timeout = \"1s\"").await;
    let (mut reading, mut writing) = connect(&rig).await.into_split();
    let trickle = async {
        writing.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        while writing.write_all(b"y").await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut reply = Vec::new();
    tokio::select! {
        () = trickle => {}
        read = timeout(PATIENCE, reading.read_to_end(&mut reply)) => { let _ = read.unwrap(); }
    }
}

#[tokio::test]
async fn a_connection_nobody_uses_is_closed() {
    let rig = Rig::start_with("[api.limits]\nkeep_alive = \"1s\"\nheader_timeout = \"1s\"").await;
    let mut silent = connect(&rig).await;
    let mut used = connect(&rig).await;
    used.write_all(b"GET /inventory/v1/limits HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(rest_of(&mut used).await.starts_with("HTTP/1.1 200 "));
    rest_of(&mut silent).await;
}

#[tokio::test]
async fn a_body_that_is_nested_too_deep_is_refused_unparsed() {
    let rig = Rig::start().await;
    let nested = |depth: usize| {
        format!(
            "{{\"warehouseId\":\"11\",\"skus\":[\"a\"],\"x\":{}{}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    let send = async |body: String| {
        let request = rig.client.post(format!("{}{STOCK}", rig.api));
        let request = request.header("content-type", "application/json");
        told(request.body(body).send().await.unwrap()).await
    };
    let (status, body) = send(nested(31)).await;
    assert_ne!(status, 413, "{body}");
    for depth in [32, 100_000] {
        let (status, body) = send(nested(depth)).await;
        assert_eq!(
            (status, code(&body)),
            (413, "inventory.request.too_large.error")
        );
        assert_eq!(
            body["errors"][0]["parameters"],
            json!({ "name": "jsonDepth", "limit": "32" })
        );
    }
}

/// A question that takes more than 64 KiB.
fn large_question() -> String {
    let skus: Vec<String> = (0..1_000).map(|n| format!("{n:0100}")).collect();
    fast("11", &skus.iter().map(String::as_str).collect::<Vec<_>>()).to_string()
}

#[tokio::test]
async fn large_bodies_have_turns_and_small_ones_need_none() {
    let rig = Rig::start_with("[api.limits]\nbody_timeout = \"3s\"").await;
    let read = rig.ago(Duration::from_secs(30));
    rig.snapshot(read, &["11"], &[("a", "11", "1")]).await;
    let question = large_question();
    let head = head(STOCK, &format!("content-length: {}", question.len()));
    let begin = async |bytes: usize| {
        let mut connection = connect(&rig).await;
        connection.write_all(head.as_bytes()).await.unwrap();
        let early = &question.as_bytes()[..bytes];
        connection.write_all(early).await.unwrap();
        connection
    };
    let mut two = [begin(100_000).await, begin(100_000).await];
    let large_ones = async |number: u8| {
        rig.eventually("large bodies in work", async || {
            let line = format!("inventory_api_large_bodies {number}");
            rig.metrics().await.lines().any(|told| told == line)
        })
        .await;
    };
    large_ones(2).await;
    let ask = async |body: String| {
        let request = rig.client.post(format!("{}{STOCK}", rig.api));
        let request = request.header("content-type", "application/json");
        told(request.body(body).send().await.unwrap()).await
    };
    let others = async {
        let (status, body) = ask(fast("11", &["a"]).to_string()).await;
        assert_eq!(status, 200, "{body}");
        // One of the two ends, and the third of this caller has its turn.
        let rest = &question.as_bytes()[100_000..];
        two[0].write_all(rest).await.unwrap();
        let mut start = [0; 12];
        two[0].read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    };
    let ((status, body), ()) = tokio::join!(ask(large_question()), others);
    assert_eq!(
        (status, body["data"].as_array().unwrap().len()),
        (200, 1_000)
    );
    let reply = rest_of(&mut two[1]).await;
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
    large_ones(0).await;
    let (status, body) = ask(large_question()).await;
    assert_eq!(
        (status, body["data"].as_array().unwrap().len()),
        (200, 1_000)
    );
}

#[tokio::test]
async fn a_caller_who_asks_too_often_is_told_when_to_come_back() {
    let limits = "[api.limits]\nrequests_per_second_per_caller = 1\n";
    let rig = Rig::start_with(limits).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(rig.stock(fast("11", &["a"])).await.0);
    }
    assert!(
        statuses[..2].iter().all(|status| *status != 429),
        "{statuses:?}"
    );
    let request = rig.post(STOCK, &fast("11", &["a"]));
    let mut reply = request.send().await.unwrap();
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
    assert_eq!(
        body["errors"][0]["parameters"],
        json!({ "name": "requestsPerSecondPerCaller", "limit": "1" })
    );
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
    format!(
        "[api.tls]\nkey_file = '{}'\ncertificate_file = '{}'\n",
        key_file.display(),
        certificate_file.display()
    )
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

const QUICK: &str = "[api.limits]\nkeep_alive = \"1s\"\nheader_timeout = \"1s\"";

#[tokio::test]
async fn a_second_head_that_never_ends_is_not_waited_for() {
    let rig = Rig::start_with(QUICK).await;
    let mut connection = connect(&rig).await;
    let first = b"GET /inventory/v1/limits HTTP/1.1\r\nhost: localhost\r\n\r\n";
    connection.write_all(first).await.unwrap();
    assert!(connection.read(&mut [0; 4096]).await.unwrap() > 0);
    // In the first one's wake it would be timed as the pause between the two.
    let second = b"GET /inventory/v1/limits HTTP/1.1\r\nhost: ";
    connection.write_all(second).await.unwrap();
    rest_of(&mut connection).await;
}

#[tokio::test]
async fn a_body_that_goes_on_after_its_refusal_is_not_drained_for_long() {
    // A connection that is merely quiet would stay for longer than the test waits.
    let rig = Rig::start_with("[api.limits]\nkeep_alive = \"20s\"").await;
    let (mut reading, mut writing) = connect(&rig).await.into_split();
    let head = head("/inventory/v1/nowhere", "transfer-encoding: chunked");
    writing.write_all(head.as_bytes()).await.unwrap();
    let chunks = async {
        while writing.write_all(b"1\r\nx\r\n").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let mut reply = Vec::new();
    let ended = timeout(PATIENCE, async {
        tokio::join!(chunks, reading.read_to_end(&mut reply))
    });
    let _reset = ended.await.expect("the connection is closed");
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 404 "), "{reply}");
}

#[tokio::test]
async fn a_reply_nobody_fetches_is_not_kept_for_ever() {
    let rig = Rig::start_with(QUICK).await;
    let mut connection = connect(&rig).await;
    // More than the system takes between the two.
    let asked = b"GET /inventory/api HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let asking = async { while connection.write_all(asked).await.is_ok() {} };
    let ended = timeout(PATIENCE, asking).await;
    assert!(ended.is_ok(), "the connection is closed");
}

#[tokio::test]
async fn a_request_that_is_asked_again_and_again_keeps_its_connection() {
    let rig = Rig::start_with(QUICK).await;
    let mut connection = connect(&rig).await;
    for _ in 0..8 {
        let request = b"HEAD /inventory/v1/limits HTTP/1.1\r\nhost: localhost\r\n\r\n";
        connection.write_all(request).await.unwrap();
        let mut reply = [0; 1024];
        let read = timeout(PATIENCE, connection.read(&mut reply)).await;
        assert!(read.unwrap().unwrap() > 0, "the connection stays");
        sleep(Duration::from_millis(400)).await;
    }
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

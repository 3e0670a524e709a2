//! What callers' connections may cost, and what is answered on them, on every port of both services.

use crate::auth::{Guarded, PASSWORD, user};
use integration_tests::binaries::{Program, Service};
use integration_tests::eventually::eventually;
use integration_tests::test_bed::{TestBed, world};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);
const MINIMAL: &str = "GET / HTTP/1.1\r\nhost:x\r\n\r\n";
/// What Java's default client adds to a request over plain HTTP.
const JAVAS_OFFER: &str = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                           HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n";

/// `host:port` of a URL.
fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// Resident memory of a process, in MB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().split(' ').next().unwrap();
    kilobytes.parse::<u64>().unwrap() / 1_024
}

/// Both services, and a path of each of their ports that is answered.
async fn both() -> (TestBed, Vec<(Service, [&'static str; 2])>) {
    let bed = TestBed::start(world(10), &["24"]).await.unwrap();
    let worker = bed.worker("worker").await.unwrap();
    let (api, _) = bed.api().await.unwrap();
    let services = vec![
        (api, ["/inventory/v1/limits", "/health/live"]),
        (worker, ["/inventoryPrefetcher/v1/status", "/health/live"]),
    ];
    (bed, services)
}

/// One caller's connection.
struct Connection(TcpStream);

impl Connection {
    async fn to(address: &str) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// One whose system takes little: what it takes costs the process nothing.
    async fn unreading(address: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        Self(socket.connect(address.parse().unwrap()).await.unwrap())
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The head of one reply, in lower case; its body is read too, if it has one.
    async fn reply(&mut self, has_body: bool) -> String {
        let read = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.expect("the connection stays"));
            }
            let head = String::from_utf8(head).unwrap().to_lowercase();
            let mut lines = head.lines();
            let length = lines.find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; if has_body { length } else { 0 }];
            self.0.read_exact(&mut body).await.unwrap();
            head
        };
        timeout(PATIENCE, read).await.unwrap()
    }

    async fn ask(&mut self, request: &str) -> String {
        self.send(request).await;
        self.reply(true).await
    }
}

/// Ten connections that send 600 kB of requests each and read nothing; the most memory they cost, in MB.
async fn unread_pipelines(address: &str, process: u32) -> u64 {
    let before = resident(process);
    let mut connections = Vec::new();
    for _ in 0..10 {
        connections.push(Connection::unreading(address).await);
    }
    let requests = MINIMAL.repeat(600_000 / MINIMAL.len());
    let sending = connections.iter_mut().map(|connection| {
        // As much as is taken: the rest stays with its sender.
        timeout(Duration::from_secs(1), connection.send(&requests))
    });
    futures_util::future::join_all(sending).await;
    // What would be read is read within a second.
    let mut peak = before;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        peak = peak.max(resident(process));
    }
    peak - before
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_read_nothing_cost_next_to_nothing_on_any_port() {
    let (_bed, services) = both().await;
    for (mut service, _) in services {
        let process = service.process().id();
        // The management port first: what one port made the process take would hide the other's.
        for url in [service.management_url(), service.url()] {
            let more = unread_pipelines(address(&url), process).await;
            assert!(more <= 16, "{} {url}: {more} MB", service.name());
        }
        service.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_nobody_reads_are_bounded_by_their_lines() {
    let mut bed = TestBed::start(world(100), &["24"]).await.unwrap();
    bed.snapshot().await.unwrap();
    let warehouses: Vec<String> = (24..44).map(|number| number.to_string()).collect();
    bed.reconfigure(|config| config.warehouses.clone_from(&warehouses))
        .unwrap();
    let launch = bed.launch(Program::InventoryApi).unwrap();
    // Sixty readings at once take a slow machine their time.
    let launch = launch.with_env("CONNECTOR__REDIS__COMMAND_TIMEOUT", "60s");
    let mut service = launch.start().await.unwrap();
    let (process, url) = (service.process().id(), service.url());
    let skus: Vec<String> = (0..1_000).map(|number| format!("U{number}")).collect();
    let body = json!({ "warehouseIds": warehouses, "skus": skus, "timeoutMs": 500 }).to_string();
    let question = format!(
        "POST /inventory/v1/inventories HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let before = resident(process);
    let mut unread = Vec::new();
    for _ in 0..60 {
        let mut connection = Connection::unreading(address(&url)).await;
        connection.send(&question).await;
        unread.push(connection);
    }
    let (mut answered, mut refused) = (0, 0);
    for connection in &mut unread {
        // The begin of the status line alone.
        let mut begin = [0; 12];
        let read = timeout(PATIENCE, connection.0.read_exact(&mut begin));
        read.await.unwrap().unwrap();
        match &begin {
            b"HTTP/1.1 200" => answered += 1,
            b"HTTP/1.1 429" => refused += 1,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
    let more = resident(process) - before;
    let counts = format!("{more} MB, {answered} answered, {refused} refused");
    assert!(more <= 48 && answered >= 1, "{counts}");
    // Whoever asks for little is answered meanwhile, and whoever asks for much once the others went.
    let small =
        "GET /inventory/v1/inventories?sku=U1&warehouseId=24 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let small = Connection::to(address(&url)).await.ask(small).await;
    assert!(small.starts_with("http/1.1 200"), "{small}");
    drop(unread);
    eventually("memory for large replies is given back", async || {
        let reply = Connection::to(address(&url)).await.ask(&question).await;
        reply.starts_with("http/1.1 200").then_some(())
    })
    .await
    .unwrap();
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_ask_is_answered_on_every_port_and_keeps_its_connection() {
    let (_bed, services) = both().await;
    for (mut service, [path, probe]) in services {
        for (url, path) in [(service.url(), path), (service.management_url(), probe)] {
            let host = address(&url);
            let port = host.split(':').next_back().unwrap();
            let mut connection = Connection::to(host).await;
            let websocket = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
            for (line, more, status) in [
                (
                    format!("HEAD {path} HTTP/1.1"),
                    format!("host: {host}\r\n"),
                    200,
                ),
                (
                    format!("GET http://{host}{path} HTTP/1.1"),
                    format!("host: {host}\r\n"),
                    200,
                ),
                (
                    format!("OPTIONS {path} HTTP/1.1"),
                    format!("host: {host}\r\n"),
                    204,
                ),
                (
                    format!("GET {path} HTTP/1.0"),
                    "connection: keep-alive\r\n".to_owned(),
                    200,
                ),
                (
                    format!("GET {path} HTTP/1.1"),
                    format!("host: localhost:{port}\r\n"),
                    200,
                ),
                // Where nobody signs in only our own names are answered.
                (
                    format!("GET {path} HTTP/1.1"),
                    format!("host: rebound.example:{port}\r\n"),
                    421,
                ),
                // Offers to upgrade are ignored.
                (
                    format!("GET {path} HTTP/1.1"),
                    format!("{JAVAS_OFFER}Host: {host}\r\n"),
                    200,
                ),
                (
                    format!("GET {path} HTTP/1.1"),
                    format!("{websocket}Host: {host}\r\n"),
                    200,
                ),
            ] {
                let request = format!("{line}\r\n{more}\r\n");
                for at in [0, line.len() + 7, line.len() + 20, request.len() - 1] {
                    let (begin, end) = request.split_at(at);
                    connection.send(begin).await;
                    tokio::task::yield_now().await;
                    connection.send(end).await;
                    let reply = connection.reply(!line.starts_with("HEAD")).await;
                    let is_answered = reply.contains(&format!(" {status} "))
                        && reply.contains("x-content-type-options: nosniff");
                    assert!(is_answered, "{url} {request} cut at {at}: {reply}");
                    let is_kept = !reply.contains("\nconnection:") || line.ends_with("1.0");
                    assert!(is_kept, "{url} {request} cut at {at}: {reply}");
                }
            }
            // Several at once are answered in their order.
            let several = format!("HEAD {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").repeat(50);
            connection.send(&several).await;
            for _ in 0..50 {
                connection.reply(false).await;
            }
        }
        service.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_asked_for_and_read_in_their_time() {
    let bed = TestBed::start(world(10), &["24"]).await.unwrap();
    bed.snapshot().await.unwrap();
    let (mut service, api) = bed.api().await.unwrap();
    let mut connection = Connection::to(address(&service.url())).await;
    let skus: Vec<String> = (0..500).map(|number| format!("{number:0>100}")).collect();
    let body = json!({ "warehouseId": "24", "skus": skus }).to_string();
    for expect in ["expect: 100-continue\r\n", ""] {
        let head = format!(
            "POST /inventory/v1/inventories HTTP/1.1\r\nhost: localhost\r\n{expect}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.send(&head).await;
        if !expect.is_empty() {
            let go_on = connection.reply(false).await;
            assert!(go_on.starts_with("http/1.1 100"), "{go_on}");
        }
        // With the next question behind it.
        let next = "GET /inventory/v1/limits HTTP/1.1\r\nhost: localhost\r\n\r\n";
        connection.send(&format!("{body}{next}")).await;
        for _ in 0..2 {
            let reply = connection.reply(true).await;
            assert!(reply.starts_with("http/1.1 200"), "{reply}");
        }
    }
    // Each blank line in a body may end a head as far as the connection knows.
    for filler in ["\n", "\r\n", "\n\n   "] {
        let mut body = json!({ "warehouseId": "24", "skus": ["D0001"] }).to_string();
        body.push_str(&filler.repeat(900_000 / filler.len()));
        let path = "/inventory/v1/inventories";
        let reply = api.post_raw(path, "application/json", body.into_bytes());
        let reply = reply.await.unwrap();
        assert_eq!(reply.status, 200, "{filler:?}");
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_changes_nothing() {
    let operator = format!(
        "{}[worker.events]\nsecret = \"0123456789abcdef0123456789abcdef\"\n",
        user("all", "roles = [\"browse\", \"order\", \"operate\"]")
    );
    for (program, paths) in [
        (
            Program::InventoryApi,
            [
                ("DELETE", "/inventory/v1/orders/O-1"),
                ("PUT", "/inventory/v1/reservations/R-1"),
            ],
        ),
        (
            Program::PrefetchWorker,
            [
                ("POST", "/inventoryPrefetcher/v1/refreshes"),
                ("POST", "/inventoryPrefetcher/v1/events"),
            ],
        ),
    ] {
        let guarded = Guarded::start(program, &operator).await;
        for (method, path) in paths {
            for (name, value, status) in [
                ("sec-fetch-site", "cross-site", 403),
                ("origin", "https://evil.example", 403),
                ("content-type", "text/plain", 415),
            ] {
                let request = guarded.request(method, path).header(name, value);
                let request = request.basic_auth("all", Some(PASSWORD));
                let reply = request.send().await.unwrap();
                assert_eq!(reply.status(), status, "{method} {path} {name}: {value}");
            }
        }
        guarded.stop(&[PASSWORD]).await;
    }
}

/// Each check takes 19 MiB, which the next one takes again.
#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_are_tried_cost_the_memory_of_few() {
    let mut guarded = Guarded::api(&user("all", "roles = [\"browse\"]")).await;
    let before = resident(guarded.process_id());
    let mut checked = 0;
    for round in 0..6 {
        let tries = (0..10).map(|number| {
            let wrong = format!("wr0ng-passw0rd-{round}-{number}");
            let asked = guarded.get("/inventory/v1/limits");
            asked.basic_auth("all", Some(wrong)).send()
        });
        let replies = futures_util::future::join_all(tries).await;
        let refused = |reply: &Result<reqwest::Response, _>| {
            reply.as_ref().is_ok_and(|reply| reply.status() == 401)
        };
        checked += replies.iter().filter(|reply| refused(reply)).count();
    }
    let more = resident(guarded.process_id()) - before;
    assert!(checked >= 5, "{checked} of 60");
    assert!(more <= 20 * 4, "{more} MB for {checked} passwords");
    guarded.stop(&[]).await;
}

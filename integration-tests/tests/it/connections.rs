//! What callers' connections may cost, and what is answered on them, on every port of both services.

use crate::auth::Guarded;
use crate::house::{House, world};
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::eventually::eventually;
use integration_tests::password_hash::hash_of;
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
    let kilobytes: u64 = line
        .unwrap()
        .trim()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kilobytes / 1_024
}

/// Both services, and a path of each of their ports that is answered.
async fn both() -> (House, Vec<(Service, [&'static str; 2])>) {
    let house = House::with(world(10), &["24"]).await;
    let worker = house.running_worker("worker").await;
    let (api, _) = house.api().await;
    let services = vec![
        (api, ["/inventory/v1/limits", "/health/live"]),
        (worker, ["/inventoryPrefetcher/v1/status", "/health/live"]),
    ];
    (house, services)
}

/// One caller's connection.
struct Connection(TcpStream);

impl Connection {
    async fn to(address: &str) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
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
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; if has_body { length } else { 0 }];
            self.0.read_exact(&mut body).await.unwrap();
            head
        };
        timeout(PATIENCE, read).await.unwrap()
    }
}

/// A connection whose caller's system takes little: what it takes costs the process nothing.
async fn unreading(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

/// Ten connections that send 600 kB of requests each and read nothing; the most memory they cost, in MB.
async fn strangers(address: &str, process: u32) -> u64 {
    let before = resident(process);
    let mut connections = Vec::new();
    for _ in 0..10 {
        connections.push(unreading(address).await);
    }
    let requests = MINIMAL.repeat(600_000 / MINIMAL.len());
    let sending = connections.iter_mut().map(|connection| {
        // As much as is taken: the rest stays with its sender.
        timeout(
            Duration::from_secs(1),
            connection.write_all(requests.as_bytes()),
        )
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
async fn strangers_that_read_nothing_cost_next_to_nothing_on_any_port() {
    let (_house, services) = both().await;
    for (mut service, _) in services {
        let process = service.process().id();
        // The management port first: what one port made the process take would hide the other's.
        for url in [service.management_url(), service.url()] {
            let more = strangers(address(&url), process).await;
            assert!(more <= 16, "{} {url}: {more} MB", service.name());
        }
        service.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_nobody_reads_are_bounded_by_their_lines() {
    let mut house = House::with(world(100), &["24"]).await;
    house.snapshot().await;
    let warehouses: Vec<String> = (24..44).map(|number| number.to_string()).collect();
    house.config.warehouses.clone_from(&warehouses);
    let file = house.config.write().unwrap();
    let launch = Launch::new(Program::InventoryApi, file.path()).unwrap();
    // Sixty readings at once take a slow machine their time.
    let launch = launch.with_env("CONNECTOR__REDIS__COMMAND_TIMEOUT", "60s");
    let mut service = launch.start().await.unwrap();
    let skus: Vec<String> = (0..1_000).map(|number| format!("U{number}")).collect();
    let body = json!({ "warehouseIds": warehouses, "skus": skus, "timeoutMs": 500 }).to_string();
    let url = service.url();
    let question = format!(
        "POST /inventory/v1/inventories HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let before = resident(service.process().id());
    let mut unread = Vec::new();
    for _ in 0..60 {
        let mut connection = Connection(unreading(address(&url)).await);
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
    let more = resident(service.process().id()) - before;
    assert!(
        more <= 48,
        "{more} MB, {answered} answered, {refused} refused"
    );
    assert!(
        answered >= 1 && answered + refused == 60,
        "{answered} {refused}"
    );
    // Whoever asks for little is answered meanwhile, and whoever asks for much once the others went.
    let small = question_of(&url, "U1", "24").await;
    assert!(small.starts_with("http/1.1 200"), "{small}");
    drop(unread);
    eventually("room is given back", async || {
        let mut connection = Connection::to(address(&url)).await;
        connection.send(&question).await;
        let reply = connection.reply(true).await;
        reply.starts_with("http/1.1 200").then_some(())
    })
    .await
    .unwrap();
    service.stop().await.unwrap();
}

async fn question_of(url: &str, sku: &str, warehouse: &str) -> String {
    let mut connection = Connection::to(address(url)).await;
    let get = format!(
        "GET /inventory/v1/inventories?sku={sku}&warehouseId={warehouse} HTTP/1.1\r\nhost: localhost\r\n\r\n"
    );
    connection.send(&get).await;
    connection.reply(true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_to_upgrade_are_ignored_on_every_port() {
    let (_house, services) = both().await;
    for (mut service, [path, probe]) in services {
        for (url, path) in [(service.url(), path), (service.management_url(), probe)] {
            let websocket = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
            for offer in [JAVAS_OFFER, websocket] {
                let head = format!("GET {path} HTTP/1.1\r\n{offer}Host: localhost\r\n\r\n");
                let mut connection = Connection::to(address(&url)).await;
                for _ in 0..100 {
                    connection.send(&head).await;
                    let reply = connection.reply(true).await;
                    assert!(reply.starts_with("http/1.1 200"), "{url}: {reply}");
                    assert!(!reply.contains("\nconnection:"), "{url}: {reply}");
                }
                // And however the offer is cut.
                for at in 1..head.len() {
                    connection.send(&head[..at]).await;
                    tokio::task::yield_now().await;
                    connection.send(&head[at..]).await;
                    let reply = connection.reply(true).await;
                    assert!(
                        !reply.contains("\nconnection:"),
                        "{url} cut at {at}: {reply}"
                    );
                }
            }
        }
        service.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_ask_is_answered_and_keeps_its_connection() {
    let (_house, services) = both().await;
    for (mut service, [path, probe]) in services {
        for (url, path) in [(service.url(), path), (service.management_url(), probe)] {
            let host = address(&url);
            let mut connection = Connection::to(host).await;
            for (request, has_body, status) in [
                (
                    format!("HEAD {path} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
                    false,
                    200,
                ),
                (
                    format!("GET http://{host}{path} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
                    true,
                    200,
                ),
                (
                    format!("OPTIONS {path} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
                    true,
                    204,
                ),
                (
                    format!("GET {path} HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"),
                    true,
                    200,
                ),
                (
                    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
                    true,
                    200,
                ),
            ] {
                connection.send(&request).await;
                let reply = connection.reply(has_body).await;
                let expected = format!(" {status} ");
                assert!(reply.contains(&expected), "{url} {request}: {reply}");
                assert!(!reply.contains("connection: close"), "{request}: {reply}");
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
async fn a_body_that_is_announced_is_asked_for() {
    let house = House::with(world(10), &["24"]).await;
    house.snapshot().await;
    let (mut service, _api) = house.api().await;
    let url = service.url();
    let mut connection = Connection::to(address(&url)).await;
    let skus: Vec<String> = (0..900).map(|number| format!("{number:0>100}")).collect();
    let body = json!({ "warehouseId": "24", "skus": skus }).to_string();
    for expect in ["expect: 100-continue\r\n", ""] {
        connection
            .send(&format!(
                "POST /inventory/v1/inventories HTTP/1.1\r\nhost: localhost\r\n{expect}\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            ))
            .await;
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
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_signs_in_only_our_own_names_are_answered() {
    let (_house, services) = both().await;
    for (mut service, [path, probe]) in services {
        for (url, path) in [(service.url(), path), (service.management_url(), probe)] {
            let own = address(&url);
            let port = own.split(':').next_back().unwrap();
            for (host, status) in [
                (own.to_owned(), 200),
                (format!("localhost:{port}"), 200),
                (format!("rebound.example:{port}"), 421),
                ("rebound.example".to_owned(), 421),
            ] {
                let mut connection = Connection::to(own).await;
                connection
                    .send(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n"))
                    .await;
                let reply = connection.reply(true).await;
                let expected = format!("http/1.1 {status} ");
                assert!(reply.starts_with(&expected), "{url} {host}: {reply}");
                assert!(reply.contains("x-content-type-options: nosniff"), "{reply}");
            }
        }
        service.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_changes_nothing() {
    const PASSWORD: &str = "k3ep-th1s-to-yourself";
    let hash = hash_of(PASSWORD).unwrap();
    let operator = format!(
        "[[api.auth.basic]]\nname = \"all\"\npassword_hash = \"{hash}\"\nroles = [\"browse\", \"order\", \"operate\"]\n\
         [worker.events]\nsecret = \"0123456789abcdef0123456789abcdef\"\n"
    );
    for (program, paths) in [
        (
            Program::InventoryApi,
            [
                ("POST", "/inventory/v1/orders/O-1/confirmed"),
                ("DELETE", "/inventory/v1/orders/O-1"),
                ("POST", "/inventory/v1/rejections"),
                ("PUT", "/inventory/v1/reservations/R-1"),
            ],
        ),
        (
            Program::PrefetchWorker,
            [
                ("POST", "/inventoryPrefetcher/v1/refreshes"),
                ("POST", "/inventoryPrefetcher/v1/events"),
                ("DELETE", "/inventoryPrefetcher/v1/refreshes"),
                ("POST", "/inventoryPrefetcher/v1/status"),
            ],
        ),
    ] {
        let guarded = Guarded::start(&[program], &operator).await;
        for (method, path) in paths {
            for (name, value, status) in [
                ("sec-fetch-site", "cross-site", 403),
                ("origin", "https://evil.example", 403),
                ("origin", "null", 403),
                ("content-type", "application/x-www-form-urlencoded", 415),
                ("content-type", "text/plain", 415),
            ] {
                let request = guarded
                    .request(method, path)
                    .basic_auth("all", Some(PASSWORD))
                    .header(name, value);
                let reply = request.send().await.unwrap();
                assert_eq!(
                    reply.status(),
                    status,
                    "{method} {path} with {name}: {value}"
                );
            }
        }
        guarded.stop().await;
    }
}

/// Blank lines within a body may be heads' ends as far as the connection knows: each is looked at, but
/// what follows it is not looked at again for each.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_full_of_blank_lines_is_read_in_its_time() {
    let house = House::with(world(10), &["24"]).await;
    house.snapshot().await;
    let (_service, api) = house.api().await;
    for filler in ["\n", "\r\n", "\n\n   "] {
        let mut body = json!({ "warehouseId": "24", "skus": ["D0001"] }).to_string();
        body.push_str(&filler.repeat(900_000 / filler.len()));
        let path = "/inventory/v1/inventories";
        let reply = api.post_raw(path, "application/json", body.into_bytes());
        assert_eq!(reply.await.unwrap().status, 200, "{filler:?}");
    }
}

/// Each look takes 19 MiB, which the next one takes again.
#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_are_tried_cost_the_memory_of_few() {
    const PASSWORD: &str = "k3ep-th1s-to-yourself";
    let hash = hash_of(PASSWORD).unwrap();
    let callers = format!(
        "[[api.auth.basic]]\nname = \"all\"\npassword_hash = \"{hash}\"\nroles = [\"browse\"]\n"
    );
    let mut guarded = Guarded::api(&callers).await;
    let before = resident(guarded.process_id());
    let mut looked_at = 0;
    for round in 0..6 {
        let tries = (0..10).map(|number| {
            let wrong = format!("wr0ng-passw0rd-{round}-{number}");
            let asked = guarded.get("/inventory/v1/limits");
            asked.basic_auth("all", Some(wrong)).send()
        });
        let replies = futures_util::future::join_all(tries).await;
        let refused = |reply: &Result<_, _>| {
            let reply: &reqwest::Response = reply.as_ref().unwrap();
            reply.status() == 401
        };
        looked_at += replies.iter().filter(|reply| refused(reply)).count();
    }
    let more = resident(guarded.process_id()) - before;
    assert!(looked_at >= 20, "{looked_at} of 60");
    assert!(more <= 20 * 4, "{more} MB for {looked_at} passwords");
    guarded.stop().await;
}

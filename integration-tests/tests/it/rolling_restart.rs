//! Replicas are replaced one after the other while callers ask, as a rollout does it.

use crate::house::{House, world};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::eventually::eventually;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const REPLICAS: usize = 2;
/// How often the load balancer asks who is ready; well under `DRAIN_DELAY`.
const POLL_EVERY: Duration = Duration::from_millis(200);
const DRAIN_DELAY: &str = "1500ms";

/// What a load balancer knows of a replica.
#[derive(Clone)]
struct Replica {
    api: String,
    management: String,
    is_ready: bool,
}

#[derive(Default)]
struct Counts {
    answered: AtomicUsize,
    refused: AtomicUsize,
    cut: AtomicUsize,
    wrong: AtomicUsize,
    asked_to_close: AtomicUsize,
}

struct Balancer {
    replicas: Mutex<Vec<Replica>>,
    counts: Counts,
    is_over: AtomicBool,
}

impl Balancer {
    fn ready(&self, turn: usize) -> Option<String> {
        let replicas = self.replicas.lock().unwrap();
        let ready: Vec<&Replica> = replicas.iter().filter(|replica| replica.is_ready).collect();
        (!ready.is_empty()).then(|| ready[turn % ready.len()].api.clone())
    }

    async fn keep_polling(self: Arc<Self>) {
        while !self.is_over.load(Ordering::Relaxed) {
            let known = self.replicas.lock().unwrap().clone();
            for replica in known {
                let is_ready = match ApiClient::new(&replica.management) {
                    Ok(client) => client
                        .fetch("/health/ready")
                        .await
                        .is_ok_and(|r| r.status == 200),
                    Err(_) => false,
                };
                let mut replicas = self.replicas.lock().unwrap();
                for other in replicas.iter_mut().filter(|other| other.api == replica.api) {
                    other.is_ready = is_ready;
                }
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Asks one question after the other, on connections that are kept while both sides want it, or
    /// on a new one each time.
    async fn keep_asking(self: Arc<Self>, keeps: bool, first: usize) {
        let mut kept: Option<(String, BufReader<TcpStream>)> = None;
        let mut turn = first;
        while !self.is_over.load(Ordering::Relaxed) {
            turn += 1;
            let Some(address) = self.ready(turn / 8) else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let connection = match kept.take() {
                Some((to, connection)) if to == address => connection,
                _ => {
                    let Ok(stream) = TcpStream::connect(&address).await else {
                        self.counts.refused.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    BufReader::new(stream)
                }
            };
            match exchange(connection).await {
                Ok(told) => {
                    self.counts.answered.fetch_add(1, Ordering::Relaxed);
                    if told.status != 200 {
                        self.counts.wrong.fetch_add(1, Ordering::Relaxed);
                    }
                    if told.closes {
                        self.counts.asked_to_close.fetch_add(1, Ordering::Relaxed);
                    } else if keeps {
                        kept = Some((address, told.connection));
                    }
                }
                Err(_) => {
                    self.counts.cut.fetch_add(1, Ordering::Relaxed);
                }
            }
            // A core is left to the services.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

struct Told {
    status: u16,
    closes: bool,
    connection: BufReader<TcpStream>,
}

/// One question on this connection: anything but a whole answer is an error.
async fn exchange(mut connection: BufReader<TcpStream>) -> std::io::Result<Told> {
    let broken = || std::io::Error::other("no whole answer");
    connection
        .write_all(
            b"GET /inventory/v1/inventories?sku=D0001&warehouseId=24 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        )
        .await?;
    let (mut line, mut status, mut length, mut closes) = (String::new(), None, 0, false);
    loop {
        line.clear();
        if connection.read_line(&mut line).await? == 0 {
            return Err(broken());
        }
        let head = line.trim_end().to_ascii_lowercase();
        if head.is_empty() {
            break;
        }
        if let Some(rest) = head.strip_prefix("http/1.1 ") {
            status = rest.split(' ').next().and_then(|code| code.parse().ok());
        } else if let Some(value) = head.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_no_number| broken())?;
        } else if head == "connection: close" {
            closes = true;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    Ok(Told {
        status: status.ok_or_else(broken)?,
        closes,
        connection,
    })
}

async fn start(config: &Path, name: &str) -> Service {
    let launch = Launch::new(Program::InventoryApi, config).unwrap();
    let launch = launch.with_env("CONNECTOR__API__DRAIN_DELAY", DRAIN_DELAY);
    launch.named(name).start().await.unwrap()
}

fn replica_of(service: &Service) -> Replica {
    let api = service.url().strip_prefix("http://").unwrap().to_owned();
    Replica {
        api,
        management: service.management_url(),
        is_ready: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_refuses_and_cuts_nobody() {
    let house = House::with(world(20), &["24"]).await;
    house.snapshot().await;
    let mut services = Vec::new();
    for number in 0..REPLICAS {
        services.push(start(house.config_path(), &format!("api-{number}")).await);
    }
    let balancer = Arc::new(Balancer {
        replicas: Mutex::new(services.iter().map(replica_of).collect()),
        counts: Counts::default(),
        is_over: AtomicBool::new(false),
    });
    let all_ready = async || {
        let replicas = balancer.replicas.lock().unwrap();
        replicas
            .iter()
            .all(|replica| replica.is_ready)
            .then_some(())
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&balancer).keep_polling());
    eventually("all are ready", all_ready).await.unwrap();
    for number in 0..8 {
        let asking = Arc::clone(&balancer).keep_asking(number % 2 == 0, number * 4);
        tasks.spawn(asking);
    }
    let answered = || balancer.counts.answered.load(Ordering::Relaxed);
    for (number, service) in services.iter_mut().enumerate() {
        let before = answered();
        eventually("callers are served", async || {
            (answered() > before + 200).then_some(())
        })
        .await
        .unwrap();
        let status = service.process().stop().await.unwrap();
        assert!(status.success(), "{status}");
        *service = start(house.config_path(), &format!("new-api-{number}")).await;
        balancer.replicas.lock().unwrap()[number] = replica_of(service);
        eventually("the new one is ready", all_ready).await.unwrap();
    }
    let before = answered();
    eventually("callers are served", async || {
        (answered() > before + 200).then_some(())
    })
    .await
    .unwrap();
    balancer.is_over.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    let counts = &balancer.counts;
    let told = [&counts.refused, &counts.cut, &counts.wrong].map(|n| n.load(Ordering::Relaxed));
    assert_eq!(told, [0; 3], "refused, cut, wrong of {}", answered());
    assert!(counts.asked_to_close.load(Ordering::Relaxed) > 0);
}

/// Until listeners close: not ready, and whoever comes is answered on every port, for the last time.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_signal_a_service_is_unready_and_answers_and_a_second_ends_it() {
    let house = House::with(world(20), &["24"]).await;
    house.snapshot().await;
    for program in [Program::InventoryApi, Program::PrefetchWorker] {
        let launch = Launch::new(program, house.config_path()).unwrap();
        let mut service = launch
            .with_env("CONNECTOR__API__DRAIN_DELAY", "1h")
            .with_env("CONNECTOR__WORKER__DRAIN_DELAY", "1h")
            .start()
            .await
            .unwrap();
        let ready = format!("{}/health/ready", service.management_url());
        let status = async || Some(reqwest::get(&ready).await.ok()?.status().as_u16());
        eventually("it is ready", async || {
            (status().await? == 200).then_some(())
        })
        .await
        .unwrap();
        service.process().terminate().unwrap();
        eventually("it is unready", async || {
            (status().await? == 503).then_some(())
        })
        .await
        .unwrap();
        for (address, path) in [
            (service.url(), "/inventory/v1/limits"),
            (service.url(), "/inventoryPrefetcher/v1/status"),
            (service.management_url(), "/health/live"),
            (service.management_url(), "/metrics"),
        ] {
            let reply = reqwest::get(format!("{address}{path}")).await.unwrap();
            assert_eq!(reply.headers()["connection"], "close", "{program} {path}");
        }
        let ended = async {
            service.process().terminate().unwrap();
            service.process().ended(Duration::from_secs(10)).await
        };
        let status = tokio::time::timeout(Duration::from_secs(4), ended).await;
        assert!(status.expect("it waits").unwrap().success());
        let mut other = Launch::new(program, house.config_path())
            .unwrap()
            .start()
            .await
            .unwrap();
        // Sooner than the delay that SIGTERM has by default.
        let stopped = tokio::time::timeout(Duration::from_secs(4), other.process().interrupt());
        assert!(stopped.await.expect("SIGINT waits").unwrap().success());
    }
}

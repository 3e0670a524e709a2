//! Replicas are replaced one after the other while callers ask, as a rollout does it.

use integration_tests::binaries::{Program, Service};
use integration_tests::eventually::eventually;
use integration_tests::test_bed::{Failure, TestBed, world};
use std::io::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How often the load balancer asks who is ready; well under `DRAIN_DELAY`.
const POLL_EVERY: Duration = Duration::from_millis(200);
const DRAIN_DELAY: &str = "1500ms";

/// What a load balancer knows of a replica.
#[derive(Clone)]
struct Replica {
    api: String,
    probe: String,
    is_ready: bool,
}

#[derive(Default)]
struct Balancer {
    replicas: Mutex<Vec<Replica>>,
    is_over: AtomicBool,
    answered: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    wrong: AtomicU64,
    asked_to_close: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Balancer {
    fn all_ready(&self) -> Option<()> {
        let replicas = self.replicas.lock().unwrap();
        replicas
            .iter()
            .all(|replica| replica.is_ready)
            .then_some(())
    }

    /// One of those that are ready.
    fn ready(&self, number: usize) -> Option<String> {
        let replicas = self.replicas.lock().unwrap();
        let ready: Vec<&Replica> = replicas.iter().filter(|replica| replica.is_ready).collect();
        (!ready.is_empty()).then(|| ready[number % ready.len()].api.clone())
    }

    async fn keep_polling(self: Arc<Self>) {
        while !self.is_over.load(Ordering::Relaxed) {
            let known = self.replicas.lock().unwrap().clone();
            for replica in known {
                let reply = reqwest::get(&replica.probe).await;
                let is_ready = reply.is_ok_and(|reply| reply.status() == 200);
                let mut replicas = self.replicas.lock().unwrap();
                for same in replicas.iter_mut().filter(|other| other.api == replica.api) {
                    same.is_ready = is_ready;
                }
            }
            sleep(POLL_EVERY).await;
        }
    }

    /// Asks one question after the other, on connections that are kept while both sides want it, or on a
    /// new one each time.
    async fn keep_asking(self: Arc<Self>, keeps: bool, first: usize) {
        let mut kept: Option<(String, BufReader<TcpStream>)> = None;
        let mut number = first;
        while !self.is_over.load(Ordering::Relaxed) {
            // A core is left to the services.
            sleep(Duration::from_millis(2)).await;
            number += 1;
            let Some(address) = self.ready(number / 8) else {
                continue;
            };
            let connection = match kept.take() {
                Some((to, connection)) if to == address => connection,
                _ => {
                    let Ok(stream) = TcpStream::connect(&address).await else {
                        count(&self.refused);
                        continue;
                    };
                    BufReader::new(stream)
                }
            };
            let Ok(answer) = exchange(connection).await else {
                count(&self.cut);
                continue;
            };
            count(&self.answered);
            if answer.status != 200 {
                count(&self.wrong);
            }
            if answer.closes {
                count(&self.asked_to_close);
            } else if keeps {
                kept = Some((address, answer.connection));
            }
        }
    }

    async fn serves_callers(&self) -> Result<(), Failure> {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("callers are served", async || {
            (self.answered.load(Ordering::Relaxed) > before + 200).then_some(())
        })
        .await?;
        Ok(())
    }
}

struct Answer {
    status: u16,
    closes: bool,
    connection: BufReader<TcpStream>,
}

/// One question on this connection: anything but a whole answer is an error.
async fn exchange(mut connection: BufReader<TcpStream>) -> std::io::Result<Answer> {
    let question = "GET /inventory/v1/inventories?sku=D0001&warehouseId=24 HTTP/1.1\r\n\
                    host: localhost\r\n\r\n";
    connection.write_all(question.as_bytes()).await?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head).await? == 0 {
            return Err(Error::other("no whole head"));
        }
    }
    head.make_ascii_lowercase();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<u16>().ok());
    let status = number(field("http/1.1 ").and_then(|rest| rest.split(' ').next()));
    let length = number(field("content-length:")).unwrap_or_default();
    let mut body = vec![0; length.into()];
    connection.read_exact(&mut body).await?;
    Ok(Answer {
        status: status.ok_or_else(|| Error::other("no status"))?,
        closes: field("connection: close").is_some(),
        connection,
    })
}

async fn start(bed: &TestBed, name: &str) -> Result<(Service, Replica), Failure> {
    let launch = bed.launch(Program::InventoryApi)?.named(name);
    let launch = launch.with_env("CONNECTOR__API__DRAIN_DELAY", DRAIN_DELAY);
    let service = launch.start().await?;
    let replica = Replica {
        api: service.url().trim_start_matches("http://").to_owned(),
        probe: format!("{}/health/ready", service.management_url()),
        is_ready: false,
    };
    Ok((service, replica))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_refuses_and_cuts_nobody() -> Result<(), Failure> {
    let bed = TestBed::start(world(20), &["24"]).await?;
    bed.snapshot().await?;
    let balancer = Arc::new(Balancer::default());
    let mut services = Vec::new();
    for number in 0..2 {
        let (service, replica) = start(&bed, &format!("api-{number}")).await?;
        services.push(service);
        balancer.replicas.lock().unwrap().push(replica);
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&balancer).keep_polling());
    eventually("all are ready", async || balancer.all_ready()).await?;
    for number in 0..8 {
        tasks.spawn(Arc::clone(&balancer).keep_asking(number % 2 == 0, number * 4));
    }
    for (number, service) in services.iter_mut().enumerate() {
        balancer.serves_callers().await?;
        let status = service.process().stop().await?;
        assert!(status.success(), "{status}");
        let (new, replica) = start(&bed, &format!("new-api-{number}")).await?;
        *service = new;
        balancer.replicas.lock().unwrap()[number] = replica;
        eventually("the new one is ready", async || balancer.all_ready()).await?;
    }
    balancer.serves_callers().await?;
    balancer.is_over.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    let failed = [&balancer.refused, &balancer.cut, &balancer.wrong];
    let failed = failed.map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!(failed, [0; 3], "refused, cut, wrong");
    assert!(balancer.asked_to_close.load(Ordering::Relaxed) > 0);
    Ok(())
}

/// Until listeners close: not ready, and every port still answers, with `connection: close`.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_signal_a_service_is_unready_and_answers_and_a_second_ends_it()
-> Result<(), Failure> {
    let bed = TestBed::start(world(20), &["24"]).await?;
    bed.snapshot().await?;
    for program in [Program::InventoryApi, Program::PrefetchWorker] {
        let mut service = bed
            .launch(program)?
            .with_env("CONNECTOR__API__DRAIN_DELAY", "1h")
            .with_env("CONNECTOR__WORKER__DRAIN_DELAY", "1h")
            .start()
            .await?;
        let ready = format!("{}/health/ready", service.management_url());
        let has_status = async |wanted: u16| {
            eventually(&format!("status {wanted}"), async || {
                let reply = reqwest::get(&ready).await.ok()?;
                (reply.status() == wanted).then_some(())
            })
            .await
        };
        has_status(200).await?;
        service.process().terminate()?;
        has_status(503).await?;
        for (address, path) in [
            (service.url(), "/inventory/v1/limits"),
            (service.url(), "/inventoryPrefetcher/v1/status"),
            (service.management_url(), "/health/live"),
            (service.management_url(), "/metrics"),
        ] {
            let reply = reqwest::get(format!("{address}{path}")).await?;
            assert_eq!(reply.headers()["connection"], "close", "{program} {path}");
        }
        service.process().terminate()?;
        let ended = service.process().ended(Duration::from_secs(4)).await?;
        assert!(ended.success(), "{ended}");
        // Sooner than the delay that SIGTERM has by default.
        let mut other = bed.launch(program)?.start().await?;
        let stopped = timeout(Duration::from_secs(4), other.process().interrupt());
        assert!(stopped.await??.success());
    }
    Ok(())
}

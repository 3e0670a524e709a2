//! Callers that send too much, too slowly, or nothing, while others browse.

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, Stage, WAREHOUSES};
use integration_tests::api_client::ApiClient;
use integration_tests::open_loop::{Browse, Browsed};
use integration_tests::redis_fixture::RedisFixture;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

const IDLE: usize = 5_000;
const SLOW: usize = 100;
const GREEDY: usize = 8;
const OVERSIZED: usize = 24 * 1024 * 1024;
/// Below this a p99 says more about the machine than about the service.
const SHORTEST_P99: Duration = Duration::from_millis(50);
const RAISED: &str = "[api.limits]\nbody_bytes = \"64MiB\"\njson_depth = 1000000\n\
                      in_flight = 100000\nbody_timeout = \"10m\"\nheader_timeout = \"10m\"\n\
                      requests_per_second_per_caller = 0\n\
                      connections_per_address = 0\n";

/// Where those come from who say nothing, and those who say too much; who browses is a third one.
const SILENT: &str = "127.0.0.2:0";
const LOUD: &str = "127.0.0.3:0";

/// A connection from such an address.
async fn connect(from: &str, api: SocketAddr) -> Result<TcpStream, RowError> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(from.parse()?)?;
    Ok(timeout(Duration::from_secs(10), socket.connect(api)).await??)
}

fn head(length: &str) -> String {
    format!(
        "POST /inventory/v1/inventories HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{length}\r\n"
    )
}

/// Half of them ask once, so that their connection is kept; the others say nothing at all.
async fn idle(api: SocketAddr, open: &mut Vec<TcpStream>) -> Result<(), RowError> {
    for number in 0..IDLE {
        let mut connection = connect(SILENT, api).await?;
        if number % 2 == 0 {
            // One that was closed as it came is counted below.
            let _closed = connection
                .write_all(b"GET /inventory/v1/limits HTTP/1.1\r\nhost: x\r\n\r\n")
                .await;
        }
        open.push(connection);
        if number % 100 == 99 {
            sleep(Duration::from_millis(40)).await;
        }
    }
    Ok(())
}

/// A byte now and then, in the head or in the body, until the service has enough of it.
async fn slow(api: SocketAddr, in_body: bool) -> Result<u64, RowError> {
    let mut ended = 0;
    let mut connections = Vec::new();
    for _ in 0..SLOW {
        let mut connection = connect(LOUD, api).await?;
        if in_body {
            connection
                .write_all(head("content-length: 1000\r\n").as_bytes())
                .await?;
        }
        connections.push(Some(connection));
    }
    let text = if in_body { " " } else { "P" };
    loop {
        for place in &mut connections {
            if let Some(connection) = place
                && connection.write_all(text.as_bytes()).await.is_err()
            {
                *place = None;
                ended += 1;
            }
        }
        if ended == SLOW as u64 {
            return Ok(ended);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Bodies that are too large, announced and not, too deep, and too many SKUs.
async fn greedy_one(api: SocketAddr, number: usize) -> Result<u64, RowError> {
    let skus = vec!["\"A\""; 1_001].join(",");
    let batch = format!("{{\"warehouseId\":\"24\",\"skus\":[{skus}]}}");
    let deep = "[".repeat(200_000);
    let mut refused = 0;
    for round in number..number + 20 {
        let mut connection = connect(LOUD, api).await?;
        match round % 4 {
            0 => {
                let head = head(&format!("content-length: {OVERSIZED}\r\n"));
                connection.write_all(head.as_bytes()).await?;
                send_much(&mut connection, false).await;
            }
            1 => {
                let head = head("transfer-encoding: chunked\r\n");
                connection.write_all(head.as_bytes()).await?;
                send_much(&mut connection, true).await;
            }
            2 => {
                let head = head(&format!("content-length: {}\r\n", batch.len()));
                connection.write_all((head + &batch).as_bytes()).await?;
            }
            _ => {
                let head = head(&format!("content-length: {}\r\n", deep.len()));
                connection.write_all((head + &deep).as_bytes()).await?;
            }
        }
        let mut start = [0; 12];
        let read = timeout(Duration::from_secs(2), connection.read_exact(&mut start)).await;
        let is_refused = matches!(read, Ok(Ok(_))) && start.starts_with(b"HTTP/1.1 413");
        refused += u64::from(is_refused);
        sleep(Duration::from_millis(100)).await;
    }
    Ok(refused)
}

/// Sends until it is all sent or the service wants no more.
async fn send_much(connection: &mut TcpStream, in_chunks: bool) {
    const PIECE: usize = 64 * 1024;
    let mut piece = Vec::new();
    if in_chunks {
        piece.extend_from_slice(format!("{PIECE:x}\r\n").as_bytes());
    }
    piece.resize(piece.len() + PIECE, b' ');
    if in_chunks {
        piece.extend_from_slice(b"\r\n");
    }
    for _ in 0..OVERSIZED / PIECE - 1 {
        let sent = timeout(Duration::from_secs(1), connection.write_all(&piece)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// Whether the other end has closed it; a reply that was not read yet lies before the end.
fn is_closed(connection: &TcpStream) -> bool {
    let mut piece = [0; 4_096];
    loop {
        match connection.try_read(&mut piece) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Resident memory of a process, in MB.
fn resident(process: u32) -> Result<f64, RowError> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next())
        .ok_or("no VmRSS")?
        .parse()?;
    Ok(kilobytes / 1_024.0)
}

async fn browse(
    stage: &Stage,
    api: &ApiClient,
    until: impl Future<Output = ()>,
) -> Result<Browsed, RowError> {
    let browse = Browse {
        per_second: 60,
        skus: 20,
        warehouses: WAREHOUSES.map(str::to_owned).to_vec(),
        items: stage.items("24")?,
        seed: 1,
        keeps_lines: false,
    };
    Ok(browse.run(api, &stage.d365(), until).await)
}

pub(super) async fn greedy(mut rig: Rig) -> Result<Outcome, RowError> {
    let is_raised = rig.guard.take().is_some();
    rig.scale.items = 400;
    rig.scale.interval = Duration::from_hours(1);
    let redis = RedisFixture::start_process().await?;
    let stage = rig.stage_with(redis, rig.world(), "", |config| {
        if is_raised {
            config.more.push_str(RAISED);
        }
    })?;
    stage.once().await?;
    let (mut service, api) = stage.api().await?;
    let address: SocketAddr = service.url().trim_start_matches("http://").parse()?;
    let process = service.process().id();
    let calm = browse(&stage, &api, sleep(Duration::from_secs(8))).await?;
    let before = resident(process)?;

    let mut open = Vec::new();
    let (mut refused, mut ended, mut peak) = (0, 0, before);
    let mut failure: Option<RowError> = None;
    let attack = async {
        let greedy = async {
            let all = (0..GREEDY).map(|number| greedy_one(address, number));
            let mut sum = 0;
            for counted in futures_util::future::join_all(all).await {
                sum += counted?;
            }
            Ok::<u64, RowError>(sum)
        };
        let slow = async {
            // Without limits nobody ends them.
            let both = async { tokio::try_join!(slow(address, true), slow(address, false)) };
            match timeout(Duration::from_secs(25), both).await {
                Ok(ended) => ended.map(|(bodies, heads)| bodies + heads),
                Err(_) => Ok(0),
            }
        };
        match tokio::try_join!(idle(address, &mut open), greedy, slow) {
            Ok(((), greedy, slow)) => (refused, ended) = (greedy, slow),
            Err(error) => failure = Some(error),
        }
    };
    let watching = async {
        loop {
            peak = peak.max(resident(process).unwrap_or_default());
            sleep(Duration::from_millis(100)).await;
        }
    };
    let both = async {
        tokio::select! {
            () = attack => {}
            () = watching => {}
        }
    };
    let attacked = browse(&stage, &api, both).await?;
    if let Some(error) = failure {
        return Err(error);
    }
    let mut outcome = Outcome::default();
    outcome.at_most("RSS +", peak - before, 32.0, " MB");
    let target = (calm.quantile(0.99) * 2).max(SHORTEST_P99);
    outcome.at_most(
        "others' p99",
        attacked.quantile(0.99).as_secs_f64() * 1e3,
        target.as_secs_f64() * 1e3,
        " ms",
    );
    outcome.none("others' questions failed", attacked.failed);
    outcome.happened("bodies refused with 413", refused);
    outcome.happened("slow connections ended", ended);
    outcome.happened("idle connections tried", open.len() as u64);
    let closed = open.iter().filter(|connection| is_closed(connection));
    outcome.happened(
        "of them closed as they came or were idle",
        closed.count() as u64,
    );
    outcome.happened("questions of others meanwhile", attacked.questions());
    drop(open);
    service.stop().await?;
    Ok(outcome)
}

//! Callers that send too much, too slowly or nothing, while others browse.

use super::outcome::{Outcome, ms};
use super::scale::Scale;
use super::shop::Shop;
use integration_tests::test_bed::{Failure, metric};
use integration_tests::usage::resident_mb;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// So few from each address that the limit for one address closes none of them.
const IDLE: usize = 5_000;
const IDLE_PER_ADDRESS: usize = 500;
const FIRST_IDLE_ADDRESS: u8 = 20;
const SLOW: usize = 100;
const SLOW_ADDRESS: u8 = 12;
const OVERSIZED: usize = 160;
const OVERSIZED_BYTES: usize = 24 * 1024 * 1024;
const OVERSIZED_ADDRESS: u8 = 13;
const MODEST_ADDRESS: u8 = 14;
/// What a p99 may be with nothing going wrong: twice of less says more about the machine than about
/// the service.
const CALM_P99: Duration = Duration::from_millis(25);
/// Eighteen seconds for a connection without a request, so that its end is seen here.
const LIMITS: &str = "[api.limits]\nkeep_alive = \"10s\"\nheader_timeout = \"8s\"\n";
/// Those eighteen seconds, and some for a machine that has other things to do.
const GONE_WITHIN: Duration = Duration::from_secs(25);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Of a modest caller: much longer than any hostile connection stays.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(3);
/// Between two bytes of slow callers.
const PACE: Duration = Duration::from_millis(500);
/// Quiet connections the service may hold at once: 400 as it is delivered, and a third of a second's, at
/// a thousand a second, that came since it looked or may still ask.
const QUIET_AT_ONCE: u64 = 750;
const PATIENCE: Duration = Duration::from_secs(5);
const SHORT_QUESTION: &[u8] = b"GET /inventory/v1/limits HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// What came of it, counted as it comes.
#[derive(Debug, Default)]
struct Tally {
    idle_opened: AtomicU64,
    most_idle: AtomicU64,
    slow_ended: AtomicU64,
    refused: AtomicU64,
    modest_answered: AtomicU64,
    modest_lost: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

async fn connect(last: u8, api: SocketAddr) -> Result<TcpStream, Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    Ok(timeout(PATIENCE * 2, socket.connect(api)).await??)
}

/// Whether the service still holds a connection; replies that came are thrown away.
fn is_open(connection: &TcpStream) -> bool {
    let mut piece = [0; 4_096];
    loop {
        match connection.try_read(&mut piece) {
            Ok(1..) => {}
            Ok(0) => return false,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// Opens connections that stay idle, half of them after one question, and waits until they are closed;
/// how many are open in the end.
async fn idle(api: SocketAddr, tally: &Tally) -> Result<u64, Failure> {
    let mut open = Vec::new();
    for number in 0..IDLE {
        let address = FIRST_IDLE_ADDRESS + u8::try_from(number / IDLE_PER_ADDRESS)?;
        let mut connection = connect(address, api).await?;
        if number % 2 == 0 {
            connection.write_all(SHORT_QUESTION).await?;
        }
        open.push(connection);
        count(&tally.idle_opened);
        if number % 100 == 99 {
            sleep(Duration::from_millis(100)).await;
            open.retain(is_open);
            tally
                .most_idle
                .fetch_max(open.len() as u64, Ordering::Relaxed);
        }
    }
    let closing = async {
        while !open.is_empty() {
            sleep(BETWEEN_LOOKS).await;
            open.retain(is_open);
        }
    };
    drop(timeout(GONE_WITHIN, closing).await);
    Ok(open.len() as u64)
}

/// A byte now and then, in the head or in the body, until the service has closed all connections.
async fn slow(api: SocketAddr, tally: &Tally) -> Result<(), Failure> {
    let mut connections = Vec::new();
    for number in 0..2 * SLOW {
        let mut connection = connect(SLOW_ADDRESS, api).await?;
        if number % 2 == 0 {
            let head = head("content-length: 1000\r\n");
            connection.write_all(head.as_bytes()).await?;
        }
        connections.push(connection);
    }
    let going_on = async {
        while !connections.is_empty() {
            connections.retain(|connection| {
                let is_open = connection.try_write(b"P").is_ok() && is_open(connection);
                if !is_open {
                    count(&tally.slow_ended);
                }
                is_open
            });
            sleep(PACE).await;
        }
    };
    drop(timeout(GONE_WITHIN, going_on).await);
    Ok(())
}

fn head(length: &str) -> String {
    format!(
        "POST /inventory/v1/inventories HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/json\r\n{length}\r\n"
    )
}

/// Bodies that are too large, announced and not.
async fn oversized(api: SocketAddr, tally: &Tally) -> Result<(), Failure> {
    const PIECE: usize = 64 * 1024;
    for number in 0..OVERSIZED {
        let mut connection = connect(OVERSIZED_ADDRESS, api).await?;
        let (length, piece) = if number % 2 == 0 {
            let length = format!("content-length: {OVERSIZED_BYTES}\r\n");
            (length, " ".repeat(PIECE))
        } else {
            let chunk = format!("{PIECE:x}\r\n{}\r\n", " ".repeat(PIECE));
            ("transfer-encoding: chunked\r\n".to_owned(), chunk)
        };
        connection.write_all(head(&length).as_bytes()).await?;
        for _ in 1..OVERSIZED_BYTES / PIECE {
            let sent = timeout(PATIENCE, connection.write_all(piece.as_bytes())).await;
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        let mut start = [0; 12];
        let read = timeout(PATIENCE, connection.read_exact(&mut start)).await;
        if matches!(read, Ok(Ok(_))) && start == *b"HTTP/1.1 413" {
            count(&tally.refused);
        }
        sleep(BETWEEN_LOOKS / 2).await;
    }
    Ok(())
}

/// Asks on one connection, now and then, until it is dropped: a caller with one connection keeps it.
async fn modest(api: SocketAddr, tally: &Tally) -> Result<(), Failure> {
    let mut connection = connect(MODEST_ADDRESS, api).await?;
    loop {
        connection.write_all(SHORT_QUESTION).await.ok();
        let mut reply = [0; 4_096];
        match timeout(PATIENCE, connection.read(&mut reply)).await {
            Ok(Ok(read)) if reply[..read].starts_with(b"HTTP/1.1 200") => {
                count(&tally.modest_answered);
            }
            _ => {
                count(&tally.modest_lost);
                connection = connect(MODEST_ADDRESS, api).await?;
            }
        }
        sleep(BETWEEN_QUESTIONS).await;
        is_open(&connection);
    }
}

/// Looks until it is dropped.
async fn watch_memory(process: u32, peak: &mut f64) {
    loop {
        *peak = resident_mb(process).unwrap_or_default().max(*peak);
        sleep(BETWEEN_LOOKS).await;
    }
}

pub(super) async fn beside_others(mut scale: Scale) -> Result<Outcome, Failure> {
    scale.items = 400;
    let scale = scale.every(Duration::from_hours(1));
    let d365 = scale.world(0);
    let bed = scale
        .bed(d365, "", |config| config.more.push_str(LIMITS))
        .await?;
    bed.snapshot().await?;
    let (mut service, api) = bed.api().await?;
    let address: SocketAddr = service.url().trim_start_matches("http://").parse()?;
    let process = service.id();
    let browse = Shop::new(scale, bed.items("24")?, Duration::ZERO).browse;
    let calm = browse.run(&api, sleep(Duration::from_secs(8))).await;
    let before = resident_mb(process)?;
    let (tally, mut peak, mut left) = (Tally::default(), before, Ok(0));
    let attacking = async {
        let attacks = async {
            let (idle, (), ()) = tokio::try_join!(
                idle(address, &tally),
                slow(address, &tally),
                oversized(address, &tally)
            )?;
            Ok::<u64, Failure>(idle)
        };
        tokio::select! {
            ended = attacks => left = ended,
            () = watch_memory(process, &mut peak) => {}
            ended = modest(address, &tally) => left = ended.map(|()| 0),
        }
    };
    let attacked = browse.run(&api, attacking).await;
    let still_idle = left?;
    let closed_total = "http_connections_closed_total";
    let gave_way = metric(&service, closed_total, "crowded").await?;
    let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut outcome = Outcome::default();
    outcome.at_most("RSS +", peak - before, 32.0, " MB");
    let calm_p99 = calm.percentile(99);
    let target = (calm_p99 * 2).max(CALM_P99);
    let what = format!("others' p99, calm {:.2} ms:", ms(calm_p99));
    outcome.at_most(&what, ms(attacked.percentile(99)), ms(target), " ms");
    outcome.none("others' questions failed", attacked.failed);
    let lost = counted(&tally.modest_lost);
    outcome.none("a modest caller's connections lost", lost);
    let slow_ended = counted(&tally.slow_ended);
    outcome.none("slow connections not ended", 2 * SLOW as u64 - slow_ended);
    outcome.none("idle connections still held", still_idle);
    let most_idle = counted(&tally.most_idle);
    outcome.count_at_most("idle connections at once", most_idle, QUIET_AT_ONCE);
    outcome.happened("idle connections opened", counted(&tally.idle_opened));
    outcome.happened("of them gave way to younger ones", gave_way);
    outcome.happened("bodies refused with 413", counted(&tally.refused));
    outcome.happened("slow connections ended", slow_ended);
    let answered = counted(&tally.modest_answered);
    outcome.happened("questions of a modest caller", answered);
    outcome.happened("questions of others meanwhile", attacked.questions());
    service.stop().await?;
    Ok(outcome)
}

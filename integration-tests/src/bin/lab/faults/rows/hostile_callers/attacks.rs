//! What hostile callers do. Each kind comes from addresses of its own, so that the service's
//! connections tell them apart.

use crate::faults::outcome::RowError;
use futures_util::future::try_join_all;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// So few from each address that the limit for one address closes none of them.
const IDLE_PER_ADDRESS: usize = 500;
const SLOW: usize = 100;
/// In the head and in the body.
pub(super) const SLOW_ONES: u64 = 2 * SLOW as u64;
const GREEDY: u8 = 8;
const OVERSIZED: usize = 24 * 1024 * 1024;
pub(super) const SECOND_HEADS: usize = 50;
/// Less than the HTTP library takes for a head, so that it waits for more.
const SECOND_HEAD_BYTES: usize = 100 * 1024;
pub(super) const ENDLESS: usize = 50;
pub(super) const UNREAD: usize = 20;
/// Questions sent at once by who reads no reply.
const UNREAD_QUESTIONS: usize = 2;
/// With a service that has much to do; no longer than it waits for a body itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two bytes of those who go on.
const PACE: Duration = Duration::from_millis(500);

pub(super) const IDLE_FROM: [u8; 10] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const SLOW_FROM: u8 = 12;
const GREEDY_FROM: u8 = 13;
pub(super) const SECOND_HEADS_FROM: u8 = 14;
pub(super) const ENDLESS_FROM: u8 = 15;
pub(super) const UNREAD_FROM: u8 = 16;
const MODEST_FROM: u8 = 17;

/// What came of it, counted as it comes.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Questions of a modest caller that were answered, and connections it lost.
    pub(super) modest_answered: AtomicU64,
    pub(super) modest_lost: AtomicU64,
    /// Connections opened to be idle.
    pub(super) idle_opened: AtomicU64,
    /// Bodies refused with 413.
    pub(super) refused: AtomicU64,
    /// Slow connections the service ended.
    pub(super) slow_ended: AtomicU64,
    /// Endless bodies that were refused for their size before they went on.
    pub(super) endless_too_large: AtomicU64,
    /// And those that were refused for their path.
    pub(super) endless_elsewhere: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A connection from `127.0.0.<last>`; `receives` bytes at most wait in it to be read.
async fn connect(last: u8, api: SocketAddr, receives: Option<u32>) -> Result<TcpStream, RowError> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receives {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    Ok(timeout(Duration::from_secs(10), socket.connect(api)).await??)
}

fn head(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{body}\r\n"
    )
}

fn stock_head(body: &str) -> String {
    head("/inventory/v1/inventories", body)
}

const SHORT_QUESTION: &[u8] = b"GET /inventory/v1/limits HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A connection of somebody who asks now and then.
pub(super) async fn modest(api: SocketAddr) -> Result<TcpStream, RowError> {
    connect(MODEST_FROM, api, None).await
}

/// Asks on it and reads the reply.
pub(super) async fn ask(connection: &mut TcpStream) -> Result<(), RowError> {
    connection.write_all(SHORT_QUESTION).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, connection.read_u8()).await??);
    }
    let head = String::from_utf8(head)?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .filter(|_| head.starts_with("HTTP/1.1 200"))
        .ok_or("no answer")?;
    let mut body = vec![0; length.parse()?];
    timeout(PATIENCE, connection.read_exact(&mut body)).await??;
    Ok(())
}

/// The first half of them asks once, so that their connection is kept; the others say nothing.
pub(super) async fn idle(
    api: SocketAddr,
    open: &mut Vec<TcpStream>,
    tally: &Tally,
) -> Result<(), RowError> {
    let all = IDLE_FROM.len() * IDLE_PER_ADDRESS;
    for number in 0..all {
        let from = IDLE_FROM[number % IDLE_FROM.len()];
        let mut connection = connect(from, api, None).await?;
        count(&tally.idle_opened);
        if number < all / 2 {
            connection.write_all(SHORT_QUESTION).await?;
        }
        open.push(connection);
        if number % 100 == 99 {
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// A byte now and then, in the head or in the body, until the service has enough of it.
pub(super) async fn slow(api: SocketAddr, in_body: bool, tally: &Tally) -> Result<(), RowError> {
    let mut connections = Vec::new();
    for _ in 0..SLOW {
        let mut connection = connect(SLOW_FROM, api, None).await?;
        if in_body {
            let head = stock_head("content-length: 1000\r\n");
            connection.write_all(head.as_bytes()).await?;
        }
        connections.push(connection);
    }
    let text: &[u8] = if in_body { b" " } else { b"P" };
    go_on(&mut connections, text, || count(&tally.slow_ended)).await;
    Ok(())
}

/// Sends a piece on each connection now and then, until the service has closed them all.
async fn go_on(connections: &mut Vec<TcpStream>, piece: &[u8], mut closed: impl FnMut()) {
    while !connections.is_empty() {
        connections.retain(|connection| {
            // Whoever is not read any more is waited for, not given up.
            let is_open = match connection.try_write(piece) {
                Ok(_) => true,
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            };
            if !is_open {
                closed();
            }
            is_open
        });
        sleep(PACE).await;
    }
}

/// Who asked once, and then begins a head that grows to 100 KiB and does not end.
pub(super) async fn second_heads(api: SocketAddr) -> Result<(), RowError> {
    let mut second = b"GET /inventory/v1/limits HTTP/1.1\r\nhost: localhost\r\nx-long: ".to_vec();
    second.resize(SECOND_HEAD_BYTES, b'a');
    let begun = (0..SECOND_HEADS).map(async |_| {
        let mut connection = connect(SECOND_HEADS_FROM, api, None).await?;
        connection.write_all(SHORT_QUESTION).await?;
        let mut start = [0; 12];
        connection.read_exact(&mut start).await?;
        connection.write_all(&second).await?;
        Ok::<_, RowError>(connection)
    });
    let mut connections = try_join_all(begun).await?;
    go_on(&mut connections, b"a", || {}).await;
    Ok(())
}

/// Who is refused, for too large a body or for a path that is not there, and sends more and more of
/// the body.
pub(super) async fn endless(api: SocketAddr, tally: &Tally) -> Result<(), RowError> {
    const CHUNKED: &str = "transfer-encoding: chunked\r\n";
    let begun = (0..ENDLESS).map(async |number| {
        let mut connection = connect(ENDLESS_FROM, api, None).await?;
        let (refusal, counter) = if number % 2 == 0 {
            connection.write_all(stock_head(CHUNKED).as_bytes()).await?;
            send_much(&mut connection, true, 2 * 1024 * 1024).await;
            (b"HTTP/1.1 413", &tally.endless_too_large)
        } else {
            let head = head("/nothing", CHUNKED);
            connection.write_all(head.as_bytes()).await?;
            (b"HTTP/1.1 404", &tally.endless_elsewhere)
        };
        let mut start = [0; 12];
        let read = timeout(PATIENCE, connection.read_exact(&mut start)).await;
        if matches!(read, Ok(Ok(_))) && start == *refusal {
            count(counter);
        }
        Ok::<_, RowError>(connection)
    });
    let mut connections = try_join_all(begun).await?;
    go_on(&mut connections, b"10\r\n                \r\n", || {}).await;
    Ok(())
}

/// Who asks for much and reads nothing of it. The connections are open until they are dropped.
pub(super) async fn unread(api: SocketAddr) -> Result<Vec<TcpStream>, RowError> {
    let skus: Vec<String> = (0..1_000).map(|number| format!("\"U{number}\"")).collect();
    let question = format!("{{\"warehouseId\":\"24\",\"skus\":[{}]}}", skus.join(","));
    let head = stock_head(&format!("content-length: {}\r\n", question.len()));
    let questions = (head + &question).repeat(UNREAD_QUESTIONS);
    let asked = (0..UNREAD).map(async |_| {
        // As small as it goes: what the system keeps for the caller, the service is rid of.
        let mut connection = connect(UNREAD_FROM, api, Some(2_048)).await?;
        // The service may stop reading before it has read all questions.
        let sent = connection.write_all(questions.as_bytes());
        let _all_or_some = timeout(Duration::from_secs(1), sent).await;
        Ok::<_, RowError>(connection)
    });
    try_join_all(asked).await
}

/// Bodies that are too large, announced and not, too deep, and too many SKUs.
pub(super) async fn greedy(api: SocketAddr, tally: &Tally) -> Result<(), RowError> {
    try_join_all((0..GREEDY).map(|number| greedy_one(api, number, tally))).await?;
    Ok(())
}

async fn greedy_one(api: SocketAddr, number: u8, tally: &Tally) -> Result<(), RowError> {
    let skus = vec!["\"A\""; 1_001].join(",");
    let batch = format!("{{\"warehouseId\":\"24\",\"skus\":[{skus}]}}");
    let deep = "[".repeat(200_000);
    for round in number..number + 20 {
        let mut connection = connect(GREEDY_FROM, api, None).await?;
        match round % 4 {
            0 => {
                let head = stock_head(&format!("content-length: {OVERSIZED}\r\n"));
                connection.write_all(head.as_bytes()).await?;
                send_much(&mut connection, false, OVERSIZED).await;
            }
            1 => {
                let head = stock_head("transfer-encoding: chunked\r\n");
                connection.write_all(head.as_bytes()).await?;
                send_much(&mut connection, true, OVERSIZED).await;
            }
            2 => {
                let head = stock_head(&format!("content-length: {}\r\n", batch.len()));
                connection.write_all((head + &batch).as_bytes()).await?;
            }
            _ => {
                let head = stock_head(&format!("content-length: {}\r\n", deep.len()));
                connection.write_all((head + &deep).as_bytes()).await?;
            }
        }
        let mut start = [0; 12];
        let read = timeout(Duration::from_secs(2), connection.read_exact(&mut start)).await;
        if matches!(read, Ok(Ok(_))) && start.starts_with(b"HTTP/1.1 413") {
            count(&tally.refused);
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Sends until it is nearly all sent or the service wants no more.
async fn send_much(connection: &mut TcpStream, in_chunks: bool, bytes: usize) {
    const PIECE: usize = 64 * 1024;
    let mut piece = Vec::new();
    if in_chunks {
        piece.extend_from_slice(format!("{PIECE:x}\r\n").as_bytes());
    }
    piece.resize(piece.len() + PIECE, b' ');
    if in_chunks {
        piece.extend_from_slice(b"\r\n");
    }
    for _ in 0..bytes / PIECE - 1 {
        let sent = timeout(PATIENCE, connection.write_all(&piece)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

//! A TCP proxy that can be told to misbehave: between a service and Redis, or a service and D365.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const PIECE: usize = 64 * 1024;
/// The first byte of a TLS connection; no HTTP method and no Redis command begins with it.
const TLS_HANDSHAKE: u8 = 22;

/// What happens to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// They pass.
    Fair,
    /// They pass late, in both directions.
    Delay(Duration),
    /// They are taken and go nowhere; connections stay open.
    BlackHole,
    /// Half of the next answer comes back, then that direction is closed. The other one stays open
    /// until the client ends it.
    HalfClose,
    /// Every connection is reset, old and new.
    Cut,
}

/// What becomes of connections that were open when somebody on the way forgot them; new ones are like
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// They are closed as the next question goes out.
    ClosedWhenAsked,
    /// They take questions and never answer.
    Silent,
}

/// What the proxy has done: the proof that a fault happened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections taken.
    pub connections: AtomicU64,
    /// Connections open now.
    pub open: AtomicU64,
    /// Connections ended by the weather.
    pub cut: AtomicU64,
    /// Connections whose way back was closed alone.
    pub half_closed: AtomicU64,
    /// Bytes that went nowhere.
    pub swallowed: AtomicU64,
    /// Pieces that never reached the server; a short question is one.
    pub lost_questions: AtomicU64,
    /// Questions sent over forgotten connections.
    pub forgotten: AtomicU64,
    /// Connections that began with a TLS handshake, which a server of plain HTTP would not note.
    pub tls_begun: AtomicU64,
}

/// Connections up to this number are forgotten, and how.
type Old = Option<(u64, Forgotten)>;
type Seen = (watch::Receiver<Weather>, watch::Receiver<Old>);

/// A running proxy on a free loopback port; ends with its value.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    old: watch::Sender<Old>,
    counters: Arc<Counters>,
    accepting: tokio::task::JoinHandle<()>,
}

impl TcpProxy {
    /// In front of this server, in fair weather.
    #[expect(
        clippy::disallowed_methods,
        reason = "the proxy ends its own task when it is dropped"
    )]
    pub async fn before(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (weather, seen) = watch::channel(Weather::Fair);
        let counters = Arc::new(Counters::default());
        let (old, seen_old) = watch::channel(None);
        let seen = (seen, seen_old);
        let accepting = tokio::spawn(accept(listener, server, seen, Arc::clone(&counters)));
        Ok(Self {
            address,
            weather,
            old,
            counters,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather for all connections at once.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Forgets all connections that are open now.
    pub fn forget(&self, fate: Forgotten) {
        let taken = self.counters.connections.load(Ordering::Relaxed);
        self.old.send_replace(Some((taken, fate)));
    }

    /// What it has done.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "connections end when the proxy's weather sender is gone"
)]
async fn accept(listener: TcpListener, server: SocketAddr, seen: Seen, counters: Arc<Counters>) {
    while let Ok((client, _)) = listener.accept().await {
        let number = counters.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let open = Open::new(&counters);
        let passing = serve(client, server, seen.clone(), number, Arc::clone(&counters));
        tokio::spawn(async move {
            let _open = open;
            passing.await;
        });
    }
}

/// Counts a connection as open for as long as it lives, also if its task is ended from outside.
struct Open(Arc<Counters>);

impl Open {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(
    client: TcpStream,
    server: SocketAddr,
    (mut weather, old): Seen,
    number: u64,
    counters: Arc<Counters>,
) {
    let fate = || {
        old.borrow()
            .and_then(|(upto, fate)| (number <= upto).then_some(fate))
    };
    if *weather.borrow() == Weather::Cut {
        reset(&client, &counters);
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    // Small messages must not wait for each other: the weather alone delays.
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = (weather.clone(), weather.clone());
    let cut = async { weather.wait_for(|now| *now == Weather::Cut).await.is_ok() };
    tokio::select! {
        () = upwards(from_client, to_server, &up, fate, &counters) => {}
        () = downwards(from_server, to_client, &down, &counters) => {}
        is_cut = cut => {
            if is_cut {
                add(&counters.cut);
            }
        }
    }
}

/// Until the client has ended its side, or the server takes no more.
async fn upwards(
    mut from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    weather: &watch::Receiver<Weather>,
    fate: impl Fn() -> Option<Forgotten>,
    counters: &Counters,
) {
    let mut piece = vec![0; PIECE];
    let mut is_first = true;
    while let Ok(count @ 1..) = from_client.read(&mut piece).await {
        if std::mem::take(&mut is_first) && piece[0] == TLS_HANDSHAKE {
            add(&counters.tls_begun);
        }
        if let Some(fate) = fate() {
            add(&counters.forgotten);
            match fate {
                Forgotten::ClosedWhenAsked => return,
                Forgotten::Silent => continue,
            }
        }
        let now = *weather.borrow();
        if let Weather::Delay(time) = now {
            tokio::time::sleep(time).await;
        }
        if now == Weather::BlackHole {
            counters
                .swallowed
                .fetch_add(count as u64, Ordering::Relaxed);
            add(&counters.lost_questions);
            continue;
        }
        if to_server.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
}

/// Until the server has ended its side, or the client takes no more.
async fn downwards(
    mut from_server: OwnedReadHalf,
    mut to_client: OwnedWriteHalf,
    weather: &watch::Receiver<Weather>,
    counters: &Counters,
) {
    let mut piece = vec![0; PIECE];
    let mut is_half_closed = false;
    while let Ok(count @ 1..) = from_server.read(&mut piece).await {
        let now = *weather.borrow();
        match now {
            _ if is_half_closed => continue,
            Weather::BlackHole => continue,
            Weather::Delay(time) => tokio::time::sleep(time).await,
            Weather::HalfClose => {
                let passed = to_client.write_all(&piece[..count / 2]).await.is_ok();
                if !passed || to_client.shutdown().await.is_err() {
                    return;
                }
                is_half_closed = true;
                add(&counters.half_closed);
                continue;
            }
            Weather::Fair | Weather::Cut => {}
        }
        if to_client.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
    // The server's end must not end what the client has to end itself.
    if is_half_closed {
        std::future::pending::<()>().await;
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Ends a connection with a reset rather than politely.
fn reset(client: &TcpStream, counters: &Counters) {
    add(&counters.cut);
    drop(client.set_zero_linger());
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut piece = [0; 100];
                    while let Ok(count @ 1..) = stream.read(&mut piece).await {
                        stream.write_all(&piece[..count]).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<[u8; 4]> {
        stream.write_all(b"ping").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    async fn reaches(counter: &AtomicU64, count: u64) {
        let reached = async {
            while counter.load(Ordering::Relaxed) != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let patience = Duration::from_secs(5);
        tokio::time::timeout(patience, reached).await.unwrap();
    }

    #[tokio::test]
    async fn each_weather_does_what_it_says() {
        let proxy = TcpProxy::before(echo().await).await.unwrap();
        let counters = proxy.counters();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(&ask(&mut stream).await.unwrap(), b"ping");
        proxy.set(Weather::BlackHole);
        let waited = tokio::time::timeout(Duration::from_millis(50), ask(&mut stream)).await;
        assert!(waited.is_err());
        assert_eq!(counters.lost_questions.load(Ordering::Relaxed), 1);
        proxy.set(Weather::Cut);
        let mut byte = [0];
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut byte)).await;
        assert!(matches!(ended.unwrap(), Ok(0) | Err(_)));
        assert_eq!(counters.cut.load(Ordering::Relaxed), 1);
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(ask(&mut refused).await.is_err());
        // The way there stays open until the client ends it.
        proxy.set(Weather::HalfClose);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        // As a TLS handshake begins.
        stream.write_all(&[22, 3, 1, 0]).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [22, 3]);
        assert_eq!(counters.tls_begun.load(Ordering::Relaxed), 1);
        assert_eq!(counters.half_closed.load(Ordering::Relaxed), 1);
        reaches(&counters.open, 1).await;
        drop(stream);
        reaches(&counters.open, 0).await;
    }

    #[tokio::test]
    async fn a_forgotten_connection_is_closed_when_asked_or_silent_and_a_new_one_is_not() {
        let proxy = TcpProxy::before(echo().await).await.unwrap();
        for fate in [Forgotten::ClosedWhenAsked, Forgotten::Silent] {
            let mut old = TcpStream::connect(proxy.address()).await.unwrap();
            assert_eq!(&ask(&mut old).await.unwrap(), b"ping");
            proxy.forget(fate);
            let asked = tokio::time::timeout(Duration::from_millis(50), ask(&mut old)).await;
            match fate {
                Forgotten::ClosedWhenAsked => assert!(asked.unwrap().is_err()),
                Forgotten::Silent => assert!(asked.is_err()),
            }
            let mut new = TcpStream::connect(proxy.address()).await.unwrap();
            assert_eq!(&ask(&mut new).await.unwrap(), b"ping");
        }
        assert_eq!(proxy.counters().forgotten.load(Ordering::Relaxed), 2);
    }
}

use super::activity::{Activity, UnderWay};
use super::open::Held;
use super::*;
use crate::process::clock::{Clock, ManualClock};
use crate::stock::AsOf;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const LIMITS: ConnectionLimits = ConnectionLimits {
    per_address: 2,
    quiet: 4,
    keep_alive: Duration::from_secs(3),
    header_timeout: Duration::from_secs(2),
};

struct TestBed {
    clock: Arc<ManualClock>,
    connections: Arc<Connections>,
}

impl TestBed {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(AsOf::EPOCH));
        let connections = Connections::new("test", LIMITS, clock.clone() as Arc<dyn Clock>);
        Self { clock, connections }
    }

    fn enter(&self, last: u8) -> (Option<Held>, Arc<Activity>) {
        self.connections.enter([10, 0, 0, last].into())
    }

    /// Overdue and evicted ones after this time.
    fn closed_after(&self, time: Duration) -> (u64, u64) {
        self.clock.advance(time);
        let closed = self.connections.look();
        (closed.overdue, closed.evicted)
    }

    /// A caller's end and ours.
    async fn pair(&self) -> (TcpStream, WatchedStream<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap());
        let (caller, taken) = tokio::join!(caller, listener.accept());
        let (stream, _peer) = WatchedStream::new(taken.unwrap().0, &self.connections);
        (caller.unwrap(), stream)
    }
}

#[test]
fn an_address_has_its_number_of_connections_and_others_have_theirs() {
    let bed = TestBed::new();
    let held = [bed.enter(1), bed.enter(1)];
    let (refused, activity) = bed.enter(1);
    assert!(refused.is_none() && activity.has_ended());
    assert!(bed.enter(2).0.is_some());
    drop(held);
    assert!(bed.enter(1).0.is_some());
    assert_eq!(bed.connections.addresses(), 0);
}

#[test]
fn a_quiet_connection_and_a_reply_that_is_not_fetched_have_a_deadline_and_a_handler_has_none() {
    let bed = TestBed::new();
    let (_held, activity) = bed.enter(1);
    let under_way = UnderWay::begin(&activity);
    assert_eq!(bed.closed_after(Duration::from_hours(1)), (0, 0));
    under_way.sends();
    assert_eq!(bed.closed_after(Duration::from_secs(5)), (0, 0));
    drop(under_way);
    assert_eq!(bed.closed_after(Duration::from_secs(5)), (0, 0));
    assert!(!activity.has_ended());
    assert_eq!(bed.closed_after(Duration::from_millis(1)), (1, 0));
    assert!(activity.is_cut());
    assert_eq!(bed.closed_after(Duration::ZERO), (0, 0), "once is enough");
    let (_held, activity) = bed.enter(2);
    let under_way = UnderWay::begin(&activity);
    under_way.sends();
    assert_eq!(bed.closed_after(Duration::from_millis(5_001)), (1, 0));
}

#[test]
fn of_too_many_idle_ones_the_longest_idle_are_closed_and_those_at_work_are_not() {
    let bed = TestBed::new();
    let all: Vec<_> = (0..7)
        .map(|last| {
            bed.clock.advance(Duration::from_millis(10));
            bed.enter(last)
        })
        .collect();
    let at_work = UnderWay::begin(&all[0].1);
    let sending = UnderWay::begin(&all[1].1);
    sending.sends();
    let closed = || -> Vec<usize> { (0..7).filter(|at| all[*at].1.has_ended()).collect() };
    // The first idle one may be about to ask.
    assert_eq!(bed.closed_after(Duration::from_millis(200)), (0, 0));
    assert_eq!(bed.closed_after(Duration::from_millis(50)), (0, 1));
    assert_eq!(closed(), [2]);
    // What was answered or sent is idle as well, and has just become it.
    drop((at_work, sending));
    assert_eq!(bed.closed_after(Duration::from_millis(249)), (0, 2));
    assert_eq!(closed(), [2, 3, 4]);
}

#[tokio::test]
async fn draining_closes_idle_connections_and_gives_a_begun_head_its_time() {
    let bed = TestBed::new();
    let (mut idle_caller, mut idle) = bed.pair().await;
    let (mut caller, mut begun) = bed.pair().await;
    caller.write_all(b"GET /").await.unwrap();
    let mut part = [0; 64];
    assert_eq!(begun.read(&mut part).await.unwrap(), 5);
    bed.clock.advance(Duration::from_secs(4));
    bed.connections.drain();
    assert_eq!(idle.read(&mut part).await.unwrap(), 0);
    drop(idle);
    assert_eq!(idle_caller.read(&mut part).await.unwrap(), 0);
    caller.write_all(b" HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(begun.read(&mut part).await.unwrap(), 13);
    assert_eq!(bed.closed_after(Duration::from_secs(2)), (0, 0));
    let under_way = UnderWay::begin(&begun.data().0);
    begun.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    drop(under_way);
    assert_eq!(begun.read(&mut part).await.unwrap(), 0, "and it is idle");
}

#[tokio::test]
async fn however_it_is_cut_what_a_caller_sends_arrives_whole() {
    let request =
        "GET / HTTP/1.1\r\nConnection: keep-alive\r\nu: c\r\nhost: x\r\n\r\n{\"a\":\n\n1}c";
    let sent = request.repeat(20);
    for (piece, size) in [
        (1, 1_024),
        (7, 3),
        (64, 8_192),
        (100_000, 1),
        (100_000, 8_192),
    ] {
        let (mut caller, mut stream) = TestBed::new().pair().await;
        let sending = async {
            for piece in sent.as_bytes().chunks(piece) {
                caller.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(caller);
        };
        let reading = async {
            let (mut all, mut part) = (Vec::new(), vec![0; size]);
            while let length @ 1.. = stream.read(&mut part).await.unwrap() {
                all.extend_from_slice(&part[..length]);
            }
            String::from_utf8(all).unwrap()
        };
        let ((), arrived) = tokio::join!(sending, reading);
        assert_eq!(arrived, sent, "{piece} {size}");
    }
}

#[tokio::test]
async fn nothing_is_given_ahead_of_a_handler_but_its_body_and_the_end() {
    let (mut caller, mut stream) = TestBed::new().pair().await;
    let activity = stream.data().0;
    let mut part = [0; 64];
    let under_way = UnderWay::begin(&activity);
    caller.write_all(b"GET /next").await.unwrap();
    let mut read = Box::pin(stream.read(&mut part));
    assert!(futures_util::poll!(&mut read).is_pending());
    drop(under_way);
    assert_eq!(read.await.unwrap(), 9);
    activity.note_blocked(true);
    caller.write_all(b" HTTP/1.1").await.unwrap();
    assert!(stream.read(&mut part).now_or_never().is_none());
    activity.note_blocked(false);
    assert_eq!(stream.read(&mut part).await.unwrap(), 9);
    let _under_way = UnderWay::begin(&activity);
    drop(caller);
    assert_eq!(stream.read(&mut part).await.unwrap(), 0, "it has gone");
}

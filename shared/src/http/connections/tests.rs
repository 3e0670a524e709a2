use super::*;
use crate::process::clock::ManualClock;
use crate::stock::AsOf;
use actix_web::body::BoxBody;
use std::net::{TcpListener, TcpStream as BlockingStream};

const LIMITS: ConnectionLimits = ConnectionLimits {
    per_address: 2,
    quiet: 4,
    keep_alive: Duration::from_secs(3),
    header_timeout: Duration::from_secs(2),
};

fn connections(clock: &Arc<ManualClock>) -> Arc<Connections> {
    Connections::new("test", LIMITS, Arc::clone(clock) as Arc<dyn Clock>)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(AsOf::EPOCH))
}

/// Both ends of a connection.
fn pair() -> (BlockingStream, Socket) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let caller = BlockingStream::connect(listener.local_addr().unwrap()).unwrap();
    let (taken, _) = listener.accept().unwrap();
    (caller, taken.into())
}

fn enter(connections: &Arc<Connections>, address: &str) -> Option<Held> {
    let peer = SocketAddr::new(address.parse().unwrap(), 1);
    connections.enter(peer, pair().1, &Rc::default()).ok()
}

#[test]
fn an_address_has_its_number_of_connections_and_others_have_theirs() {
    let connections = connections(&clock());
    let held: Vec<_> = (0..2)
        .map(|_| enter(&connections, "10.0.0.1").unwrap())
        .collect();
    assert!(enter(&connections, "10.0.0.1").is_none());
    assert!(enter(&connections, "10.0.0.2").is_some());
    drop(held);
    assert!(enter(&connections, "10.0.0.1").is_some());
    let open = connections.open.lock().unwrap();
    assert!(open.of_address.is_empty());
}

#[test]
fn a_quiet_connection_is_shut_and_one_at_work_is_not() {
    let clock = clock();
    let connections = connections(&clock);
    let (mut caller, socket) = pair();
    let peer = caller.local_addr().unwrap();
    let held = connections
        .enter(peer, socket, &Rc::default())
        .ok()
        .unwrap();
    let under_way = held.put_to_work();
    clock.advance(Duration::from_hours(1));
    assert_eq!(connections.look().overdue, 0);
    drop(under_way);
    clock.advance(Duration::from_secs(5));
    assert_eq!(connections.look().overdue, 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(connections.look().overdue, 1);
    assert_eq!(connections.look().overdue, 0, "once is enough");
    let end = io::Read::read(&mut caller, &mut [0; 1]);
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

/// Whether the other side has closed it.
fn is_closed(mut caller: &BlockingStream) -> bool {
    caller.set_nonblocking(true).unwrap();
    let end = io::Read::read(&mut caller, &mut [0; 1]);
    !matches!(end, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn of_too_many_quiet_ones_some_give_way_and_those_at_work_do_not() {
    let clock = clock();
    let connections = connections(&clock);
    let mut all = Vec::new();
    let (mut at_work, mut sending) = (None, None);
    for name in [
        "at work", "sending", "first", "second", "third", "fourth", "fifth",
    ] {
        clock.advance(Duration::from_millis(10));
        let (caller, socket) = pair();
        let peer = SocketAddr::new(format!("10.0.0.{}", all.len()).parse().unwrap(), 1);
        let held = connections
            .enter(peer, socket, &Rc::default())
            .ok()
            .unwrap();
        match name {
            "at work" => at_work = Some(held.put_to_work()),
            "sending" => {
                let body = BoxBody::new(vec![0; 100_000]);
                sending = Some(Sending::begin(body, held.put_to_work()));
            }
            _ => {}
        }
        all.push((name, caller, held));
    }
    let closed = || {
        let closed = all.iter().filter(|(_, caller, _)| is_closed(caller));
        closed.map(|(name, ..)| *name).collect::<Vec<_>>()
    };
    // The first of them may be about to ask.
    clock.advance(Duration::from_millis(200));
    assert_eq!(
        connections.look(),
        Shut {
            overdue: 0,
            surplus: 0
        }
    );
    clock.advance(Duration::from_millis(50));
    assert_eq!(
        connections.look(),
        Shut {
            overdue: 0,
            surplus: 1
        }
    );
    assert_eq!(closed(), ["first"]);
    // What is answered or sent is quiet as well, and has just become it.
    drop((at_work, sending));
    clock.advance(Duration::from_millis(249));
    assert_eq!(
        connections.look(),
        Shut {
            overdue: 0,
            surplus: 2
        }
    );
    assert_eq!(closed(), ["first", "second", "third"]);
}

#[test]
fn a_reply_nobody_fetches_is_overdue_in_the_end() {
    let clock = clock();
    let connections = connections(&clock);
    let (_caller, socket) = pair();
    let peer = SocketAddr::new("10.0.0.1".parse().unwrap(), 1);
    let held = connections
        .enter(peer, socket, &Rc::default())
        .ok()
        .unwrap();
    let body = BoxBody::new(vec![0; 100_000]);
    let _sending = Sending::begin(body, held.put_to_work());
    clock.advance(Duration::from_secs(5));
    assert_eq!(connections.look().overdue, 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(connections.look().overdue, 1);
}

/// A connection as the library has it, and its caller's end.
fn watched() -> (
    tokio::io::DuplexStream,
    WatchedStream<tokio::io::DuplexStream>,
) {
    let (caller, ours) = tokio::io::duplex(1 << 20);
    (caller, WatchedStream::new(ours))
}

#[tokio::test]
async fn however_it_is_cut_what_a_caller_sends_arrives_whole() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request =
        "GET / HTTP/1.1\r\nConnection: keep-alive\r\nu: c\r\nhost: x\r\n\r\n{\"a\":\n\n1}c";
    let sent = request.repeat(20);
    for piece in [1, 2, 7, 64, 100_000] {
        for room in [1, 3, 1_024, 8_192] {
            let (mut caller, mut stream) = watched();
            let sending = async {
                for piece in sent.as_bytes().chunks(piece) {
                    caller.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                drop(caller);
            };
            let reading = async {
                let (mut all, mut part) = (Vec::new(), vec![0; room]);
                loop {
                    match stream.read(&mut part).await.unwrap() {
                        0 => return all,
                        length => all.extend_from_slice(&part[..length]),
                    }
                }
            };
            let ((), arrived) = tokio::join!(sending, reading);
            assert_eq!(String::from_utf8(arrived).unwrap(), sent, "{piece} {room}");
        }
    }
}

#[tokio::test]
async fn nothing_is_read_ahead_of_a_handler_but_its_body_and_the_end() {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut caller, mut stream) = watched();
    let reading = Rc::clone(stream.reading());
    let mut part = [0; 64];
    reading.note_handler(true);
    caller.write_all(b"GET /next").await.unwrap();
    assert!(stream.read(&mut part).now_or_never().is_none());
    reading.note_handler(false);
    assert_eq!(stream.read(&mut part).await.unwrap(), 9);
    reading.note_blocked(true);
    caller.write_all(b" HTTP/1.1").await.unwrap();
    assert!(stream.read(&mut part).now_or_never().is_none());
    reading.note_blocked(false);
    assert_eq!(stream.read(&mut part).await.unwrap(), 9);
    reading.note_handler(true);
    drop(caller);
    assert_eq!(stream.read(&mut part).await.unwrap(), 0, "it has gone");
}

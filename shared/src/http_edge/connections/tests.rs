use super::*;
use crate::process::clock::ManualClock;
use crate::stock::AsOf;
use std::net::{TcpListener, TcpStream as BlockingStream};

const LIMITS: ConnectionLimits = ConnectionLimits {
    per_address: 2,
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
    connections.enter(peer, pair().1).ok()
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
    assert!(open.of_address.is_empty() && open.watched.is_empty());
}

#[test]
fn a_quiet_connection_is_shut_and_one_at_work_is_not() {
    let clock = clock();
    let connections = connections(&clock);
    let (mut caller, socket) = pair();
    let peer = caller.local_addr().unwrap();
    let held = connections.enter(peer, socket).ok().unwrap();
    held.quiet.0.store(Quiet::BUSY, Ordering::Relaxed);
    let under_way = UnderWay {
        quiet: Arc::clone(&held.quiet),
        clock: Arc::clone(&connections.clock),
    };
    clock.advance(Duration::from_hours(1));
    assert_eq!(connections.shut_quiet_ones(), 0);
    drop(under_way);
    clock.advance(Duration::from_secs(5));
    assert_eq!(connections.shut_quiet_ones(), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(connections.shut_quiet_ones(), 1);
    assert_eq!(connections.shut_quiet_ones(), 0, "once is enough");
    let end = io::Read::read(&mut caller, &mut [0; 1]);
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

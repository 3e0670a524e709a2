use super::*;
use crate::process::clock::ManualClock;
use crate::stock::AsOf;
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
    assert!(open.of_address.is_empty() && open.all == 0);
}

#[test]
fn a_quiet_connection_is_shut_and_one_at_work_is_not() {
    let clock = clock();
    let connections = connections(&clock);
    let (mut caller, socket) = pair();
    let peer = caller.local_addr().unwrap();
    let held = connections.enter(peer, socket).ok().unwrap();
    let under_way = held.put_to_work();
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

#[test]
fn a_new_one_takes_the_place_of_the_longest_quiet_of_the_address_that_has_most() {
    let clock = clock();
    let connections = connections(&clock);
    let (mut all, mut under_way) = (HashMap::new(), None);
    // The shop's is the oldest; of the other two addresses the second has more that are quiet.
    for (name, address) in [
        ("shop", "10.0.0.1"),
        ("at work", "10.0.0.2"),
        ("other", "10.0.0.2"),
        ("first of two", "10.0.0.3"),
        ("second of two", "10.0.0.3"),
    ] {
        clock.advance(Duration::from_millis(500));
        let (caller, socket) = pair();
        let peer = SocketAddr::new(address.parse().unwrap(), 1);
        let held = connections.enter(peer, socket).ok().unwrap();
        if name == "at work" {
            under_way = Some(held.put_to_work());
        }
        all.insert(name, (caller, held));
    }
    let open_ones = |all: &HashMap<&'static str, (BlockingStream, Held)>| {
        let mut open: Vec<&str> = all
            .iter()
            .filter(|(_, (caller, _))| {
                caller.set_nonblocking(true).unwrap();
                let end = io::Read::read(&mut &*caller, &mut [0; 1]);
                matches!(end, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            })
            .map(|(name, _)| *name)
            .collect();
        open.sort_unstable();
        open
    };
    assert_eq!(open_ones(&all).len(), 5, "four quiet ones are not too many");
    let late = enter(&connections, "10.0.0.4");
    let left = ["at work", "other", "second of two", "shop"];
    assert_eq!(open_ones(&all), left);
    // One that was at work until now is one too many: two go.
    drop(under_way);
    clock.advance(Duration::from_millis(250));
    let later = enter(&connections, "10.0.0.4");
    assert_eq!(open_ones(&all), ["at work", "second of two", "shop"]);
    assert!(late.is_some() && later.is_some());
}

#[test]
fn none_gives_way_before_its_first_request_could_come() {
    let clock = clock();
    let connections = connections(&clock);
    let mut held = Vec::new();
    let mut enter = || {
        let (_caller, socket) = pair();
        let peer = SocketAddr::new(format!("10.0.0.{}", held.len()).parse().unwrap(), 1);
        held.push(connections.enter(peer, socket).ok().unwrap());
    };
    let shut = || {
        let open = connections.open.lock().unwrap();
        let all = open.of_address.values().flat_map(HashMap::values);
        all.filter(|watched| watched.is_shut).count()
    };
    for _ in 0..4 {
        enter();
    }
    clock.advance(Duration::from_millis(249));
    enter();
    assert_eq!(shut(), 0);
    clock.advance(Duration::from_millis(1));
    enter();
    assert_eq!(shut(), 2, "the sixth of four, and the fifth");
}

//! A port that bears a rush.
//!
//! Callers who connect while the service is busy wait in the system's queue. Beyond its length their
//! first packet is dropped, and they come back after a second: an order that is late for nothing. The
//! standard library's queue has 128 places, which five hundred orders at once overflow.

use socket2::SockRef;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Places in the queue; the system may have fewer (`net.core.somaxconn`, 4,096 on Linux).
const PLACES: i32 = 4_096;

/// Listens at an address.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // Said again, the new length counts.
    SockRef::from(&listener).listen(PLACES)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::time::Duration;

    #[test]
    fn five_hundred_may_wait_until_they_are_looked_after() {
        let of_system = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
        let of_system: usize = of_system.map_or(128, |text| text.trim().parse().unwrap());
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        // Nobody accepts; one that is not let in is tried again after a second.
        let waiting: Vec<_> = (0..of_system.min(500))
            .map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(900)))
            .collect();
        let refused = waiting.iter().filter(|stream| stream.is_err()).count();
        assert_eq!(refused, 0);
    }
}

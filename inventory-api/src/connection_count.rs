//! How many connections one address may hold open. Beyond that they are closed as they come, before
//! anything of a request is read: idle connections cost memory, and nobody needs thousands.

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use shared::http_edge::caller_key::CallerKey;
use socket2::SockRef;
use std::any::Any;
use std::collections::HashMap;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};

/// The open connections of each address.
#[derive(Debug)]
pub(crate) struct ConnectionCounts {
    /// 0 is no limit.
    most: usize,
    open: Mutex<HashMap<CallerKey, usize>>,
}

/// One open connection; it is counted as long as this lives, which is as long as the connection.
#[derive(Debug)]
struct Counted {
    counts: Arc<ConnectionCounts>,
    address: CallerKey,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self
            .counts
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

impl ConnectionCounts {
    /// At most so many of each address; 0 is no limit.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            open: Mutex::default(),
        }
    }

    /// For `HttpServer::on_connect`: counts a connection, or closes it.
    pub(crate) fn connected(self: &Arc<Self>, connection: &dyn Any, data: &mut Extensions) {
        let stream = connection.downcast_ref::<TcpStream>().or_else(|| {
            let secured = connection.downcast_ref::<TlsStream<TcpStream>>()?;
            Some(secured.get_ref().0)
        });
        let Some(stream) = stream.filter(|_| self.most > 0) else {
            return;
        };
        let Ok(peer) = stream.peer_addr() else {
            return;
        };
        if let Some(counted) = self.enter(CallerKey::of_address(peer.ip())) {
            data.insert(counted);
        } else {
            tracing::debug!(
                limit = self.most,
                "one address has too many connections: this one is closed"
            );
            // A connection that is gone already is as closed as this one will be.
            let _gone = SockRef::from(stream).shutdown(Shutdown::Both);
        }
    }

    fn enter(self: &Arc<Self>, address: CallerKey) -> Option<Counted> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Counted {
            counts: Arc::clone(self),
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_number_of_connections_and_others_have_theirs() {
        let counts = Arc::new(ConnectionCounts::new(2));
        let address = |text: &str| CallerKey::of_address(text.parse().unwrap());
        let held: Vec<_> = (0..2)
            .map(|_| counts.enter(address("10.0.0.1")).unwrap())
            .collect();
        assert!(counts.enter(address("10.0.0.1")).is_none());
        assert!(counts.enter(address("10.0.0.2")).is_some());
        drop(held);
        assert!(counts.enter(address("10.0.0.1")).is_some());
        assert!(counts.open.lock().unwrap().is_empty());
    }
}

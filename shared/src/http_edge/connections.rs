//! The connections of one listener: how many an address may hold, and how long one may be quiet.
//!
//! The HTTP library times a connection's first head and the pause between two requests. It does not
//! time a later head, what is left of a body nobody reads any more, or a reply nobody fetches. So
//! every connection is watched from outside: one without a request in a handler for longer than
//! `keep_alive` and `header_timeout` together is shut down, whatever it waits for.
//!
//! A connection in a handler is left alone: handlers have deadlines of their own. Beyond its number,
//! an address' connections are closed as they come, before anything of a request is read.

use super::caller_key::CallerKey;
use crate::process::clock::Clock;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use socket2::{SockRef, Socket};
use std::any::Any;
use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the connections of a listener may do.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Open connections of one address; 0 is no limit.
    pub per_address: usize,
    /// How long a connection nobody uses stays open.
    pub keep_alive: Duration,
    /// How long a head may take.
    pub header_timeout: Duration,
}

/// The open connections of a listener.
#[derive(Debug)]
pub struct Connections {
    surface: &'static str,
    limits: ConnectionLimits,
    clock: Arc<dyn Clock>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    of_address: HashMap<CallerKey, usize>,
    watched: HashMap<u64, Watched>,
    last: u64,
}

/// A connection seen from outside.
#[derive(Debug)]
struct Watched {
    /// A second handle of the socket: the first is the library's.
    socket: Socket,
    quiet: Arc<Quiet>,
    is_shut: bool,
}

/// Since when no request is in a handler: milliseconds of the monotonic clock.
#[derive(Debug)]
struct Quiet(AtomicU64);

impl Quiet {
    const BUSY: u64 = u64::MAX;

    fn since(now: Duration) -> Self {
        Self(AtomicU64::new(whole_ms(now)))
    }

    fn for_longer_than(&self, limit: Duration, now: Duration) -> bool {
        let since = self.0.load(Ordering::Relaxed);
        since != Self::BUSY && whole_ms(now).saturating_sub(since) > whole_ms(limit)
    }
}

/// One open connection, among the data of its requests; it counts as long as this lives, which is as
/// long as the connection.
#[derive(Debug)]
struct Held {
    connections: Arc<Connections>,
    number: u64,
    address: CallerKey,
    quiet: Arc<Quiet>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.connections.forget(self.number, &self.address);
    }
}

/// A request in a handler, until it is answered or dropped.
struct UnderWay {
    quiet: Arc<Quiet>,
    clock: Arc<dyn Clock>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = whole_ms(self.clock.monotonic());
        self.quiet.0.store(now, Ordering::Relaxed);
    }
}

/// Why a connection is closed as it comes.
enum NotTaken {
    /// Its address has as many as it may have.
    TooMany,
    /// It has gone, or there is no descriptor left to watch it with.
    Unwatchable(io::Error),
}

impl Connections {
    /// None yet; `surface` names the listener in logs and metrics.
    pub fn new(
        surface: &'static str,
        limits: ConnectionLimits,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            surface,
            limits,
            clock,
            open: Mutex::default(),
        })
    }

    /// What its connections may do.
    pub fn limits(&self) -> ConnectionLimits {
        self.limits
    }

    /// For `HttpServer::on_connect`: counts a connection and watches it, or closes it.
    pub fn connected(self: &Arc<Self>, connection: &dyn Any, data: &mut Extensions) {
        let stream = connection.downcast_ref::<TcpStream>().or_else(|| {
            let secured = connection.downcast_ref::<TlsStream<TcpStream>>()?;
            Some(secured.get_ref().0)
        });
        let Some(stream) = stream else {
            return;
        };
        let socket = SockRef::from(stream);
        let peer = stream.peer_addr();
        let watched = peer.and_then(|peer| Ok((peer, socket.try_clone()?)));
        let held = watched
            .map_err(NotTaken::Unwatchable)
            .and_then(|(peer, socket)| self.enter(peer, socket));
        match held {
            Ok(held) => {
                data.insert(held);
            }
            Err(why) => {
                self.not_taken(&why);
                // A connection that is gone already is as closed as this one will be.
                let _gone = socket.shutdown(Shutdown::Both);
            }
        }
    }

    fn enter(self: &Arc<Self>, peer: SocketAddr, socket: Socket) -> Result<Held, NotTaken> {
        let address = CallerKey::of_address(peer.ip());
        let most = self.limits.per_address;
        let quiet = Arc::new(Quiet::since(self.clock.monotonic()));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.of_address.entry(address.clone()).or_default();
        if most > 0 && *count >= most {
            return Err(NotTaken::TooMany);
        }
        *count += 1;
        open.last += 1;
        let number = open.last;
        let watched = Watched {
            socket,
            quiet: Arc::clone(&quiet),
            is_shut: false,
        };
        open.watched.insert(number, watched);
        Ok(Held {
            connections: Arc::clone(self),
            number,
            address,
            quiet,
        })
    }

    fn forget(&self, number: u64, address: &CallerKey) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.watched.remove(&number);
        if let Some(count) = open.of_address.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                open.of_address.remove(address);
            }
        }
    }

    fn not_taken(&self, why: &NotTaken) {
        match why {
            NotTaken::TooMany => {
                self.count("address", 1);
                let limit = self.limits.per_address;
                tracing::debug!(
                    surface = self.surface,
                    limit,
                    "one address has too many connections: this one is closed"
                );
            }
            NotTaken::Unwatchable(cause) => {
                self.count("unwatchable", 1);
                tracing::debug!(
                    surface = self.surface,
                    %cause,
                    "a connection cannot be watched: it is closed"
                );
            }
        }
    }

    /// Shuts quiet connections down until told to stop.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let pause = self.longest_quiet() / 16;
        let pause = pause.clamp(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            let shut = self.shut_quiet_ones();
            if shut > 0 {
                self.count("quiet", shut);
                tracing::debug!(
                    surface = self.surface,
                    connections = shut,
                    "quiet connections were shut down"
                );
            }
        }
    }

    fn longest_quiet(&self) -> Duration {
        self.limits
            .keep_alive
            .saturating_add(self.limits.header_timeout)
    }

    fn shut_quiet_ones(&self) -> u64 {
        let (limit, now) = (self.longest_quiet(), self.clock.monotonic());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = open
            .watched
            .values_mut()
            .filter(|watched| !watched.is_shut && watched.quiet.for_longer_than(limit, now));
        let mut shut = 0;
        for watched in quiet {
            // What the other side never fetches must not stay in the system's memory either. And a
            // connection that is gone already is as closed as this one will be.
            let _gone = watched.socket.set_linger(Some(Duration::ZERO));
            let _gone = watched.socket.shutdown(Shutdown::Both);
            watched.is_shut = true;
            shut += 1;
        }
        shut
    }

    fn count(&self, reason: &'static str, connections: u64) {
        metrics::counter!("http_connections_closed_total", "surface" => self.surface, "reason" => reason)
            .increment(connections);
    }
}

/// Middleware (`wrap(from_fn(connections::note_request))`), outermost: while it runs, the
/// connection is not quiet.
pub async fn note_request<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let _under_way = request.conn_data::<Held>().map(|held| {
        held.quiet.0.store(Quiet::BUSY, Ordering::Relaxed);
        UnderWay {
            quiet: Arc::clone(&held.quiet),
            clock: Arc::clone(&held.connections.clock),
        }
    });
    next.call(request).await
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(Quiet::BUSY - 1)
}

#[cfg(test)]
mod tests;

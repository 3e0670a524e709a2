//! The connections of one listener: how many an address may hold, how many may be quiet at once, and
//! how long.
//!
//! The HTTP library times a connection's first head and the pause between two requests. It does not
//! time a later head, what is left of a body nobody reads any more, or a reply nobody fetches. So
//! every connection is watched from outside: one without a request in a handler for longer than
//! `keep_alive` and `header_timeout` together is shut down, whatever it waits for.
//!
//! A connection in a handler is left alone: handlers have deadlines of their own. Beyond its number,
//! an address' connections are closed as they come, before anything of a request is read.
//!
//! A quiet connection costs memory, the HTTP library's buffers. Where too many are quiet at once, a
//! new one takes the place of another: of the address that has most of them the one that was quiet
//! for longest. So whoever holds thousands loses them, and a shop's few, used every now and then, stay.

use super::caller_key::CallerKey;
use crate::process::clock::Clock;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use socket2::{SockRef, Socket};
use std::any::Any;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a connection may take to be done with a body in chunks that was refused: the HTTP library
/// reads, and throws away, as much as comes.
const REST_OF_REFUSED: Duration = Duration::from_secs(2);

/// How long a connection is quiet at least before another takes its place: its first request may be on
/// the way.
const LEAST_QUIET: Duration = Duration::from_millis(250);

/// What the connections of a listener may do.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Open connections of one address; 0 is no limit.
    pub per_address: usize,
    /// Connections without a request in a handler, of all addresses; 0 is no limit.
    pub quiet: usize,
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
    of_address: HashMap<CallerKey, HashMap<u64, Watched>>,
    /// How many there are.
    all: usize,
    /// Number of the one that came last.
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

impl Watched {
    /// Until when it may be quiet; none if it is not, or is shut already.
    fn quiet_until(&self) -> Option<u64> {
        let end = self.quiet.0.load(Ordering::Relaxed);
        (!self.is_shut && end != Quiet::BUSY).then_some(end)
    }

    fn shut(&mut self) {
        // What the other side never fetches must not stay in the system's memory either. And a
        // connection that is gone already is as closed as this one will be.
        let _gone = self.socket.set_linger(Some(Duration::ZERO));
        let _gone = self.socket.shutdown(Shutdown::Both);
        self.is_shut = true;
    }
}

impl Open {
    /// Shuts what is quiet beyond this number, two at most: the place a new one takes, and one of
    /// those that became quiet since the last came; none whose time is over later than this. Says how
    /// many.
    fn shut_beyond(&mut self, most: usize, latest_end: u64) -> u64 {
        if most == 0 || self.all <= most {
            return 0;
        }
        let mut shut = 0;
        while shut < 2 {
            let (quiet, next) = self.quiet_ones(latest_end);
            let Some(next) = next.filter(|_| quiet > most) else {
                break;
            };
            next.shut();
            shut += 1;
            if quiet - 1 <= most {
                break;
            }
        }
        shut
    }

    /// How many are quiet, and the one to go first: of the address that has most of them the one
    /// whose time is over first, and not later than this.
    fn quiet_ones(&mut self, latest_end: u64) -> (usize, Option<&mut Watched>) {
        let mut quiet = 0;
        let mut crowded: Option<((usize, Reverse<u64>), &mut Watched)> = None;
        for connections in self.of_address.values_mut() {
            let mut count = 0;
            let mut first: Option<(u64, &mut Watched)> = None;
            for watched in connections.values_mut() {
                let Some(end) = watched.quiet_until() else {
                    continue;
                };
                count += 1;
                let is_next = end <= latest_end;
                if is_next && first.as_ref().is_none_or(|(earliest, _)| end < *earliest) {
                    first = Some((end, watched));
                }
            }
            quiet += count;
            let Some((end, watched)) = first else {
                continue;
            };
            let place = (count, Reverse(end));
            if crowded.as_ref().is_none_or(|(most, _)| place > *most) {
                crowded = Some((place, watched));
            }
        }
        (quiet, crowded.map(|(_, watched)| watched))
    }
}

/// Until when a connection may stay that has no request in a handler: milliseconds of the monotonic
/// clock.
#[derive(Debug)]
struct Quiet(AtomicU64);

impl Quiet {
    const BUSY: u64 = u64::MAX;

    fn until(end: Duration) -> Self {
        Self(AtomicU64::new(whole_ms(end)))
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

impl Held {
    fn put_to_work(&self) -> UnderWay {
        self.quiet.0.store(Quiet::BUSY, Ordering::Relaxed);
        UnderWay {
            quiet: Arc::clone(&self.quiet),
            clock: Arc::clone(&self.connections.clock),
            quiet_for: self.connections.longest_quiet(),
        }
    }
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
    /// How long its connection may be quiet then.
    quiet_for: Duration,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let end = self.clock.monotonic().saturating_add(self.quiet_for);
        self.quiet.0.store(whole_ms(end), Ordering::Relaxed);
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
        let end = self.clock.monotonic().saturating_add(self.longest_quiet());
        let latest_end = whole_ms(end.saturating_sub(LEAST_QUIET));
        let quiet = Arc::new(Quiet::until(end));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let number = open.last + 1;
        let of_address = open.of_address.entry(address.clone()).or_default();
        if most > 0 && of_address.len() >= most {
            return Err(NotTaken::TooMany);
        }
        let watched = Watched {
            socket,
            quiet: Arc::clone(&quiet),
            is_shut: false,
        };
        of_address.insert(number, watched);
        open.last = number;
        open.all += 1;
        let shut = open.shut_beyond(self.limits.quiet, latest_end);
        drop(open);
        if shut > 0 {
            self.count("crowded", shut);
        }
        Ok(Held {
            connections: Arc::clone(self),
            number,
            address,
            quiet,
        })
    }

    fn forget(&self, number: u64, address: &CallerKey) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_address) = open.of_address.get_mut(address) else {
            return;
        };
        let was_open = of_address.remove(&number).is_some();
        if of_address.is_empty() {
            open.of_address.remove(address);
        }
        open.all -= usize::from(was_open);
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
        let now = whole_ms(self.clock.monotonic());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shut = 0;
        for watched in open.of_address.values_mut().flat_map(HashMap::values_mut) {
            if watched.quiet_until().is_some_and(|end| end < now) {
                watched.shut();
                shut += 1;
            }
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
    let mut under_way = request.conn_data::<Held>().map(Held::put_to_work);
    let is_in_chunks = request.headers().contains_key(TRANSFER_ENCODING);
    let reply = next.call(request).await;
    if let Some(under_way) = under_way.as_mut().filter(|_| is_in_chunks) {
        let is_refused = reply
            .as_ref()
            .map_or(true, |reply| !reply.status().is_success());
        if is_refused {
            under_way.quiet_for = under_way.quiet_for.min(REST_OF_REFUSED);
        }
    }
    reply
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(Quiet::BUSY - 1)
}

#[cfg(test)]
mod tests;

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
//! A quiet connection costs memory, the HTTP library's buffers. Where too many are quiet at once, some
//! are shut down: of the address that has most of them those that have been quiet for longest. So
//! whoever holds thousands loses them, and a shop's few, used every now and then, stay.

mod activity;
mod crowd;
mod heads;
mod reading;
mod sending;
mod stream;

pub use stream::WatchedStream;

use super::caller_key::CallerKey;
use crate::process::clock::Clock;
use activity::{Activity, UnderWay, whole_ms};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use reading::Reading;
use sending::Sending;
use socket2::{SockRef, Socket};
use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a connection may take to be done with a body in chunks that its handler did not read to the
/// end: the HTTP library reads, and throws away, as much as comes.
const REST_OF_BODY: Duration = Duration::from_secs(2);
/// How long a connection is quiet at least before it has to give way: its first request may be on the
/// way.
const LEAST_QUIET: Duration = Duration::from_millis(250);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

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
    /// Number of the one that came last.
    last: u64,
}

/// A connection seen from outside.
#[derive(Debug)]
struct Watched {
    /// A second handle of the socket: the first is the library's.
    socket: Socket,
    activity: Arc<Activity>,
    is_shut: bool,
}

impl Watched {
    /// What was written last is still on its way to the other side.
    fn shut(&mut self) {
        // A connection that is gone already is as closed as this one will be.
        let _gone = self.socket.shutdown(Shutdown::Both);
        self.is_shut = true;
    }

    /// What the other side never fetches must not stay in the system's memory either.
    fn cut(&mut self) {
        let _gone = self.socket.set_linger(Some(Duration::ZERO));
        self.shut();
    }
}

impl Open {
    fn all(&mut self) -> impl Iterator<Item = (&u64, &mut Watched)> {
        self.of_address
            .values_mut()
            .flatten()
            .filter(|(_, watched)| !watched.is_shut)
    }

    /// Shuts those whose time is over; says how many.
    fn shut_overdue(&mut self, now: u64) -> u64 {
        let overdue = self
            .all()
            .filter(|(_, watched)| watched.activity.is_overdue(now));
        overdue.map(|(_, watched)| watched.cut()).count() as u64
    }

    /// Shuts what is quiet beyond this number, of those that are quiet since then at least; says how
    /// many.
    fn shut_surplus(&mut self, most: usize, since: u64) -> u64 {
        if most == 0 {
            return 0;
        }
        let quiet = self.of_address.values().map(|connections| {
            let open = connections.iter().filter(|(_, watched)| !watched.is_shut);
            open.filter_map(|(number, watched)| Some((watched.activity.may_give_way()?, *number)))
                .collect()
        });
        let surplus = crowd::surplus(quiet.collect(), most, since);
        let shut = surplus.len() as u64;
        for (_, watched) in self.all().filter(|(number, _)| surplus.contains(number)) {
            watched.shut();
        }
        shut
    }
}

/// One open connection, among the data of its requests; it counts as long as this lives, which is as
/// long as the connection.
#[derive(Debug)]
struct Held {
    connections: Arc<Connections>,
    number: u64,
    address: CallerKey,
    activity: Arc<Activity>,
    reading: Rc<Reading>,
}

impl Held {
    fn put_to_work(&self) -> UnderWay {
        let clock = Arc::clone(&self.connections.clock);
        let quiet_for = self.connections.longest_quiet();
        UnderWay::begin(&self.activity, &self.reading, clock, quiet_for)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.connections.forget(self.number, &self.address);
    }
}

/// How many connections were shut down.
#[derive(Debug, PartialEq, Eq)]
struct Shut {
    overdue: u64,
    surplus: u64,
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

    /// For `on_connect_ext`: counts a connection and watches it, or closes it. `stream` is what it runs over.
    pub fn connected<T>(
        self: &Arc<Self>,
        connection: &WatchedStream<T>,
        stream: &TcpStream,
        data: &mut Extensions,
    ) {
        let socket = SockRef::from(stream);
        let peer = stream.peer_addr();
        let watched = peer.and_then(|peer| Ok((peer, socket.try_clone()?)));
        let held = watched
            .map_err(NotTaken::Unwatchable)
            .and_then(|(peer, socket)| self.enter(peer, socket, connection.reading()));
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

    fn enter(
        self: &Arc<Self>,
        peer: SocketAddr,
        socket: Socket,
        reading: &Rc<Reading>,
    ) -> Result<Held, NotTaken> {
        let address = CallerKey::of_address(peer.ip());
        let most = self.limits.per_address;
        let now = self.clock.monotonic();
        let activity = Arc::new(Activity::quiet(now, self.longest_quiet()));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let number = open.last + 1;
        let of_address = open.of_address.entry(address.clone()).or_default();
        if most > 0 && of_address.len() >= most {
            return Err(NotTaken::TooMany);
        }
        let watched = Watched {
            socket,
            activity: Arc::clone(&activity),
            is_shut: false,
        };
        of_address.insert(number, watched);
        open.last = number;
        Ok(Held {
            connections: Arc::clone(self),
            number,
            address,
            activity,
            reading: Rc::clone(reading),
        })
    }

    fn forget(&self, number: u64, address: &CallerKey) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_address) = open.of_address.get_mut(address) else {
            return;
        };
        of_address.remove(&number);
        if of_address.is_empty() {
            open.of_address.remove(address);
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

    /// Shuts down, until told to stop, what was quiet for too long and what is quiet beyond its number.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                () = stop.cancelled() => return,
            }
            let shut = self.look();
            for (reason, connections) in [("quiet", shut.overdue), ("crowded", shut.surplus)] {
                if connections > 0 {
                    self.count(reason, connections);
                    tracing::debug!(
                        surface = self.surface,
                        reason,
                        connections,
                        "quiet connections were shut down"
                    );
                }
            }
        }
    }

    fn look(&self) -> Shut {
        let now = self.clock.monotonic();
        let since = whole_ms(now.saturating_sub(LEAST_QUIET));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        Shut {
            overdue: open.shut_overdue(whole_ms(now)),
            surplus: open.shut_surplus(self.limits.quiet, since),
        }
    }

    fn longest_quiet(&self) -> Duration {
        self.limits
            .keep_alive
            .saturating_add(self.limits.header_timeout)
    }

    fn count(&self, reason: &'static str, connections: u64) {
        metrics::counter!("http_connections_closed_total", "surface" => self.surface, "reason" => reason)
            .increment(connections);
    }
}

/// Middleware (`wrap(from_fn(connections::note_request))`), outermost: while it runs, the
/// connection is not quiet.
pub async fn note_request<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, Sending>>, actix_web::Error> {
    let held = request.conn_data::<Held>();
    let Some((mut under_way, reading)) =
        held.map(|held| (held.put_to_work(), Rc::clone(&held.reading)))
    else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let is_read = reading::follow_body(&mut request, &reading);
    // What is left of a body whose length is known the library does not wait for.
    let is_in_chunks = request.headers().contains_key(TRANSFER_ENCODING);
    let reply = next.call(request).await;
    if is_in_chunks && is_read.is_some_and(|is_read| !is_read.get()) {
        under_way.is_quiet_for(REST_OF_BODY);
    }
    let reply = reply?;
    Ok(if Sending::takes_time(reply.response().body().size()) {
        reply.map_body(|_, body| EitherBody::right(Sending::begin(body.boxed(), under_way)))
    } else {
        reply.map_into_left_body()
    })
}

#[cfg(test)]
mod tests;

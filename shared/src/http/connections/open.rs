//! The open connections of a listener, and the watch over them.

use super::activity::{Activity, Ending, whole_ms};
use super::idle_eviction;
use crate::http::caller_key::CallerKey;
use crate::process::clock::Clock;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A connection that is quiet for less is not closed for the sake of others: its first request may be on the
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
    of_address: HashMap<CallerKey, HashMap<u64, Arc<Activity>>>,
    /// Number of the one that came last.
    last: u64,
}

impl Open {
    fn all(&self) -> impl Iterator<Item = (&u64, &Arc<Activity>)> {
        let all = self.of_address.values().flatten();
        all.filter(|(_, activity)| !activity.has_ended())
    }

    /// Closes those whose time is over; how many.
    fn cut_overdue(&self, now: u64) -> u64 {
        let overdue = self.all().filter(|(_, activity)| activity.is_overdue(now));
        overdue
            .map(|(_, activity)| activity.end(Ending::Cut))
            .count() as u64
    }

    /// Closes idle ones beyond this number; how many.
    fn evict(&self, most: usize, since: u64) -> u64 {
        if most == 0 {
            return 0;
        }
        let idle = self.of_address.values().map(|connections| {
            let open = connections
                .iter()
                .filter(|(_, activity)| !activity.has_ended());
            open.filter_map(|(number, activity)| Some((activity.idle_since()?, *number)))
                .collect()
        });
        let to_close = idle_eviction::to_close(idle.collect(), most, since);
        for (_, activity) in self.all().filter(|(number, _)| to_close.contains(number)) {
            activity.end(Ending::Closed);
        }
        to_close.len() as u64
    }
}

/// A connection that counts as open as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    connections: Arc<Connections>,
    number: u64,
    address: CallerKey,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        if let Some(of_address) = open.of_address.get_mut(&self.address) {
            of_address.remove(&self.number);
            if of_address.is_empty() {
                open.of_address.remove(&self.address);
            }
        }
    }
}

/// How many connections were closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) overdue: u64,
    pub(super) evicted: u64,
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

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn longest_quiet(&self) -> Duration {
        self.limits
            .keep_alive
            .saturating_add(self.limits.header_timeout)
    }

    /// Counts a new connection; none, and an activity that has ended, if its address has as many as it may
    /// have.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> (Option<Held>, Arc<Activity>) {
        let clock = Arc::clone(&self.clock);
        let activity = Arc::new(Activity::new(clock, self.longest_quiet()));
        let address = CallerKey::of_address(peer);
        let (limit, mut open) = (self.limits.per_address, self.open());
        let number = open.last + 1;
        let of_address = open.of_address.entry(address.clone()).or_default();
        if limit > 0 && of_address.len() >= limit {
            drop(open);
            self.count("address", 1);
            activity.end(Ending::Closed);
            return (None, activity);
        }
        of_address.insert(number, Arc::clone(&activity));
        open.last = number;
        drop(open);
        let held = Held {
            connections: Arc::clone(self),
            number,
            address,
        };
        (Some(held), activity)
    }

    /// Closes idle connections, each as soon as it is idle. A head that has begun to come has `header_timeout`.
    pub fn drain(&self) {
        for (_, activity) in self.open().all() {
            activity.drain(self.limits.header_timeout);
        }
    }

    /// Closes, until `stop`, what is quiet for too long and what is idle beyond its number.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                () = stop.cancelled() => return,
            }
            let closed = self.look();
            self.count("quiet", closed.overdue);
            self.count("crowded", closed.evicted);
        }
    }

    pub(super) fn look(&self) -> Closed {
        let now = self.clock.monotonic();
        let since = whole_ms(now.saturating_sub(LEAST_QUIET));
        let open = self.open();
        Closed {
            overdue: open.cut_overdue(whole_ms(now)),
            evicted: open.evict(self.limits.quiet, since),
        }
    }

    fn count(&self, reason: &'static str, connections: u64) {
        if connections > 0 {
            let surface = self.surface;
            tracing::debug!(surface, reason, connections, "connections were closed");
            metrics::counter!("http_connections_closed_total", "surface" => surface, "reason" => reason)
                .increment(connections);
        }
    }

    #[cfg(test)]
    pub(super) fn addresses(&self) -> usize {
        self.open().of_address.len()
    }
}

//! PURE: the look-ups that callers wait for: when each is asked of D365, and who may use an answer.
//!
//! A look-up waits ten milliseconds for others. Then a look at Redis decides: a stored line answers those
//! who arrived before it was read, and the lease says who asks. While another request is under way, here or
//! at another replica, those it comes too early for wait for its end: 600 ms at most, half of their
//! time, and no longer than leaves twice the time D365 took last. Then D365 is asked beside it.

use crate::http::priority::Priority;
use shared::stock::{AsOf, Sku, WarehouseId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a look-up waits for others.
pub(super) const WINDOW: Duration = Duration::from_millis(10);
/// Pause between two looks at what another replica asks.
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// How long a look-up waits for a request that comes too early for it.
const LONGEST_WAIT: Duration = Duration::from_millis(600);

/// How long a look-up with so much time left waits for a request that comes too early for it, where
/// D365 took so long to answer the last one.
pub(super) fn longest_wait(left: Duration, last_answer_took: Duration) -> Duration {
    let to_spare = left.saturating_sub(last_answer_took * 2);
    LONGEST_WAIT.min(left / 2).min(to_spare)
}

/// What is looked up: a SKU in these warehouses, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) warehouses: Arc<[WarehouseId]>,
    pub(super) sku: Sku,
}

/// When and how a caller arrived. Durations that are instants are readings of the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) now: Duration,
    /// Not before the arrival, on Redis' clock.
    pub(super) as_of: AsOf,
    pub(super) longest_wait: Duration,
    /// The caller's deadline.
    pub(super) ends_at: Duration,
    pub(super) priority: Priority,
}

/// One caller's wait for one subject; `T` is how it is answered.
#[derive(Debug)]
struct Waiter<T> {
    number: u64,
    arrival: Arrival,
    /// Until when it waits for a request that comes too early for it.
    patience_ends: Duration,
    /// A request of another replica that started later was seen, and waited for.
    is_extended: bool,
    tell: T,
}

/// A request of this process.
#[derive(Debug, Clone, Copy)]
struct Request {
    /// It started after the waiters up to this number arrived. Tells it from the subject's others.
    covers: u64,
    has_lease: bool,
}

#[derive(Debug)]
struct Entry<T> {
    waiters: Vec<Waiter<T>>,
    requests: Vec<Request>,
    /// Whether another replica had the lease at the last look.
    is_leased_elsewhere: bool,
    is_looked_at: bool,
    next_look: Duration,
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Self {
            waiters: Vec::new(),
            requests: Vec::new(),
            is_leased_elsewhere: false,
            is_looked_at: false,
            next_look: Duration::ZERO,
        }
    }
}

/// A request about to be made for those who wait for a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) subject: Subject,
    pub(super) covers: u64,
    /// The latest deadline of those who wait.
    pub(super) ends_at: Duration,
    /// What matters most of what they ask for.
    pub(super) priority: Priority,
}

/// What is to be done now.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Look at Redis, and take the lease.
    pub(super) looks: Vec<Subject>,
    /// Look at Redis: D365 is asked here already.
    pub(super) watches: Vec<Subject>,
    /// Ask D365, whoever else does.
    pub(super) alone: Vec<Departure>,
    /// When to ask again what is due; none: when something has changed.
    pub(super) next: Option<Duration>,
}

/// What a look at Redis found about the lease of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    /// It is this process'.
    Leased,
    /// Another replica asks; its request started after this instant.
    LeasedElsewhere { since: AsOf },
    /// The lease was not wanted.
    Watched,
    /// Nothing can be shared.
    Unshared,
}

/// All look-ups that callers of one tenant wait for.
#[derive(Debug)]
pub(super) struct PendingLookUps<T> {
    entries: HashMap<Subject, Entry<T>>,
    arrivals: u64,
}

impl<T> Default for PendingLookUps<T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            arrivals: 0,
        }
    }
}

impl<T> Entry<T> {
    fn covered(&self) -> u64 {
        self.requests
            .iter()
            .map(|request| request.covers)
            .max()
            .unwrap_or_default()
    }

    /// Those for whom no request of this process is under way.
    fn unasked(&self) -> impl Iterator<Item = &Waiter<T>> {
        let covered = self.covered();
        self.waiters
            .iter()
            .filter(move |waiter| waiter.number > covered)
    }

    /// When those for whom nobody asks here are to be looked after first.
    fn window_ends(&self) -> Option<Duration> {
        self.unasked()
            .map(|waiter| waiter.arrival.now)
            .min()
            .map(|first| first + WINDOW)
    }

    /// When D365 is to be asked for them whoever else does; none as long as nobody is known to.
    fn goes_alone_at(&self) -> Option<Duration> {
        let is_asked = self.is_leased_elsewhere || !self.requests.is_empty();
        let patience_ends = self.unasked().map(|waiter| waiter.patience_ends).min();
        let at = self.window_ends()?.max(patience_ends?);
        is_asked.then_some(at)
    }

    /// When Redis is to be looked at; none while this process has the lease. Those whose window has not ended
    /// go with others whose has.
    fn looks_at(&self, others_go: bool) -> Option<Duration> {
        let is_ours = self.requests.iter().any(|request| request.has_lease);
        if is_ours || self.is_looked_at || self.waiters.is_empty() {
            return None;
        }
        let waits = self.requests.is_empty() && !others_go;
        let from = self.window_ends().filter(|_| waits);
        Some(self.next_look.max(from.unwrap_or_default()))
    }

    fn depart(&mut self, subject: &Subject, has_lease: bool) -> Option<Departure> {
        let departing = || self.unasked();
        let departure = Departure {
            subject: subject.clone(),
            covers: departing().map(|waiter| waiter.number).max()?,
            ends_at: departing().map(|waiter| waiter.arrival.ends_at).max()?,
            priority: departing().map(|waiter| waiter.arrival.priority).max()?,
        };
        self.requests.push(Request {
            covers: departure.covers,
            has_lease,
        });
        Some(departure)
    }
}

impl<T> PendingLookUps<T> {
    /// Adds a waiter; gives back its number.
    pub(super) fn join(&mut self, subject: Subject, arrival: Arrival, tell: T) -> u64 {
        self.arrivals += 1;
        self.entries
            .entry(subject)
            .or_default()
            .waiters
            .push(Waiter {
                number: self.arrivals,
                arrival,
                patience_ends: arrival.now.saturating_add(arrival.longest_wait),
                is_extended: false,
                tell,
            });
        self.arrivals
    }

    /// A waiter does not wait any more. Whether it did until now.
    pub(super) fn leave(&mut self, subject: &Subject, number: u64) -> bool {
        let Some(entry) = self.entries.get_mut(subject) else {
            return false;
        };
        let at = entry
            .waiters
            .iter()
            .position(|waiter| waiter.number == number);
        if let Some(at) = at {
            entry.waiters.swap_remove(at);
        }
        self.forget_if_over(subject);
        at.is_some()
    }

    /// Whether anybody waits for this request.
    pub(super) fn is_wanted(&self, subject: &Subject, covers: u64) -> bool {
        let waiters = self.entries.get(subject).map(|entry| &entry.waiters);
        waiters.is_some_and(|waiters| waiters.iter().any(|waiter| waiter.number <= covers))
    }

    /// The latest deadline of those who wait.
    pub(super) fn ends_at(&self, subject: &Subject) -> Option<Duration> {
        let waiters = &self.entries.get(subject)?.waiters;
        waiters.iter().map(|waiter| waiter.arrival.ends_at).max()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is to be done now. What is handed out is under way from here on.
    pub(super) fn due(&mut self, now: Duration) -> Due {
        let mut due = Due::default();
        let mut next = None;
        let mut later = |at: Option<Duration>| next = [next, at].into_iter().flatten().min();
        let others_go = self.entries.values().any(|entry| {
            let is_new = entry.next_look.is_zero() && entry.requests.is_empty();
            is_new && entry.looks_at(false).is_some_and(|at| at <= now)
        });
        for (subject, entry) in &mut self.entries {
            match entry.goes_alone_at() {
                Some(at) if at <= now => due.alone.extend(entry.depart(subject, false)),
                at => later(at),
            }
            match entry.looks_at(others_go) {
                Some(at) if at <= now => {
                    entry.is_looked_at = true;
                    let wants_lease = entry.unasked().next().is_some();
                    let looks = if wants_lease {
                        &mut due.looks
                    } else {
                        &mut due.watches
                    };
                    looks.push(subject.clone());
                }
                at => later(at),
            }
        }
        due.alone.sort_by_key(|departure| departure.covers);
        due.next = next;
        due
    }

    /// Those whom a number read at this instant answers: they arrived before.
    pub(super) fn answered(&mut self, subject: &Subject, as_of: AsOf) -> Vec<T> {
        self.take(subject, |waiter| waiter.arrival.as_of <= as_of)
    }

    /// Notes what a look found. Gives back the request to make, if there is one.
    pub(super) fn looked(
        &mut self,
        subject: &Subject,
        looked: Looked,
        now: Duration,
    ) -> Option<Departure> {
        let entry = self.entries.get_mut(subject)?;
        entry.is_looked_at = false;
        entry.next_look = now + LOOK_EVERY;
        match looked {
            Looked::Leased => {
                entry.is_leased_elsewhere = false;
                let departure = entry.depart(subject, true);
                self.forget_if_over(subject);
                return departure;
            }
            Looked::LeasedElsewhere { since } => {
                entry.is_leased_elsewhere = true;
                for waiter in &mut entry.waiters {
                    // Its answer is for this one, too; its replica may vanish, or have less time.
                    if waiter.arrival.as_of <= since
                        && !std::mem::replace(&mut waiter.is_extended, true)
                    {
                        let left = waiter.arrival.ends_at.saturating_sub(now);
                        waiter.patience_ends = waiter.patience_ends.max(now + left / 3);
                    }
                }
            }
            Looked::Watched => {}
            Looked::Unshared => {
                entry.is_leased_elsewhere = true;
                entry.next_look = Duration::MAX;
                for waiter in &mut entry.waiters {
                    waiter.patience_ends = waiter.patience_ends.min(now);
                }
            }
        }
        self.forget_if_over(subject);
        None
    }

    /// A request is over: gives back those it was made for.
    pub(super) fn landed(&mut self, subject: &Subject, covers: u64) -> Vec<T> {
        if let Some(entry) = self.entries.get_mut(subject) {
            let before = entry.requests.len();
            entry.requests.retain(|request| request.covers != covers);
            if entry.requests.len() == before {
                return Vec::new();
            }
            entry.is_leased_elsewhere = false;
            entry.next_look = Duration::ZERO;
        }
        self.take(subject, |waiter| waiter.number <= covers)
    }

    fn take(&mut self, subject: &Subject, is_taken: impl Fn(&Waiter<T>) -> bool) -> Vec<T> {
        let Some(entry) = self.entries.get_mut(subject) else {
            return Vec::new();
        };
        let taken = entry.waiters.extract_if(.., |waiter| is_taken(waiter));
        let taken = taken.map(|waiter| waiter.tell).collect();
        self.forget_if_over(subject);
        taken
    }

    fn forget_if_over(&mut self, subject: &Subject) {
        let is_over = |entry: &Entry<T>| entry.waiters.is_empty() && entry.requests.is_empty();
        if self.entries.get(subject).is_some_and(is_over) {
            self.entries.remove(subject);
        }
    }
}

#[cfg(test)]
mod tests;

//! The desk where live questions meet: askers of one SKU share a request to D365.
//!
//! The one rule: nobody is told what a request found that started before the question was asked.
//! `board` decides who departs together, `flight` asks, `replicas` lets the processes share, and
//! `gathered` is what an EXACT question or an order check gets to decide from.

mod board;
mod flight;
pub(crate) mod gathered;
mod replicas;
mod write_through;

use crate::drift::DriftMeter;
use crate::http::priority::Priority;
use crate::live::failure::LiveFailure;
use crate::live::write_through::WriteThrough;
use crate::live_look_up::{Deadline, Finding, LiveLookUp};
use board::{Board, Subject, longest_wait};
use shared::process::clock::Clock;
use shared::process::tasks::Tasks;
use shared::redis_store::{StockReader, StockStore};
use shared::stock::{Sku, TenantId, WarehouseId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// SKUs of one request.
const TOGETHER: usize = 25;

/// What was learned about one SKU in all warehouses of a question.
#[derive(Debug, Clone)]
struct Learned {
    findings: Arc<[Finding]>,
    /// Why something of it failed.
    failure: Option<LiveFailure>,
    /// Whether it was stored.
    write_through: Option<WriteThrough>,
}

/// Where everybody sits who waits for one subject. Dropped receivers are callers that left.
#[derive(Debug)]
struct Seat {
    tell: watch::Sender<Option<Learned>>,
    /// The latest deadline of those who wait.
    ends: Deadline,
    /// What matters most of what they ask for.
    priority: Priority,
}

/// What the desk works with.
#[derive(Debug, Clone)]
pub(crate) struct DeskTools {
    /// Where answers are stored.
    pub store: StockStore,
    /// Compares them with what the cache would have said.
    pub drift: Arc<DriftMeter>,
    /// Runs requests whose askers may come and go.
    pub tasks: Tasks,
    /// Deadlines.
    pub clock: Arc<dyn Clock>,
}

/// Asks one tenant's D365 for everybody.
#[derive(Debug)]
pub(crate) struct LiveDesk(Arc<Desk>);

#[derive(Debug)]
struct Desk {
    tenant: TenantId,
    look_up: LiveLookUp,
    tools: DeskTools,
    reader: StockReader,
    board: Mutex<Board<Seat>>,
    /// Whether somebody looks after the board.
    is_conducted: Mutex<bool>,
    /// Somebody sat down or landed.
    changed: Notify,
}

/// What an asker was told: SKU by SKU, each with all warehouses.
#[derive(Debug)]
struct Answers {
    findings: Vec<Finding>,
    /// The first failure, if any.
    failure: Option<LiveFailure>,
    /// The worst that became of storing.
    write_through: Option<WriteThrough>,
}

impl Answers {
    fn all_failed(count: usize, failure: LiveFailure) -> Self {
        Self {
            findings: vec![Finding::Failed; count],
            failure: Some(failure),
            write_through: None,
        }
    }
}

impl LiveDesk {
    /// A desk without askers.
    pub(crate) fn new(tenant: TenantId, look_up: LiveLookUp, tools: DeskTools) -> Self {
        Self(Arc::new(Desk {
            tenant,
            look_up,
            reader: tools.store.reader(),
            tools,
            board: Mutex::default(),
            is_conducted: Mutex::new(false),
            changed: Notify::new(),
        }))
    }

    /// What can be asked, and whether there is room.
    pub(crate) fn look_up(&self) -> &LiveLookUp {
        &self.0.look_up
    }

    /// Asks for SKUs in warehouses, together with others. Ends with the deadline at the latest; what
    /// was learned by then counts.
    async fn ask(
        &self,
        skus: &[Sku],
        warehouses: &[WarehouseId],
        deadline: &Deadline,
        priority: Priority,
    ) -> Answers {
        let warehouses: Arc<[WarehouseId]> = warehouses.into();
        let subjects = skus.iter().map(|sku| Subject {
            warehouses: Arc::clone(&warehouses),
            sku: sku.clone(),
        });
        let mut told = self.0.sit_down(subjects, deadline, priority);
        let everybody = async {
            for told in &mut told {
                // A seat that is gone without a word is read as such below.
                let _gone = told.wait_for(Option::is_some).await;
            }
        };
        let _passed = deadline.wait_for(everybody).await;
        let mut answers = Answers {
            findings: Vec::with_capacity(skus.len() * warehouses.len()),
            failure: None,
            write_through: None,
        };
        for told in told {
            if let Some(learned) = told.borrow().as_ref() {
                answers.findings.extend(learned.findings.iter().copied());
                if answers.failure.is_none() {
                    answers.failure.clone_from(&learned.failure);
                }
                answers.write_through = answers.write_through.max(learned.write_through);
            } else {
                let failed = warehouses.iter().map(|_| Finding::Failed);
                answers.findings.extend(failed);
                answers.failure.get_or_insert(LiveFailure::DeadlinePassed);
            }
        }
        answers
    }
}

/// Seats that share a request.
struct Departure {
    warehouses: Arc<[WarehouseId]>,
    is_of_orders: bool,
    seats: Vec<(Subject, Seat)>,
    /// Until when they wait for others' requests, on the monotonic clock.
    patience_ends: Duration,
}

/// The conductor's place. Whoever leaves it without a word, by a panic or with its runtime, leaves it
/// free: the next who sits down conducts.
struct Chair<'a> {
    desk: &'a Desk,
    is_left: bool,
}

impl Drop for Chair<'_> {
    fn drop(&mut self) {
        if !self.is_left {
            *self.desk.conducted() = false;
        }
    }
}

/// Where an asker listens.
type Listener = watch::Receiver<Option<Learned>>;

impl Desk {
    fn sit_down(
        self: &Arc<Self>,
        subjects: impl Iterator<Item = Subject>,
        deadline: &Deadline,
        priority: Priority,
    ) -> Vec<Listener> {
        let now = self.tools.clock.monotonic();
        let left = deadline.left().unwrap_or_default();
        let longest_wait = longest_wait(left, self.look_up.last_answer_took());
        let listeners = {
            let mut board = self.board();
            subjects
                .map(|subject| {
                    let seat =
                        board.seat(subject, now, longest_wait, || Seat::new(deadline, priority));
                    seat.ends = seat.ends.clone().or_later(deadline);
                    seat.priority = seat.priority.max(priority);
                    seat.tell.subscribe()
                })
                .collect()
        };
        let mut is_conducted = self.conducted();
        if *is_conducted {
            self.changed.notify_waiters();
        } else {
            *is_conducted = true;
            let desk = Arc::clone(self);
            self.tools
                .tasks
                .spawn("live-desk", async move { desk.conduct().await });
        }
        listeners
    }

    /// Sends departures off as they are ready, until nobody waits.
    async fn conduct(self: Arc<Self>) {
        let mut chair = Chair {
            desk: &self,
            is_left: false,
        };
        loop {
            let changed = self.changed.notified();
            let now = self.tools.clock.monotonic();
            let (departing, next) = {
                let mut board = self.board();
                let departing = board.depart(now);
                (departing, board.next_departure())
            };
            self.take_off(departing);
            let Some(next) = next else {
                // Whoever sits down from here on finds nobody conducting, unless it was before.
                let mut is_conducted = self.conducted();
                if self.board().next_departure().is_none() {
                    *is_conducted = false;
                    chair.is_left = true;
                    return;
                }
                continue;
            };
            // Either way the board is looked at again.
            let _changed = tokio::time::timeout(next.saturating_sub(now), changed).await;
        }
    }

    /// Departures of the same warehouses share requests; orders with orders only, so that what browsing
    /// asks for cannot spoil or slow an order's answer.
    fn take_off(self: &Arc<Self>, departing: Vec<(Subject, Seat, Duration)>) {
        let mut groups: Vec<Departure> = Vec::new();
        for (subject, seat, patience_ends) in departing {
            let group = groups.iter_mut().find(|group| {
                group.warehouses == subject.warehouses
                    && group.is_of_orders == (seat.priority == Priority::Order)
                    && group.seats.len() < TOGETHER
            });
            match group {
                Some(group) => {
                    group.seats.push((subject, seat));
                    group.patience_ends = group.patience_ends.min(patience_ends);
                }
                None => groups.push(Departure {
                    warehouses: Arc::clone(&subject.warehouses),
                    is_of_orders: seat.priority == Priority::Order,
                    seats: vec![(subject, seat)],
                    patience_ends,
                }),
            }
        }
        for group in groups {
            let flight = flight::Flight::new(Arc::clone(self), group);
            self.tools.tasks.spawn("live-flight", flight.fly());
        }
    }

    fn land(&self, subjects: &[Subject]) {
        self.board().landed(subjects);
        self.changed.notify_waiters();
    }

    fn board(&self) -> MutexGuard<'_, Board<Seat>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conducted(&self) -> MutexGuard<'_, bool> {
        self.is_conducted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn new(deadline: &Deadline, priority: Priority) -> Self {
        Self {
            tell: watch::Sender::new(None),
            ends: deadline.clone(),
            priority,
        }
    }
}

#[cfg(test)]
mod tests;

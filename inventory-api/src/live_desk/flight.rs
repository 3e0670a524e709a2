//! One departure: learn about some SKUs, store it, tell everybody who waits, and stop when nobody
//! does any more.

use super::board::Subject;
use super::replicas::{Announced, Following, Share};
use super::write_through::write_through;
use super::{Departure, Desk, Learned, Seat};
use crate::http::priority::Priority;
use crate::live::failure::LiveFailure;
use crate::live::write_through::WriteThrough;
use crate::live_look_up::{Deadline, Finding, Findings};
use futures_util::future::{BoxFuture, join_all};
use shared::stock::{AsOf, Sku, WarehouseId};
use std::sync::Arc;
use std::time::Duration;

/// Longest time kept back from D365 for storing its answer.
const LONGEST_WRITE: Duration = Duration::from_millis(150);
/// Longest wait for what the cache would have said: no answer of D365 waits for a comparison.
const LONGEST_COMPARISON: Duration = Duration::from_millis(250);

/// Seats on their way to an answer.
pub(super) struct Flight {
    desk: Arc<Desk>,
    warehouses: Arc<[WarehouseId]>,
    subjects: Vec<Subject>,
    seats: Vec<(Sku, Seat)>,
    /// Until when they wait for requests of others, on the monotonic clock.
    patience_ends: Duration,
}

/// Tells the board of the landing, also when the flight breaks.
struct Landing<'a> {
    desk: &'a Desk,
    subjects: &'a [Subject],
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.desk.land(self.subjects);
    }
}

type Group<'a> = Vec<&'a (Sku, Seat)>;
/// A seat, and whose announcement it joined.
type Joined<'a> = (&'a (Sku, Seat), &'a Following);

impl Flight {
    pub(super) fn new(desk: Arc<Desk>, group: Departure) -> Self {
        let seats = group.seats;
        Self {
            desk,
            warehouses: group.warehouses,
            subjects: seats.iter().map(|(subject, _)| subject.clone()).collect(),
            seats: seats
                .into_iter()
                .map(|(subject, seat)| (subject.sku, seat))
                .collect(),
            patience_ends: group.patience_ends,
        }
    }

    pub(super) async fn fly(self) {
        let _landing = Landing {
            desk: &self.desk,
            subjects: &self.subjects,
        };
        let waiting: Group<'_> = self
            .seats
            .iter()
            .filter(|(_, seat)| !seat.tell.is_closed())
            .collect();
        let Some(ends) = latest(&waiting) else {
            return;
        };
        let everybody_left = join_all(self.seats.iter().map(|(_, seat)| seat.tell.closed()));
        let work = self.learn(waiting, &ends);
        tokio::select! {
            biased;
            () = work => {}
            _left = everybody_left => {}
        }
    }

    /// Shares the work with the other replicas, then does what is left to do.
    fn learn<'a>(&'a self, group: Group<'a>, ends: &'a Deadline) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if group.is_empty() {
                return;
            }
            let skus: Vec<&Sku> = group.iter().map(|(sku, _)| sku).collect();
            let (announced, shares) = self.desk.announce(&skus, &self.warehouses, ends).await;
            let (mut own, mut alone) = (Vec::new(), Vec::new());
            let (mut joined, mut too_early) = (Vec::new(), Vec::new());
            for (seat, share) in group.into_iter().zip(shares) {
                match share {
                    Share::Own => own.push(seat),
                    Share::Alone => alone.push(seat),
                    Share::Joined(following) => joined.push((seat, following)),
                    Share::TooEarly => too_early.push(seat),
                }
            }
            let own = async {
                if !own.is_empty() {
                    Box::pin(self.ask(own, ends, Some(announced))).await;
                }
            };
            let alone = Box::pin(self.ask(alone, ends, None));
            let joined = Box::pin(self.follow_or_ask(joined, ends));
            let too_early = async {
                let skus: Vec<&Sku> = too_early.iter().map(|(sku, _)| sku).collect();
                let is_free = self.desk.wait_until_free(&skus, self.patience_ends).await;
                if is_free {
                    self.learn(too_early, ends).await;
                } else {
                    Box::pin(self.ask(too_early, ends, None)).await;
                }
            };
            futures_util::join!(own, alone, joined, too_early);
        })
    }

    /// Takes over what other replicas learn. They may vanish, or have less time than these seats: after
    /// a third of it D365 is asked here as well, and whichever is there first is told.
    async fn follow_or_ask<'a>(
        &'a self,
        joined: Vec<(&'a (Sku, Seat), Following)>,
        ends: &Deadline,
    ) {
        let left = || ends.left().unwrap_or_default();
        let joined: Vec<_> = joined
            .iter()
            .map(|(seat, joined)| (*seat, joined))
            .collect();
        let unserved = self.follow(joined, (left() / 3, ends)).await;
        if unserved.is_empty() {
            return;
        }
        let seats: Group<'_> = unserved.iter().map(|(seat, _)| *seat).collect();
        let followed = async {
            if !self.follow(unserved, (left(), ends)).await.is_empty() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = self.ask(seats, ends, None) => {}
            () = followed => {}
        }
    }

    /// Tells what other replicas learn in so long; gives back the seats they learned nothing for.
    async fn follow<'a>(
        &self,
        joined: Vec<Joined<'a>>,
        time: (Duration, &Deadline),
    ) -> Vec<Joined<'a>> {
        let skus: Vec<&Sku> = joined.iter().map(|((sku, _), _)| sku).collect();
        let following: Vec<&Following> = joined.iter().map(|(_, following)| *following).collect();
        let learned = (self.desk).follow(&skus, &following, &self.warehouses, time);
        let learned = learned.await;
        let mut unserved = Vec::new();
        for (joined, findings) in joined.into_iter().zip(learned) {
            let (_, seat) = joined.0;
            match findings {
                Some(findings) => tell(seat, findings, None, Some(WriteThrough::Stored)),
                None => unserved.push(joined),
            }
        }
        unserved
    }

    /// Asks D365, stores what it says and tells it.
    async fn ask(&self, group: Group<'_>, ends: &Deadline, announced: Option<Announced>) {
        if group.is_empty() {
            return;
        }
        let desk = &self.desk;
        let skus: Vec<Sku> = group.iter().map(|(sku, _)| sku.clone()).collect();
        let announced = match announced {
            Some(announced) => announced.asking().await,
            None => None,
        };
        let reserve = ends.left().unwrap_or_default() / 10;
        let live_ends = ends.earlier_by(LONGEST_WRITE.min(reserve));
        let weights = group.iter().map(|(_, seat)| seat.priority);
        let priority = weights.max().unwrap_or(Priority::Listing);
        let ask = (desk.look_up).ask(&skus, &self.warehouses, &live_ends, priority);
        let cached = desk.reader.read_many(&desk.tenant, &self.warehouses, &skus);
        let cached = tokio::time::timeout(LONGEST_COMPARISON.min(reserve * 3), cached);
        let (found, cached) = futures_util::join!(ask, cached);
        if let Ok(Ok(cached)) = cached {
            let tools = &desk.tools;
            let line_ttl = tools.store.line_ttl();
            let drift = &tools.drift;
            let (tenant, warehouses) = (&desk.tenant, &self.warehouses);
            drift.compare(tenant, &skus, warehouses, &found, &cached, line_ttl);
        }
        let lines = found.lines(&skus, &self.warehouses);
        let stored = write_through(&desk.tools.store, &desk.tenant, &lines, ends).await;
        let by_sku = found.findings.chunks(self.warehouses.len().max(1));
        let mut told: Vec<(&Sku, Option<AsOf>)> = Vec::with_capacity(group.len());
        for ((sku, seat), findings) in group.into_iter().zip(by_sku) {
            let failure = if findings.contains(&Finding::Failed) {
                found.failure.clone()
            } else {
                None
            };
            // Others read it from the store: a line that was refused there is not the answer.
            let is_stored = stored == Some(WriteThrough::Stored);
            told.push((sku, Findings::as_of(findings).filter(|_| is_stored)));
            tell(seat, findings.into(), failure, stored);
        }
        if let Some(announced) = announced {
            announced.told(&told);
        }
    }
}

/// The latest deadline of a group; none without seats.
fn latest(group: &[&(Sku, Seat)]) -> Option<Deadline> {
    let ends = group.iter().map(|(_, seat)| seat.ends.clone());
    ends.reduce(|a, b| a.or_later(&b))
}

fn tell(
    seat: &Seat,
    findings: Arc<[Finding]>,
    failure: Option<LiveFailure>,
    write_through: Option<WriteThrough>,
) {
    seat.tell.send_replace(Some(Learned {
        findings,
        failure,
        write_through,
    }));
}

//! PURE: which questions are asked together, and when.
//!
//! A question about a SKU waits ten milliseconds for others about the same or other SKUs. While a
//! request about it is under way it waits for that one's end, since it may not use its answer: that
//! request started before the question. All that gathered meanwhile share the next. It waits for 600 ms
//! at most, for half of its time, and no longer than leaves it twice the time D365 took last.

use shared::stock::{Sku, WarehouseId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a question waits for company.
pub(super) const WINDOW: Duration = Duration::from_millis(10);
/// How long it waits for a request under way that came too early for it.
const LONGEST_WAIT: Duration = Duration::from_millis(600);

/// How long a question with so much time left waits for a request under way, where D365 took so long to
/// answer the last one.
pub(super) fn longest_wait(left: Duration, last_answer_took: Duration) -> Duration {
    let to_spare = left.saturating_sub(last_answer_took * 2);
    LONGEST_WAIT.min(left / 2).min(to_spare)
}

/// What is asked about: a SKU in these warehouses, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) warehouses: Arc<[WarehouseId]>,
    pub(super) sku: Sku,
}

/// A question that waits.
#[derive(Debug)]
struct Waiting<S> {
    seat: S,
    since: Duration,
    /// Until when it waits for a request under way.
    patience_ends: Duration,
    /// Place in the order of arrival.
    number: u64,
}

/// The questions that wait and the subjects under way; `S` is where the askers sit. Instants are
/// readings of the monotonic clock.
#[derive(Debug)]
pub(super) struct Board<S> {
    waiting: HashMap<Subject, Waiting<S>>,
    /// Subject -> requests under way.
    under_way: HashMap<Subject, usize>,
    arrivals: u64,
}

impl<S> Default for Board<S> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            under_way: HashMap::new(),
            arrivals: 0,
        }
    }
}

impl<S> Board<S> {
    /// The seat of everybody who waits for this subject, made by the first. Who can wait least decides
    /// how long they wait for a request under way.
    pub(super) fn seat(
        &mut self,
        subject: Subject,
        now: Duration,
        longest_wait: Duration,
        make: impl FnOnce() -> S,
    ) -> &mut S {
        self.arrivals += 1;
        let number = self.arrivals;
        let patience_ends = now.saturating_add(longest_wait);
        let waiting = self.waiting.entry(subject).or_insert_with(|| Waiting {
            seat: make(),
            since: now,
            patience_ends,
            number,
        });
        waiting.patience_ends = waiting.patience_ends.min(patience_ends);
        &mut waiting.seat
    }

    /// Takes whoever has waited long enough, in the order of arrival, each with the end of its
    /// patience; they are under way from now on.
    pub(super) fn depart(&mut self, now: Duration) -> Vec<(Subject, S, Duration)> {
        let ready: Vec<Subject> = self
            .waiting
            .iter()
            .filter(|(subject, waiting)| self.departs_at(subject, waiting) <= now)
            .map(|(subject, _)| subject.clone())
            .collect();
        let mut departing: Vec<(Subject, Waiting<S>)> = ready
            .into_iter()
            .filter_map(|subject| self.waiting.remove_entry(&subject))
            .collect();
        departing.sort_by_key(|(_, waiting)| waiting.number);
        departing
            .into_iter()
            .map(|(subject, waiting)| {
                *self.under_way.entry(subject.clone()).or_default() += 1;
                (subject, waiting.seat, waiting.patience_ends)
            })
            .collect()
    }

    fn departs_at(&self, subject: &Subject, waiting: &Waiting<S>) -> Duration {
        if self.under_way.contains_key(subject) {
            waiting.patience_ends
        } else {
            waiting.since.saturating_add(WINDOW)
        }
    }

    /// A request about these subjects has ended, however.
    pub(super) fn landed<'s>(&mut self, subjects: impl IntoIterator<Item = &'s Subject>) {
        for subject in subjects {
            if let Some(requests) = self.under_way.get_mut(subject) {
                *requests -= 1;
                if *requests == 0 {
                    self.under_way.remove(subject);
                }
            }
        }
    }

    /// When somebody departs next, if nothing lands before; none if nobody waits.
    pub(super) fn next_departure(&self) -> Option<Duration> {
        self.waiting
            .iter()
            .map(|(subject, waiting)| self.departs_at(subject, waiting))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(sku: &str) -> Subject {
        Subject {
            warehouses: [WarehouseId::parse("11").unwrap()].into(),
            sku: Sku::parse(sku).unwrap(),
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn ask(board: &mut Board<u32>, sku: &str, at: u64) {
        *board.seat(about(sku), ms(at), ms(600), || 0) += 1;
    }

    fn departing(board: &mut Board<u32>, at: u64) -> Vec<(String, u32)> {
        let departing = board.depart(ms(at));
        departing
            .into_iter()
            .map(|(subject, askers, _)| (subject.sku.to_string(), askers))
            .collect()
    }

    #[test]
    fn questions_within_the_window_depart_together_in_the_order_they_came() {
        let mut board = Board::default();
        ask(&mut board, "B", 0);
        ask(&mut board, "A", 4);
        ask(&mut board, "B", 9);
        assert_eq!(board.next_departure(), Some(ms(10)));
        assert_eq!(departing(&mut board, 9), []);
        assert_eq!(
            departing(&mut board, 14),
            [("B".into(), 2), ("A".into(), 1)]
        );
        assert_eq!(board.next_departure(), None);
    }

    #[test]
    fn who_comes_too_late_waits_for_the_landing_and_shares_the_next() {
        let mut board = Board::default();
        ask(&mut board, "A", 0);
        assert_eq!(departing(&mut board, 10).len(), 1);
        ask(&mut board, "A", 11);
        ask(&mut board, "A", 200);
        ask(&mut board, "C", 12);
        assert_eq!(departing(&mut board, 300), [("C".into(), 1)]);
        board.landed([&about("A")]);
        assert_eq!(departing(&mut board, 300), [("A".into(), 2)]);
    }

    #[test]
    fn nobody_waits_for_ever_for_a_request_under_way() {
        let mut board = Board::default();
        ask(&mut board, "A", 0);
        assert_eq!(departing(&mut board, 10).len(), 1);
        ask(&mut board, "A", 20);
        assert_eq!(board.next_departure(), Some(ms(620)));
        assert_eq!(departing(&mut board, 619), []);
        assert_eq!(departing(&mut board, 620), [("A".into(), 1)]);
        ask(&mut board, "A", 630);
        board.landed([&about("A")]);
        assert_eq!(
            departing(&mut board, 700),
            [],
            "the second is still under way"
        );
        board.landed([&about("A")]);
        assert_eq!(departing(&mut board, 700), [("A".into(), 1)]);
    }

    #[test]
    fn a_wait_leaves_time_for_an_answer_as_slow_as_the_last_one() {
        for (left, last_answer_took, longest) in [
            (2_500, 0, 600),
            (2_500, 80, 600),
            (800, 80, 400),
            (2_500, 1_000, 500),
            (2_500, 1_300, 0),
            (200, 5_000, 0),
        ] {
            assert_eq!(longest_wait(ms(left), ms(last_answer_took)), ms(longest));
        }
    }

    #[test]
    fn who_can_wait_least_decides_how_long_all_do() {
        let mut board = Board::default();
        ask(&mut board, "A", 0);
        assert_eq!(departing(&mut board, 10).len(), 1);
        ask(&mut board, "A", 20);
        board.seat(about("A"), ms(30), ms(100), || 0);
        assert_eq!(board.next_departure(), Some(ms(130)));
        let departed = board.depart(ms(130));
        assert_eq!(departed[0].2, ms(130), "it waits for nobody else's either");
    }

    #[test]
    fn a_window_is_kept_also_after_a_landing() {
        let mut board = Board::default();
        ask(&mut board, "A", 0);
        assert_eq!(departing(&mut board, 10).len(), 1);
        ask(&mut board, "A", 20);
        board.landed([&about("A")]);
        assert_eq!(departing(&mut board, 21), []);
        assert_eq!(departing(&mut board, 30), [("A".into(), 1)]);
    }

    #[test]
    fn other_warehouses_are_another_subject() {
        let mut board: Board<u32> = Board::default();
        ask(&mut board, "A", 0);
        let elsewhere = Subject {
            warehouses: [WarehouseId::parse("24").unwrap()].into(),
            ..about("A")
        };
        board.seat(elsewhere, ms(0), ms(600), || 0);
        assert_eq!(departing(&mut board, 10).len(), 2);
    }
}

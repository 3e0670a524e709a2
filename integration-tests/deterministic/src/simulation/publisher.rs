//! Lines on their way to Redis while the next page is read; they may outlive the reading.

use super::worker::Activity;
use super::{Broken, Simulation};
use crate::rules::{FutureRule, NoteRule};
use shared::redis_store::ShardProgress;
use shared::stock::StockLine;
use std::collections::VecDeque;

const TRIES: u32 = 5;
const REFUSED_FUTURE: i64 = 3;

#[derive(Debug)]
pub(super) enum Piece {
    Lines(Vec<StockLine>),
    Note(ShardProgress),
}

#[derive(Debug, Default)]
pub(super) struct Publisher {
    queue: VecDeque<Piece>,
    tries: u32,
    is_scheduled: bool,
    pub(super) failed: Option<String>,
    /// What may be noted by now.
    pub(super) place: Option<ShardProgress>,
}

impl Publisher {
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn next(&self) -> Option<&Piece> {
        self.queue.front()
    }
}

impl Simulation<'_> {
    pub(super) fn hand_over(&mut self, number: usize, serial: u64, piece: Piece) {
        let publisher = self.workers[number].publishers.entry(serial).or_default();
        if publisher.failed.is_some() {
            return;
        }
        publisher.queue.push_back(piece);
        if !std::mem::replace(&mut publisher.is_scheduled, true) {
            let delay = self.step_ms() + self.write_delay_by_plan();
            self.schedule(number, delay, Activity::Publisher(serial));
        }
    }

    /// A place may be noted once all before it is stored.
    pub(super) fn hand_over_place(&mut self, number: usize, serial: u64, place: ShardProgress) {
        match self.rules.note {
            NoteRule::AfterStoring => self.hand_over(number, serial, Piece::Note(place)),
            NoteRule::AtOnce => {
                let publishers = &mut self.workers[number].publishers;
                publishers.entry(serial).or_default().place = Some(place);
            }
        }
    }

    pub(super) fn publish(&mut self, number: usize, serial: u64) -> Result<(), Broken> {
        let Some(mut publisher) = self.workers[number].publishers.remove(&serial) else {
            return Ok(());
        };
        let mut delay = self.step_ms();
        match publisher.queue.pop_front() {
            Some(Piece::Note(place)) => publisher.place = Some(place),
            Some(Piece::Lines(lines)) => {
                let is_heard = self.write(number, &lines, &mut publisher)?;
                publisher.tries += 1;
                if is_heard {
                    publisher.tries = 0;
                } else if publisher.tries < TRIES {
                    delay += 100 << publisher.tries;
                    publisher.queue.push_front(Piece::Lines(lines));
                } else {
                    publisher.failed = Some("Redis failed".to_owned());
                }
            }
            None => {}
        }
        if publisher.failed.is_some() {
            publisher.queue.clear();
        }
        publisher.is_scheduled = !publisher.queue.is_empty();
        if publisher.is_scheduled {
            self.schedule(number, delay, Activity::Publisher(serial));
        }
        self.workers[number].publishers.insert(serial, publisher);
        Ok(())
    }

    /// Whether the worker heard that it was done.
    fn write(
        &mut self,
        number: usize,
        lines: &[StockLine],
        publisher: &mut Publisher,
    ) -> Result<bool, Broken> {
        let is_heard = !self.strikes(super::Fault::LostCall, 6);
        if !is_heard && self.chance.happens(500) {
            return Ok(false);
        }
        let verdicts = self.apply(lines)?;
        self.note(|| {
            let items: Vec<_> = lines
                .iter()
                .map(|line| format!("{}@{}", line.sku, line.value.as_of))
                .collect();
            format!("worker {number} writes {} -> {verdicts:?}", items.join(" "))
        });
        let is_future = verdicts.contains(&REFUSED_FUTURE);
        if is_heard && is_future && self.rules.future == FutureRule::NotStored {
            publisher.failed = Some("stamps lie in the future".to_owned());
        }
        Ok(is_heard)
    }
}

//! Lines on their way to Redis while the next page is read.

use super::faults::Fault;
use super::worker::{Activity, Piece, Writer};
use super::world::{Broken, Simulation};
use shared::stock::{StockLine, Verdict};

const TRIES: u32 = 5;

impl Simulation {
    pub(super) fn hand_over(&mut self, number: usize, serial: u64, piece: Piece) {
        let writer = self.workers[number].writers.entry(serial).or_default();
        if writer.failed.is_some() {
            return;
        }
        writer.queue.push_back(piece);
        if !std::mem::replace(&mut writer.is_scheduled, true) {
            let delay = self.step_ms() + self.planned_write_delay_ms();
            self.schedule(number, delay, Activity::Writer(serial));
        }
    }

    /// A place may be noted once all before it is stored.
    pub(super) fn write_next(&mut self, number: usize, serial: u64) -> Result<(), Broken> {
        let Some(mut writer) = self.workers[number].writers.remove(&serial) else {
            return Ok(());
        };
        let mut delay = self.step_ms();
        match writer.queue.pop_front() {
            Some(Piece::Note(place)) => writer.place = Some(place),
            Some(Piece::Lines(lines)) => {
                let is_heard = self.write(number, &lines, &mut writer)?;
                writer.tries += 1;
                if is_heard {
                    writer.tries = 0;
                } else if writer.tries < TRIES {
                    delay += 100 << writer.tries;
                    writer.queue.push_front(Piece::Lines(lines));
                } else {
                    writer.failed = Some("Redis failed".to_owned());
                }
            }
            None => {}
        }
        if writer.failed.is_some() {
            writer.queue.clear();
        }
        writer.is_scheduled = !writer.queue.is_empty();
        if writer.is_scheduled {
            self.schedule(number, delay, Activity::Writer(serial));
        }
        self.workers[number].writers.insert(serial, writer);
        Ok(())
    }

    /// Whether the worker heard that it was done.
    fn write(
        &mut self,
        number: usize,
        lines: &[StockLine],
        writer: &mut Writer,
    ) -> Result<bool, Broken> {
        let is_heard = !self.strikes(Fault::LostCall, 6);
        if !is_heard && self.chance.happens(500) {
            return Ok(false);
        }
        let verdicts = self.apply(lines)?;
        self.note(|| {
            let lines = lines.iter();
            let items = lines.map(|line| format!("{}@{}", line.sku, line.value.as_of));
            let items = items.collect::<Vec<_>>().join(" ");
            format!("worker {number} writes {items} -> {verdicts:?}")
        });
        if is_heard && verdicts.contains(&Verdict::RefusedFuture) {
            writer.failed = Some("stamps lie in the future".to_owned());
        }
        Ok(is_heard)
    }
}

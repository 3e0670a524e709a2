//! A claimed part: read page by page, under a lease, to its end.

use super::faults::Fault;
use super::polling::NOTE_EVERY_MS;
use super::worker::{Activity, Page, PartStep, PartWork, Phase, Piece};
use super::world::{Broken, LEASE, PART_TIME, Simulation, stamp};
use crate::evidence::{Capture, Read, Violation, violated};
use prefetch_worker::snapshot::accumulator::Accumulator;
use prefetch_worker::snapshot::page_walk::{AfterPage, PageWalk};
use prefetch_worker::snapshot::part_facts::{Noted, PartFacts};
use prefetch_worker::snapshot::retry::pause_after;
use shared::d365::{D365Error, PageEnd, PageStart};
use shared::redis_store::{ItemRange, LineText, ShardRecord};
use shared::settings::PagingMode;
use shared::stock::SkuMapper;
use std::time::Duration;

/// Pieces that may wait before reading waits.
const WAITING: usize = 4;
/// How soon a writer that is behind is looked at again.
const LOOK_AGAIN_MS: i64 = 20;

impl Simulation {
    pub(super) fn work_on_part(
        &mut self,
        number: usize,
        mut work: Box<PartWork>,
    ) -> Result<(), Broken> {
        let step = std::mem::replace(&mut work.step, PartStep::Drop);
        let (delay, next) = self.part_step(number, &mut work, step)?;
        let delay = delay + self.step_ms();
        let phase = match next {
            Some(step) => {
                work.step = step;
                Phase::Part(work)
            }
            None => Phase::Idle,
        };
        self.set_phase(number, delay, phase);
        Ok(())
    }

    fn part_step(
        &mut self,
        number: usize,
        work: &mut PartWork,
        step: PartStep,
    ) -> Result<(i64, Option<PartStep>), Broken> {
        let warehouse = self.truth.warehouses()[work.warehouse].clone();
        let claim = work.claim.clone();
        let next = match step {
            PartStep::Cycle => {
                let called = self.reach(|store, redis| Ok(store.cycle(redis, &warehouse)))?;
                called.heard().map(|cycle| {
                    let part = cycle
                        .as_ref()
                        .and_then(|cycle| Some((cycle.started, cycle.range_of(work.id)?)));
                    part.map_or(PartStep::Drop, |(started, range)| {
                        work.started = started;
                        PartStep::Record(range.clone())
                    })
                })
            }
            PartStep::Record(range) => {
                let shard = &claim.shard;
                let called = self.reach(|store, redis| Ok(store.shard_record(redis, shard)))?;
                let record = called.heard();
                record.map(|record| self.begin_part(number, work, &range, record))
            }
            PartStep::Drop => {
                self.call(|calls| calls.drop_shard(&claim))?;
                None
            }
            PartStep::Page => return self.begin_page(number, work),
            PartStep::Arrives(page) => return Ok(self.page_arrives(number, work, page)),
            PartStep::Drained | PartStep::Stopping if self.waiting(number, work) > 0 => {
                return Ok((LOOK_AGAIN_MS, Some(step)));
            }
            PartStep::Drained => {
                let writer = self.workers[number].writers.get(&work.serial);
                let not_stored = writer.and_then(|writer| writer.failed.clone());
                work.accumulator.take().map(|accumulator| {
                    let facts = accumulator.into_facts();
                    let facts = PartFacts {
                        not_stored,
                        ..facts
                    };
                    PartStep::Finish(facts.to_notes())
                })
            }
            PartStep::Finish(end) => {
                let (id, started) = (work.id, work.started);
                let called =
                    self.call(|calls| calls.finish_part(&warehouse, &claim, id, started, &end))?;
                self.note(|| format!("worker {number} ends {}: {:?}", claim.shard, called.done));
                None
            }
            PartStep::Stopping => {
                let writer = self.workers[number].writers.get_mut(&work.serial);
                match writer.and_then(|writer| writer.place.take()) {
                    Some(place) => {
                        let called =
                            self.call(|calls| calls.extend(&claim, LEASE, Some(&place)))?;
                        (called.heard() == Some(Ok(()))).then_some(PartStep::Release)
                    }
                    None => Some(PartStep::Release),
                }
            }
            PartStep::Release => {
                self.call(|calls| calls.put_back(&claim))?;
                None
            }
        };
        Ok((0, next))
    }

    /// How many pieces of a part wait to be written.
    fn waiting(&self, number: usize, work: &PartWork) -> usize {
        let writer = self.workers[number].writers.get(&work.serial);
        writer.map_or(0, |writer| writer.queue.len())
    }

    fn begin_part(
        &mut self,
        number: usize,
        work: &mut PartWork,
        range: &ItemRange,
        record: ShardRecord,
    ) -> PartStep {
        if let Some(facts) = PartFacts::given_up(work.id, &record) {
            return PartStep::Finish(facts.to_notes());
        }
        self.seen.count("resumed parts", record.cursor.is_some());
        let page_size = u32::try_from(self.page_size).unwrap_or(u32::MAX);
        let Noted { cursor, facts } = Noted::of(record);
        let after = cursor.or_else(|| range.after.clone());
        let walk = PageWalk::new(PagingMode::Keyset, page_size, after);
        let (mapper, generation) = (SkuMapper::ItemNumber, work.id.generation);
        work.accumulator = Some(Accumulator::new(mapper, generation, walk, facts));
        work.up_to.clone_from(&range.up_to);
        work.serial = self.scheduled;
        work.extended_ms = self.now_ms;
        self.schedule(number, NOTE_EVERY_MS, Activity::Keeper(work.serial));
        PartStep::Page
    }

    fn begin_page(
        &mut self,
        number: usize,
        work: &PartWork,
    ) -> Result<(i64, Option<PartStep>), Broken> {
        if self.workers[number].is_stopping {
            return Ok((0, Some(PartStep::Stopping)));
        }
        let writer = self.workers[number].writers.get(&work.serial);
        if writer.is_some_and(|writer| writer.failed.is_some()) {
            return Ok((0, Some(PartStep::Drained)));
        }
        if self.waiting(number, work) > WAITING {
            return Ok((LOOK_AGAIN_MS, Some(PartStep::Page)));
        }
        self.judge_single_reader(number, work)?;
        let mut took = self.chance.between(50, 2_500);
        if self.strikes(Fault::SlowPage, 100) {
            took = self.chance.between(5_000, 40_000);
        }
        took = self.planned_page_ms().unwrap_or(took);
        let fails = if self.strikes(Fault::LostPage, 80) {
            let cause = "cut".to_owned();
            Some(D365Error::Connection { cause })
        } else if self.strikes(Fault::Throttled, 40) {
            let retry_after = Duration::from_secs(self.chance.below(20) + 1);
            Some(D365Error::Throttled { retry_after })
        } else {
            None
        };
        let read = Read {
            start_ms: self.now_ms,
            at_ms: self.now_ms + self.chance.between(0, took),
            end_ms: self.now_ms + took,
            clock_ahead_ms: self.worker_ahead(number),
        };
        Ok((took, Some(PartStep::Arrives(Page { read, fails }))))
    }

    /// Two readers of one part are only right if something went wrong since the first began.
    fn judge_single_reader(&self, number: usize, work: &PartWork) -> Result<(), Violation> {
        for other in &self.workers {
            let Phase::Part(theirs) = &other.phase else {
                continue;
            };
            let is_same = theirs.warehouse == work.warehouse
                && theirs.id == work.id
                && theirs.started == work.started
                && theirs.is_read();
            let since = theirs.claimed_ms.min(work.claimed_ms);
            if other.number != number && is_same && self.last_fault_ms < since {
                let (other, shard) = (other.number, &work.claim.shard);
                let what = format!("workers {other} and {number} read {shard} at once");
                violated("lease", what)?;
            }
        }
        Ok(())
    }

    fn page_arrives(
        &mut self,
        number: usize,
        work: &mut PartWork,
        page: Page,
    ) -> (i64, Option<PartStep>) {
        let Some(mut accumulator) = work.accumulator.take() else {
            return (0, None);
        };
        let (delay, next) = match page.fails {
            None => (0, self.take_page(number, work, &mut accumulator, page.read)),
            Some(error) => {
                work.failures += 1;
                let shard = &work.claim.shard;
                self.note(|| format!("worker {number}: a page of {shard} fails: {error}"));
                accumulator.page_failed();
                match (pause_after(&error, work.failures), &error) {
                    (Some(_), D365Error::Throttled { retry_after }) => {
                        let pause = i64::try_from(retry_after.as_millis()).unwrap_or(i64::MAX);
                        (pause, PartStep::Page)
                    }
                    // The real pause is drawn by the process; here it comes from the seed.
                    (Some(_), _) => (self.chance.between(50, 2_000), PartStep::Page),
                    (None, _) => {
                        accumulator.break_off(error.to_string());
                        (0, PartStep::Drained)
                    }
                }
            }
        };
        work.accumulator = Some(accumulator);
        (delay, Some(next))
    }

    fn take_page(
        &mut self,
        number: usize,
        work: &mut PartWork,
        accumulator: &mut Accumulator,
        read: Read,
    ) -> PartStep {
        work.failures = 0;
        let start = accumulator.start().clone();
        let up_to = work.up_to.as_ref().map(|item| item.as_str().to_owned());
        let (from, size) = ((work.warehouse, &start, up_to.as_deref()), self.page_size);
        let rows = self.truth.page(from, size, read.at_ms);
        let as_of = stamp(read.start_ms + read.clock_ahead_ms);
        let end = PageEnd {
            rows: rows.len() as u64,
            ..PageEnd::default()
        };
        let mut items = Vec::new();
        for row in rows {
            items.extend(accumulator.push(row, as_of));
        }
        let (last, then) = accumulator.page_ended(end);
        items.extend(last);
        let lines: Vec<_> = items.into_iter().flat_map(|item| item.lines).collect();
        if then != AfterPage::GivenUp {
            let took = Duration::from_millis((read.end_ms - read.start_ms).unsigned_abs());
            accumulator.mark(took, PART_TIME);
        }
        let place = accumulator.place().filter(|_| then == AfterPage::Page);
        let mut shown = Vec::new();
        for line in &lines {
            if let Some((warehouse, item)) = self.place_of(line) {
                let text = LineText(&line.value).to_string();
                self.evidence.was_read(warehouse, item, text, read);
                shown.push(item);
            }
        }
        let capture = Capture {
            read,
            after: match start {
                PageStart::AfterItem(item) => Some(item.as_str().to_owned()),
                _ => None,
            },
            up_to: place
                .as_ref()
                .map_or(up_to, |place| Some(place.cursor.clone())),
            shown,
        };
        self.note(|| {
            let shard = &work.claim.shard;
            format!("worker {number} has read {shard} {capture:?}")
        });
        let cycle = (work.warehouse, work.id.generation.0, work.started);
        self.evidence.captured(cycle, capture);
        if !lines.is_empty() {
            self.hand_over(number, work.serial, Piece::Lines(lines));
        }
        if let Some(place) = place {
            self.hand_over(number, work.serial, Piece::Note(place));
        }
        match then {
            AfterPage::Page => PartStep::Page,
            AfterPage::End | AfterPage::GivenUp => PartStep::Drained,
        }
    }
}

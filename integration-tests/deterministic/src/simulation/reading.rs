//! A claimed part: read page by page, under a lease, to its end.

use super::publisher::Piece;
use super::worker::{Activity, Phase};
use super::{Broken, Fault, LEASE_MS, PART_TIME_MS, Simulation, kill, stamp};
use crate::evidence::{Capture, Read, Violation};
use crate::house::Held;
use crate::rules::StampRule;
use prefetch_worker::snapshot::accumulator::Accumulator;
use prefetch_worker::snapshot::page_walk::{AfterPage, PageWalk};
use prefetch_worker::snapshot::part_facts::{Noted, PartFacts};
use prefetch_worker::snapshot::retry::pause_after;
use shared::d365::{D365Error, PageEnd, PageStart};
use shared::redis_store::{ItemRange, LineText, OpenCycle, PartId, ShardRecord};
use shared::settings::PagingMode;
use shared::stock::{AsOf, ItemNumber, SkuMapper};
use std::time::Duration;

const NOTE_EVERY_MS: i64 = 1_000;
const RESERVE_MS: i64 = 10_000;
/// Pieces that may wait before reading waits.
pub(super) const WAITING: usize = 4;

/// What is to be done next.
#[derive(Debug)]
pub(super) enum PartStep {
    Cycle,
    Record(ItemRange),
    Drop,
    Page,
    Arrives(Page),
    Drained,
    Finish(String),
    Stopping,
    PutBack,
}

/// A page under way.
#[derive(Debug)]
pub(super) struct Page {
    read: Read,
    fails: Option<D365Error>,
}

/// A part in a worker's hands.
#[derive(Debug)]
pub(super) struct PartWork {
    held: Held,
    warehouse: usize,
    id: PartId,
    started: AsOf,
    claimed_ms: i64,
    pub(super) step: PartStep,
    accumulator: Option<Accumulator>,
    up_to: Option<ItemNumber>,
    pub(super) serial: u64,
    failures: u32,
    pub(super) extended_ms: i64,
}

impl PartWork {
    pub(super) fn claimed(held: Held, warehouse: usize, id: PartId, now_ms: i64) -> Self {
        Self {
            held,
            warehouse,
            id,
            started: AsOf::EPOCH,
            claimed_ms: now_ms,
            step: PartStep::Cycle,
            accumulator: None,
            up_to: None,
            serial: 0,
            failures: 0,
            extended_ms: now_ms,
        }
    }

    pub(super) fn is_read(&self) -> bool {
        matches!(
            self.step,
            PartStep::Page | PartStep::Arrives(_) | PartStep::Drained
        )
    }
}

impl Simulation<'_> {
    pub(super) fn work_on_part(
        &mut self,
        number: usize,
        mut work: Box<PartWork>,
    ) -> Result<(), Broken> {
        let step = std::mem::replace(&mut work.step, PartStep::Drop);
        let (delay, next) = self.part_step(number, &mut work, step)?;
        let delay = delay + self.step_ms();
        match next {
            Some(step) => {
                work.step = step;
                self.set_phase(number, delay, Phase::Part(work));
            }
            None => self.set_phase(number, delay, Phase::Idle),
        }
        Ok(())
    }

    fn part_step(
        &mut self,
        number: usize,
        work: &mut PartWork,
        step: PartStep,
    ) -> Result<(i64, Option<PartStep>), Broken> {
        let warehouse = self.truth.warehouses()[work.warehouse].clone();
        let held = work.held.clone();
        let next = match step {
            PartStep::Cycle => {
                let called = self.call(|house, redis| Ok(house.cycle(redis, &warehouse)))?;
                called.heard().map(|cycle| part_of(work, cycle.as_ref()))
            }
            PartStep::Record(range) => {
                let called = self.call(|house, redis| house.shard_record(redis, &held.shard))?;
                called
                    .heard()
                    .map(|record| self.begin_part(number, work, &range, record))
            }
            PartStep::Drop => {
                self.call(|house, redis| house.drop_shard(redis, &held))?;
                None
            }
            PartStep::Page => return self.begin_page(number, work),
            PartStep::Arrives(page) => return Ok(self.page_arrives(number, work, page)),
            PartStep::Drained => {
                let publisher = self.workers[number].publishers.get(&work.serial);
                if publisher.is_some_and(|publisher| publisher.waiting() > 0) {
                    return Ok((20, Some(PartStep::Drained)));
                }
                let not_stored = publisher.and_then(|publisher| publisher.failed.clone());
                work.accumulator.take().map(|accumulator| {
                    let facts = PartFacts {
                        not_stored,
                        ..accumulator.into_facts()
                    };
                    PartStep::Finish(facts.to_notes())
                })
            }
            PartStep::Finish(end) => {
                let id = (work.id.generation.0, work.id.number);
                let started = work.started;
                let called = self.call(|house, redis| {
                    house.finish_part(redis, &held, &warehouse, id, started, &end)
                })?;
                self.note(|| format!("worker {number} ends {}: {:?}", held.shard, called.done));
                None
            }
            PartStep::Stopping => {
                let publisher = self.workers[number].publishers.get_mut(&work.serial);
                if publisher.as_ref().is_some_and(|p| p.waiting() > 0) {
                    return Ok((20, Some(PartStep::Stopping)));
                }
                let place = publisher.and_then(|publisher| publisher.place.take());
                let extended = match place {
                    Some(place) => self
                        .call(|house, redis| house.extend(redis, &held, LEASE_MS, Some(&place)))?
                        .heard(),
                    None => Some(true),
                };
                (extended == Some(true)).then_some(PartStep::PutBack)
            }
            PartStep::PutBack => {
                self.call(|house, redis| house.put_back(redis, &held))?;
                None
            }
        };
        Ok((0, next))
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
        self.seen.resumed += u64::from(record.cursor.is_some());
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
        work: &mut PartWork,
    ) -> Result<(i64, Option<PartStep>), Broken> {
        if self.workers[number].is_stopping {
            return Ok((0, Some(PartStep::Stopping)));
        }
        let publisher = self.workers[number].publishers.get(&work.serial);
        if publisher.is_some_and(|publisher| publisher.failed.is_some()) {
            return Ok((0, Some(PartStep::Drained)));
        }
        if publisher.is_some_and(|publisher| publisher.waiting() > WAITING) {
            return Ok((20, Some(PartStep::Page)));
        }
        self.judge_single_reader(number, work)?;
        let mut took = self.chance.between(50, 2_500);
        if self.strikes(Fault::SlowPage, 100) {
            took = self.chance.between(5_000, 40_000);
        }
        if self.is_slow_by_plan() {
            took = kill::SLOW_PAGE_MS;
        }
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
                return Err(Violation {
                    invariant: "lease",
                    what: format!(
                        "workers {} and {number} read {} at once, and nothing had gone wrong",
                        other.number, work.held.shard
                    ),
                });
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
        let next = match page.fails {
            None => self.take_page(number, work, &mut accumulator, page.read),
            Some(error) => {
                work.failures += 1;
                self.note(|| {
                    format!(
                        "worker {number}: a page of {} fails: {error}",
                        work.held.shard
                    )
                });
                accumulator.page_failed();
                match pause_after(&error, work.failures) {
                    // The real pause is drawn by the process; here it comes from the seed.
                    Some(_) if !matches!(error, D365Error::Throttled { .. }) => {
                        (self.chance.between(50, 2_000), Some(PartStep::Page))
                    }
                    Some(pause) => {
                        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                        (pause, Some(PartStep::Page))
                    }
                    None => {
                        accumulator.break_off(error.to_string());
                        (0, Some(PartStep::Drained))
                    }
                }
            }
        };
        work.accumulator = Some(accumulator);
        next
    }

    fn take_page(
        &mut self,
        number: usize,
        work: &mut PartWork,
        accumulator: &mut Accumulator,
        read: Read,
    ) -> (i64, Option<PartStep>) {
        work.failures = 0;
        let start = accumulator.start().clone();
        let up_to = work.up_to.as_ref().map(|item| item.as_str().to_owned());
        let rows = self.truth.page(
            work.warehouse,
            &start,
            up_to.as_deref(),
            self.page_size,
            read.at_ms,
        );
        let stamped = match self.rules.stamp {
            StampRule::AtStart => read.start_ms,
            StampRule::AtArrival => read.end_ms,
        };
        let as_of = stamp(stamped + read.clock_ahead_ms);
        let took = Duration::from_millis((read.end_ms - read.start_ms).unsigned_abs());
        let part_time = Duration::from_millis(PART_TIME_MS.unsigned_abs());
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
            accumulator.mark(took, part_time);
        }
        let place = (then == AfterPage::Page)
            .then(|| accumulator.place())
            .flatten();
        let mut shown = Vec::new();
        for line in &lines {
            if let Some((warehouse, item)) = self.place_of(line) {
                let text = LineText(&line.value).to_string();
                self.evidence.was_read(warehouse, item, text, read);
                shown.push(item);
            }
        }
        let after = match start {
            PageStart::AfterItem(item) => Some(item.as_str().to_owned()),
            _ => None,
        };
        let spoken_for = place
            .as_ref()
            .map_or(up_to, |place| Some(place.cursor.clone()));
        let capture = Capture {
            read,
            after,
            up_to: spoken_for,
            shown,
        };
        let cycle = (work.warehouse, work.id.generation.0, work.started);
        self.note(|| format!("worker {number} has read {} {capture:?}", work.held.shard));
        self.evidence.captured(cycle, capture);
        if !lines.is_empty() {
            self.hand_over(number, work.serial, Piece::Lines(lines));
        }
        if let Some(place) = place {
            self.hand_over_place(number, work.serial, place);
        }
        match then {
            AfterPage::Page => (0, Some(PartStep::Page)),
            AfterPage::End | AfterPage::GivenUp => (0, Some(PartStep::Drained)),
        }
    }

    pub(super) fn keep_lease(&mut self, number: usize, serial: u64) -> Result<(), Broken> {
        let Phase::Part(work) = &self.workers[number].phase else {
            return Ok(());
        };
        if work.serial != serial || !work.is_read() {
            return Ok(());
        }
        let held = work.held.clone();
        let extended_ms = work.extended_ms;
        let publisher = self.workers[number].publishers.get_mut(&serial);
        let place = publisher.and_then(|publisher| publisher.place.take());
        if place.is_none() && self.now_ms < extended_ms + LEASE_MS / 3 {
            self.schedule(number, NOTE_EVERY_MS, Activity::Keeper(serial));
            return Ok(());
        }
        let called =
            self.call(|house, redis| house.extend(redis, &held, LEASE_MS, place.as_ref()))?;
        match called.heard() {
            Some(true) => {
                if let Phase::Part(work) = &mut self.workers[number].phase {
                    work.extended_ms = self.now_ms;
                }
            }
            None if self.now_ms + RESERVE_MS <= extended_ms + LEASE_MS => {
                if let Some(publisher) = self.workers[number].publishers.get_mut(&serial)
                    && publisher.place.is_none()
                {
                    publisher.place = place;
                }
            }
            lost => {
                self.note(|| format!("worker {number} lets {} go: {lost:?}", held.shard));
                let delay = self.step_ms();
                self.set_phase(number, delay, Phase::Idle);
                return Ok(());
            }
        }
        self.schedule(number, NOTE_EVERY_MS, Activity::Keeper(serial));
        Ok(())
    }
}

/// The part of the cycle under way, or that it is over.
fn part_of(work: &mut PartWork, cycle: Option<&OpenCycle>) -> PartStep {
    let part = cycle.and_then(|cycle| Some((cycle.started, cycle.range_of(work.id)?.clone())));
    match part {
        Some((started, range)) => {
            work.started = started;
            PartStep::Record(range)
        }
        None => PartStep::Drop,
    }
}

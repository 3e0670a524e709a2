//! The steps of workers and callers.

use super::{ASKED_FOR, Action, After, Asked, Caller, LEASE_MS, Reading, Seal, Stage, World};
use crate::evidence::{Capture, Violation, Written};
use crate::house::{Held, House, HouseError, SealAnswer};
use crate::rules::{FutureRule, Rules};
use crate::simulation::Broken;
use prefetch_worker::decisions::{self, AfterPageRead, CycleRules, PartReader, Tending};
use shared::d365::{D365Error, PageStart};
use shared::redis_store::{
    ItemRange, LineText, PartId, Sealed, ShardProgress, ShardRecord, read_line,
};
use shared::stock::{
    Generation, ItemNumber, LineContent, LineValue, Origin, Sku, SkuMapper, StockLine, WarehouseId,
    fold_item,
};
use std::sync::Arc;
use std::time::Duration;

const RULES: CycleRules = CycleRules {
    interval: Duration::from_secs(30),
    part_time: Duration::from_mins(1),
    guard_percent: 10,
    chance: 500,
};

impl World {
    /// A worker that looks for work and finds none stays where it is.
    pub(super) fn can_act(&self, house: &House, worker: u8) -> bool {
        let now = self.redis.now_ms();
        **self.stage(worker) != Stage::Idle
            || house.next_due(&self.redis).is_none_or(|due| due <= now)
    }

    pub(super) fn worker_step(
        &mut self,
        house: &House,
        rules: &Rules,
        worker: u8,
    ) -> Result<(), Broken> {
        let stage = std::mem::take(&mut self.stages[usize::from(worker)]);
        let stage = Arc::unwrap_or_clone(stage);
        let after = self.after_stage(house, rules, worker, stage)?;
        self.stages[usize::from(worker)] = Arc::new(after);
        Ok(())
    }

    fn after_stage(
        &mut self,
        house: &House,
        rules: &Rules,
        worker: u8,
        stage: Stage,
    ) -> Result<Stage, Broken> {
        let warehouse = self.truth.warehouses()[0].clone();
        let redis = &mut self.redis;
        Ok(match stage {
            Stage::Idle => self.claim(house)?,
            Stage::Look(held) => self.look(house, held)?,
            Stage::Forget(_, seen) => {
                house.forget_cycle(redis, &warehouse)?;
                let started = self.asked();
                self.tick();
                Stage::Open(seen, started.as_of, started.start_ms)
            }
            Stage::Open(seen, started, noted_ms) => {
                let ranges = ItemRange::between(&[]);
                let opened =
                    house.open_cycle(redis, &warehouse, seen, started, &ranges, LEASE_MS)?;
                if let Some(generation) = opened {
                    let evidence = Arc::make_mut(&mut self.evidence);
                    evidence.was_opened((0, generation, started), noted_ms);
                }
                Stage::Idle
            }
            Stage::Watch(held) => {
                house.watch_cycle(redis, &held, &warehouse, LEASE_MS)?;
                Stage::Idle
            }
            Stage::Seal(held, Seal(end)) => match house.seal(redis, &warehouse, &end)? {
                SealAnswer::Replaced => {
                    Stage::Seal(held, Seal(Box::new(decisions::replaced(*end))))
                }
                answer => {
                    if answer == SealAnswer::Recorded {
                        Arc::make_mut(&mut self.evidence).judge_seal(&self.truth, 0, &end)?;
                    }
                    let is_complete = matches!(end.sealed, Sealed::Complete { .. });
                    let error = (!is_complete).then(|| "not complete".to_owned());
                    Stage::GiveBack(held, error)
                }
            },
            Stage::GiveBack(held, error) => {
                house.finish(redis, &held, LEASE_MS, error.as_deref())?;
                Stage::Idle
            }
            Stage::Begin(held) => self.begin_part(house, worker, held, &warehouse)?,
            Stage::Answer(reading, asked) => self.answer(reading, asked, &warehouse),
            Stage::Store(reading, lines, after) => {
                self.store(house, rules, reading, &lines, after, &warehouse)?
            }
            Stage::Note(reading) => {
                let progress = ShardProgress {
                    rows: reading.rows,
                    cursor: reading.cursor.clone().unwrap_or_default(),
                    notes: reading.notes.clone().unwrap_or_default(),
                };
                if house.extend(redis, &reading.held, LEASE_MS, Some(&progress))? {
                    self.ask(worker, reading)?
                } else {
                    Stage::Idle
                }
            }
            Stage::EndPart(reading, end) => {
                let id = (reading.generation, reading.number);
                house.finish_part(redis, &reading.held, &warehouse, id, reading.started, &end)?;
                Stage::Idle
            }
        })
    }

    fn claim(&mut self, house: &House) -> Result<Stage, Broken> {
        let earliest = house.earliest(&mut self.redis)?;
        if earliest.is_empty() {
            let warehouses = self.truth.warehouses().to_vec();
            house.ensure_scheduled(&mut self.redis, &warehouses)?;
            return Ok(Stage::Idle);
        }
        for (shard, due) in earliest {
            // One name for both: they are alike, and nobody asks who it is.
            let seen = (shard.as_str(), due);
            if let Some(held) = house.claim(&mut self.redis, seen, "worker", LEASE_MS)? {
                self.tick_a_little();
                return Ok(match PartId::of_shard(&shard) {
                    Some(_) => Stage::Begin(held),
                    None => Stage::Look(held),
                });
            }
        }
        Ok(Stage::Idle)
    }

    fn look(&self, house: &House, held: Held) -> Result<Stage, Broken> {
        let warehouse = &self.truth.warehouses()[0];
        let record = house.snapshot(&self.redis, warehouse)?;
        let cycle = house.cycle(&self.redis, warehouse);
        let now = self.stamp(self.now_ms());
        Ok(match decisions::tending(&record, cycle, now, RULES) {
            Tending::Open => Stage::Forget(held, record.generation.0),
            Tending::Watch => Stage::Watch(held),
            Tending::Seal(end) => Stage::Seal(held, Seal(end)),
        })
    }

    fn begin_part(
        &mut self,
        house: &House,
        worker: u8,
        held: Held,
        warehouse: &WarehouseId,
    ) -> Result<Stage, Broken> {
        let id = PartId::of_shard(&held.shard).map(|(_, id)| id);
        let cycle = house.cycle(&self.redis, warehouse);
        let found = id
            .zip(cycle)
            .filter(|(id, c)| c.generation == id.generation);
        let Some((id, cycle)) = found else {
            house.drop_shard(&mut self.redis, &held)?;
            return Ok(Stage::Idle);
        };
        let record = house.shard_record(&self.redis, &held.shard)?;
        let reading = Reading {
            held,
            generation: id.generation.0,
            number: id.number,
            started: cycle.started,
            rows: record.rows,
            cursor: record.cursor,
            notes: record.notes,
        };
        self.ask(worker, reading)
    }

    /// Asks for a page at once: an earlier stamp is the harder one.
    fn ask(&mut self, worker: u8, reading: Reading) -> Result<Stage, Broken> {
        self.judge_single_reader(worker, &reading)?;
        let asked = self.asked();
        self.tick();
        if self.left.changes == 0 && self.left.lost_pages == 0 {
            // Whenever the answer comes, it is the same.
            let warehouse = self.truth.warehouses()[0].clone();
            return Ok(self.answer(reading, asked, &warehouse));
        }
        Ok(Stage::Answer(reading, asked))
    }

    fn reader(&self, reading: &Reading, warehouse: &WarehouseId) -> PartReader {
        let record = ShardRecord {
            rows: reading.rows,
            cursor: reading.cursor.clone(),
            notes: reading.notes.clone(),
            ..ShardRecord::default()
        };
        let id = PartId {
            generation: Generation(reading.generation),
            number: reading.number,
        };
        PartReader::resume(
            warehouse,
            id,
            &ItemRange::default(),
            record,
            self.left.page_size,
        )
    }

    fn answer(&mut self, mut reading: Reading, asked: Asked, warehouse: &WarehouseId) -> Stage {
        let read = asked.answered(self.now_ms());
        self.tick();
        let mut reader = self.reader(&reading, warehouse);
        let start = reader.start().clone();
        let size = usize::try_from(self.left.page_size).unwrap_or(2);
        let rows = self.truth.page(0, &start, None, size, read.at_ms);
        let done = reader.page_read(asked.as_of, rows, Duration::ZERO, RULES.part_time);
        let mut lines = Vec::new();
        for line in &done.lines {
            let is_it = |item: &ItemNumber| item.as_str() == line.sku.as_str();
            if let Some(item) = self.truth.items().iter().position(is_it) {
                let text = LineText(&line.value).to_string();
                let evidence = Arc::make_mut(&mut self.evidence);
                evidence.was_read(0, item, text.clone(), read);
                lines.push((item, text));
            }
        }
        let after_item = match start {
            PageStart::AfterItem(item) => Some(item.as_str().to_owned()),
            _ => None,
        };
        let (up_to, after) = match done.then {
            AfterPageRead::Page(Some(place)) => {
                reading.rows = place.rows;
                reading.cursor = Some(place.cursor.clone());
                reading.notes = Some(place.notes);
                (Some(place.cursor), After::Note)
            }
            AfterPageRead::Page(None) | AfterPageRead::End => (None, After::End(reader.end(None))),
        };
        let capture = Capture {
            read,
            after: after_item,
            up_to,
            shown: lines.iter().map(|(item, _)| *item).collect(),
        };
        let cycle = (0, reading.generation, reading.started);
        Arc::make_mut(&mut self.evidence).captured(cycle, capture);
        Stage::Store(reading, lines, after)
    }

    pub(super) fn page_lost(&mut self, worker: u8) {
        let stage = std::mem::take(&mut self.stages[usize::from(worker)]);
        let Stage::Answer(reading, _) = Arc::unwrap_or_clone(stage) else {
            return;
        };
        let warehouse = self.truth.warehouses()[0].clone();
        let mut reader = self.reader(&reading, &warehouse);
        let error = D365Error::Status {
            status: 403,
            message: "no".to_owned(),
        };
        // One that is not worth a second try, so that the part breaks off.
        let pause = reader.page_failed(&error, 1);
        let after = match pause {
            Some(_) => Stage::Idle,
            None => Stage::EndPart(reading, reader.end(None)),
        };
        self.stages[usize::from(worker)] = Arc::new(after);
    }

    fn store(
        &mut self,
        house: &House,
        rules: &Rules,
        reading: Reading,
        lines: &[(usize, String)],
        after: After,
        warehouse: &WarehouseId,
    ) -> Result<Stage, Broken> {
        let mut is_future = false;
        for (item, text) in lines {
            is_future |= self.write(house, *item, text)? == 3;
        }
        if is_future && rules.future == FutureRule::NotStored {
            let reader = self.reader(&reading, warehouse);
            let end = reader.end(Some("stamps lie in the future".to_owned()));
            return Ok(Stage::EndPart(reading, end));
        }
        Ok(match after {
            After::Note => Stage::Note(reading),
            After::End(end) => Stage::EndPart(reading, end),
        })
    }

    fn write(&mut self, house: &House, item: usize, text: &str) -> Result<i64, Broken> {
        let warehouse = self.truth.warehouses()[0].clone();
        let name = self.truth.items()[item].clone();
        let Some(value) = read_line(text.as_bytes()) else {
            return Err(HouseError::Odd("a line").into());
        };
        let line = StockLine {
            sku: Sku::parse(name.as_str()).map_err(HouseError::from)?,
            warehouse: warehouse.clone(),
            value,
        };
        let before = house.stored(&self.redis, name.as_str(), &warehouse)?;
        let before = before.map(str::to_owned);
        let verdicts = house.apply(&mut self.redis, &[line])?;
        let verdict = verdicts.first().copied().unwrap_or_default();
        let how = match verdict {
            1 => Written::Newer,
            2 => Written::OverCorrupt,
            _ => return Ok(verdict),
        };
        if let Some(after) = house.stored(&self.redis, name.as_str(), &warehouse)? {
            let before = before.as_deref();
            self.evidence
                .judge_write(&self.truth, (0, item), before, (after, how))?;
        }
        Ok(verdict)
    }

    pub(super) fn caller_step(&mut self, house: &House) -> Result<(), Broken> {
        self.caller = match self.caller.take() {
            None => {
                self.left.look_ups -= 1;
                let asked = self.asked();
                self.tick();
                Some(if self.left.changes == 0 {
                    Caller::Answered(self.look_up(asked))
                } else {
                    Caller::Asked(asked)
                })
            }
            Some(Caller::Asked(asked)) => Some(Caller::Answered(self.look_up(asked))),
            Some(Caller::Answered(text)) => {
                self.write(house, ASKED_FOR, &text)?;
                None
            }
        };
        Ok(())
    }

    fn look_up(&mut self, asked: Asked) -> String {
        let read = asked.answered(self.now_ms());
        self.tick();
        let rows = self.truth.rows(0, ASKED_FOR, read.at_ms);
        let folded = fold_item(rows, &SkuMapper::ItemNumber, asked.as_of, Origin::Live);
        let line = folded
            .ok()
            .and_then(|folded| folded.lines.into_iter().next());
        let absent = LineValue {
            content: LineContent::Absent,
            as_of: asked.as_of,
            origin: Origin::Live,
        };
        let value = line.map_or(absent, |line| line.value);
        let text = LineText(&value).to_string();
        Arc::make_mut(&mut self.evidence).was_read(0, ASKED_FOR, text.clone(), read);
        text
    }

    /// Two workers read one part only after something went wrong; here, after anything did.
    fn judge_single_reader(&self, worker: u8, reading: &Reading) -> Result<(), Violation> {
        let other = self.stage(1 - worker);
        let (Stage::Answer(theirs, _) | Stage::Store(theirs, ..)) = &**other else {
            return Ok(());
        };
        let is_same = (theirs.generation, theirs.number, theirs.started)
            == (reading.generation, reading.number, reading.started);
        if is_same && self.is_untroubled {
            return Err(Violation {
                invariant: "lease",
                what: format!("both workers read {}", reading.held.shard),
            });
        }
        Ok(())
    }

    /// Readers ask after all that may have changed what they are told.
    pub(super) fn judge_what_changed(
        &mut self,
        house: &House,
        rules: &Rules,
        action: Action,
    ) -> Result<(), Broken> {
        let touched = self.redis.take_touched();
        let is_told = |key: &String| !house.is_schedule(key);
        let has_other_clock = matches!(
            action,
            Action::ClockForward | Action::ClockBack | Action::TimePasses
        );
        if has_other_clock || touched.iter().any(is_told) {
            self.judge_answers(house, rules)?;
        }
        Ok(())
    }

    fn judge_answers(&self, house: &House, rules: &Rules) -> Result<(), Broken> {
        let warehouse = &self.truth.warehouses()[0];
        let feed = house.snapshot(&self.redis, warehouse)?.standing;
        let ttl = Duration::from_millis(house.line_ttl_ms.unsigned_abs());
        let now = self.stamp(self.now_ms());
        for item in 0..self.truth.items().len() {
            let name = self.truth.items()[item].as_str();
            let stored = house.stored(&self.redis, name, warehouse)?;
            self.evidence.judge_answer(
                &self.truth,
                (0, item),
                stored,
                &feed,
                (now, ttl, rules.absence),
            )?;
        }
        Ok(())
    }

    /// Without any more faults, whoever is left gets a complete snapshot (I9).
    pub(super) fn recovers(mut self, house: &House, rules: &Rules) -> Result<bool, Broken> {
        let from_ms = self.now_ms();
        for _ in 0..200 {
            let mut acted = false;
            for worker in [0, 1] {
                if self.can_act(house, worker) {
                    self.take(house, rules, Action::Worker(worker))?;
                    acted = true;
                }
            }
            let snapshot = house.snapshot(&self.redis, &self.truth.warehouses()[0])?;
            let opened = snapshot
                .standing
                .watermark
                .and_then(|watermark| self.evidence.opened_at(0, watermark));
            if opened.is_some_and(|opened| opened >= from_ms) {
                return Ok(true);
            }
            if !acted {
                self.pass_time();
            }
        }
        Ok(false)
    }
}

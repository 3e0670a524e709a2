//! Those who are no workers: D365's users, live callers, readers, operators.

use super::faults::Fault;
use super::world::{Broken, Event, LookUp, Simulation, stamp};
use crate::evidence::Read;
use crate::store::ModelError;
use shared::redis_store::LineText;
use shared::stock::{LineContent, LineValue, Origin, Sku, SkuMapper, StockLine, fold_item};

impl Simulation {
    fn any_place(&mut self) -> (usize, usize) {
        let warehouse = self.chance.index(self.truth.warehouses().len());
        (warehouse, self.chance.index(self.truth.items().len()))
    }

    pub(super) fn change_truth(&mut self) {
        let (warehouse, item) = self.any_place();
        let now = self.now_ms;
        let is_there = self.truth.amount(warehouse, item, now).is_some();
        if is_there && self.chance.happens(400) && self.truth.present(warehouse, now) > 5 {
            self.truth.vanishes(warehouse, item, now);
        } else {
            self.truth.changes(warehouse, item, now);
        }
        let amount = self.truth.amount(warehouse, item, now);
        self.note(|| format!("D365: item {item} of {warehouse} is {amount:?}"));
        let delay = self.chance.between(500, 8_000);
        self.after(delay, Event::TruthChanges);
    }

    pub(super) fn begin_look_up(&mut self) {
        let (warehouse, item) = self.any_place();
        let start_ms = self.now_ms;
        let end_ms = start_ms + self.chance.between(50, 1_200);
        let at_ms = self.chance.between(start_ms, end_ms);
        let lag = self.chance.between(0, 1_000);
        let clock_ahead_ms = self.ahead_at(start_ms - lag);
        let number = usize::try_from(self.scheduled).unwrap_or(0);
        let look_up = LookUp {
            warehouse,
            item,
            as_of: stamp(start_ms + clock_ahead_ms),
            read: Read {
                start_ms,
                at_ms,
                end_ms,
                clock_ahead_ms,
            },
        };
        self.look_ups.insert(number, look_up);
        let late = if self.strikes(Fault::LateWrite, 300) {
            self.chance.between(5_000, 90_000)
        } else {
            0
        };
        self.after(end_ms - start_ms + late, Event::LiveAnswer(number));
        let next = self.chance.between(200, 6_000);
        self.after(next, Event::LiveBegins);
    }

    pub(super) fn end_look_up(&mut self, number: usize) -> Result<(), Broken> {
        let Some(LookUp {
            warehouse,
            item,
            as_of,
            read,
        }) = self.look_ups.remove(&number)
        else {
            return Ok(());
        };
        // The truth of that instant is history by now, so it can be asked for here.
        let rows = self.truth.rows(warehouse, item, read.at_ms);
        let folded = fold_item(&rows, &SkuMapper::ItemNumber, as_of, Origin::Live);
        let found = folded.ok().and_then(|item| item.lines.into_iter().next());
        let name = self.truth.items()[item].as_str();
        let absent = StockLine {
            sku: Sku::parse(name).map_err(ModelError::from)?,
            warehouse: self.truth.warehouses()[warehouse].clone(),
            value: LineValue {
                content: LineContent::Absent,
                as_of,
                origin: Origin::Live,
            },
        };
        let line = found.unwrap_or(absent);
        let text = LineText(&line.value).to_string();
        self.note(|| format!("live: item {item} of {warehouse} is {text}"));
        self.evidence.was_read(warehouse, item, text, read);
        if !self.strikes(Fault::LostCall, 20) {
            self.apply(&[line])?;
        }
        Ok(())
    }

    pub(super) fn ask_for_refresh(&mut self) -> Result<(), Broken> {
        let (warehouse, _) = self.any_place();
        if !self.is_calm {
            let name = self.truth.warehouses()[warehouse].clone();
            self.note(|| format!("a refresh of {name} is asked for"));
            self.remember();
            let call = self.store.calls().make_due(name.key());
            self.store.run(&mut self.redis, &call)?;
        }
        let delay = self.chance.between(1_000, 120_000);
        self.after(delay, Event::RefreshAsked);
        Ok(())
    }

    /// Readers ask for everything now and then, whether it changed or not.
    pub(super) fn readers_ask(&mut self) -> Result<(), Broken> {
        for warehouse in 0..self.truth.warehouses().len() {
            for item in 0..self.truth.items().len() {
                self.judge_answer(warehouse, item)?;
            }
        }
        let delay = self.chance.between(1_000, 10_000);
        self.after(delay, Event::ReadersAsk);
        Ok(())
    }
}

//! One history: what happens to one SKU, drawn from its seed.

use super::calls::{Callers, Placed, Settled, Word};
use super::erp::Erp;
use super::event::Event;
use super::house::{HouseError, pieces, sku};
use super::judge::{self, Known};
use super::ledger::{Owner, Phase, Window};
use super::scene::Scene;
use super::told::Told;
use crate::chance::Chance;
use std::cell::RefCell;

/// Fewest and most events of a history, before what is open is closed.
const EVENTS: (i64, i64) = (5, 12);

/// Why a history ends before its time.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something was told that may not be told.
    Untrue(String),
    /// The house does not answer as it should.
    House(HouseError),
}

impl<E: Into<HouseError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::House(error.into())
    }
}

pub(super) type Done = Result<(), Stop>;

/// A SKU, its callers, and what is known about it.
#[derive(Debug)]
pub(super) struct History<'h> {
    pub(super) callers: Callers<'h>,
    pub(super) chance: Chance,
    pub(super) erp: RefCell<Erp>,
    pub(super) owners: Vec<Owner>,
    pub(super) log: Vec<String>,
}

/// What a placement must come to, as far as that is known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It stands already.
    Repeated,
    /// It is new.
    New,
    /// It holds something else.
    Changed,
    /// It was settled.
    Refused,
    /// Its time is nearly over, or just was.
    Anything,
}

impl<'h> History<'h> {
    pub(super) fn new(scene: &'h Scene<'h>, number: u64) -> Self {
        let mut chance = Chance::stream(scene.seed, number);
        let sku = sku(number);
        let on_hand = pieces(&mut chance);
        let erp = RefCell::new(Erp::new(scene.house.d365(), &sku, on_hand));
        Self {
            callers: Callers::new(scene, sku),
            chance,
            erp,
            owners: Vec::new(),
            log: vec![format!("the world begins with {on_hand}")],
        }
    }

    /// Everything that happens, and the end of what is open.
    pub(super) async fn happen(&mut self) -> Done {
        let events = self.chance.between(EVENTS.0, EVENTS.1);
        for _ in 0..events {
            if let Some(event) = self.draw() {
                self.note(event.name());
                self.act(event).await?;
                self.scene().tally.event(event);
            }
        }
        self.close().await?;
        if !self.erp.borrow().agrees_with_journal()? {
            return Err(format!("{}: the journal has another story", self.callers.sku).into());
        }
        self.scene().tally.histories.add(1);
        Ok(())
    }

    pub(super) fn scene(&self) -> &'h Scene<'h> {
        self.callers.scene
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.log.push(what.into());
    }

    /// A replica.
    pub(super) fn replica(&mut self) -> usize {
        self.chance.place(2)
    }

    /// One of those it is true of.
    pub(super) fn some(&mut self, is_it: impl Fn(&Owner) -> bool) -> Option<usize> {
        let those: Vec<usize> = (0..self.owners.len())
            .filter(|at| is_it(&self.owners[*at]))
            .collect();
        let place = self.chance.place(those.len());
        those.get(place).copied()
    }

    /// Nobody has booked, settled or nearly forgotten it.
    pub(super) fn is_fresh(&self) -> impl Fn(&Owner) -> bool + use<> {
        let (now, margin) = (self.now(), self.margin());
        move |owner| owner.is_order && owner.booked.is_none() && owner.is_safe(now, margin)
    }

    pub(super) fn now(&self) -> i64 {
        self.scene().house.now()
    }

    /// Whoever has less time left than this is left alone until it is over.
    fn margin(&self) -> i64 {
        i64::try_from(self.scene().hold.as_millis() / 3).unwrap_or(i64::MAX)
    }

    fn draw(&mut self) -> Option<Event> {
        let possible: Vec<(Event, u64)> = Event::ALL
            .into_iter()
            .filter(|(event, _)| self.is_possible(*event))
            .collect();
        self.chance.weighted(&possible)
    }

    pub(super) fn new_owner(&mut self, is_order: bool) -> usize {
        let id = format!("{}-{}", self.callers.sku, self.owners.len());
        self.owners.push(Owner::new(id, is_order));
        self.owners.len() - 1
    }

    /// What asking for this quantity must come to.
    pub(super) fn expected(&self, owner: usize, quantity: i64) -> Expected {
        let owner = &self.owners[owner];
        let is_safe = owner.is_safe(self.now(), self.margin());
        match owner.last() {
            None => Expected::New,
            Some(last) if last.confirmed.is_some() && owner.asked == quantity => Expected::Repeated,
            Some(last) if last.confirmed.is_some() || last.quantity == 0 => Expected::Refused,
            Some(_) if is_safe && owner.is_order && owner.asked == quantity => Expected::Repeated,
            Some(_) if is_safe => Expected::Changed,
            Some(_) => Expected::Anything,
        }
    }

    fn known<'a>(&'a self, window: Window, except: &'a [&str], erp: &'a Erp) -> Known<'a> {
        Known {
            owners: &self.owners,
            except,
            steps: erp.steps(),
            window,
        }
    }

    fn judge(&self, window: Window, except: &[&str], told: &Told) -> Done {
        let erp = self.erp.borrow();
        let known = self.known(window, except, &erp);
        let counts = known.counts(told.as_of);
        let tally = self.scene().tally;
        tally.judged.add(1);
        tally.exact.add(u64::from(counts.least == counts.most));
        let is_short = told.number.is_some_and(|number| told.held > number.max(0));
        tally.shortfalls.add(u64::from(is_short));
        judge::line(&known, told).map_err(Stop::Untrue)
    }

    /// Judges a browse reply or a live one.
    pub(super) fn see(&mut self, what: &str, (window, told): (Window, Told)) -> Done {
        self.note(format!("{what} {}", in_words(window, &told)));
        self.judge(window, &[], &told)?;
        let erp = self.erp.borrow();
        let read = self.known(window, &[], &erp);
        let oldest = read
            .readable(told.as_of)
            .filter(|(_, number)| told.number == Some(*number))
            .map(|(step, _)| step)
            .min();
        for owner in &mut self.owners {
            owner.is_seen |= owner.booked.is_some() && owner.booked <= oldest;
        }
        Ok(())
    }

    /// Enters what a placement came to. Done for all calls of an event before one is judged.
    pub(super) fn enter(
        &mut self,
        owner: usize,
        reservation: Option<usize>,
        quantity: i64,
        placed: &Placed,
    ) {
        let told = placed.told.as_ref();
        let told = told.map_or_else(String::new, |told| in_words(placed.window, told));
        let id = &self.owners[owner].id;
        self.log
            .push(format!("  {id} wants {quantity}: {:?} {told}", placed.word));
        let is_retried = placed.since < placed.window.begun;
        let until = match placed.word {
            Word::Held { until } => until,
            Word::Repeated { until } if is_retried && self.owners[owner].asked != quantity => until,
            _ => return,
        };
        let since = (placed.since, placed.window.ended);
        let order = &mut self.owners[owner];
        order.asked = quantity;
        order.phases.push(Phase {
            since,
            quantity,
            until,
            confirmed: None,
            is_certain: true,
        });
        if let Some(reservation) = reservation {
            let mut over = Phase::over(placed.window);
            over.since = since;
            self.owners[reservation].phases.push(over);
        }
    }

    /// Judges what a placement was told.
    pub(super) fn judge_placed(
        &self,
        owner: usize,
        reservation: Option<usize>,
        (quantity, expected): (i64, Expected),
        placed: &Placed,
    ) -> Done {
        let tally = self.scene().tally;
        match placed.word {
            Word::Held { .. } => tally.grants.add(1),
            Word::Repeated { .. } => tally.replays.add(1),
            Word::Nothing | Word::Kept => tally.refusals.add(1),
            Word::Refused => tally.conflicts.add(1),
            Word::Unknown => tally.orphans.add(1),
            Word::NotAsked => {}
        }
        let is_retried = placed.since < placed.window.begun;
        // On a busy machine a hold may end while the call is under way.
        let may_have_ended = matches!(expected, Expected::Repeated | Expected::Changed)
            && self.owners[owner].may_end_during(placed.window);
        let is_expected = match (expected, placed.word) {
            (Expected::Anything, _)
            | (_, Word::Unknown | Word::NotAsked)
            | (Expected::Repeated, Word::Repeated { .. })
            | (Expected::New, Word::Held { .. } | Word::Nothing)
            | (Expected::Changed, Word::Held { .. } | Word::Kept)
            | (Expected::Refused, Word::Refused) => true,
            (Expected::New | Expected::Changed, Word::Repeated { .. }) => is_retried,
            _ => may_have_ended,
        };
        if !is_expected {
            return untrue(format!("{:?} where {expected:?} was due", placed.word));
        }
        if !placed.is_shortage_told {
            return untrue("a short line is not told as the contract says");
        }
        let Some(told) = &placed.told else {
            return Ok(());
        };
        let mut except = vec![self.owners[owner].id.as_str()];
        except.extend(reservation.map(|at| self.owners[at].id.as_str()));
        self.judge(placed.window, &except, told)?;
        let is_full = told.granted == quantity;
        let is_word_right = match placed.word {
            Word::Repeated { .. } => return full_or_untrue(is_full),
            Word::Held { .. } => is_full,
            Word::Nothing | Word::Kept => told.granted < quantity,
            _ => true,
        };
        if !is_word_right {
            return untrue(format!("{} granted, and {:?}", told.granted, placed.word));
        }
        let erp = self.erp.borrow();
        let known = self.known(placed.window, &except, &erp);
        judge::grant(&known, told, quantity).map_err(Stop::Untrue)
    }

    /// Enters that an order was confirmed with what it held at last.
    pub(super) fn enter_confirmed(&mut self, owner: usize, settled: &Settled) -> Done {
        let id = &self.owners[owner].id;
        let told = (settled.confirmed, settled.granted);
        self.log.push(format!(
            "  {id} confirmed {:?}: {told:?}",
            span(settled.window)
        ));
        if !settled.is_done {
            return untrue("an open order was not confirmed");
        }
        let quantity = self.owners[owner].quantity();
        if settled.granted != quantity {
            return untrue(format!("{} confirmed of {quantity}", settled.granted));
        }
        let Some(confirmed) = settled.confirmed else {
            return untrue("confirmed at no instant");
        };
        self.owners[owner].phases.push(Phase {
            since: (settled.since, settled.window.ended),
            quantity,
            until: confirmed,
            confirmed: Some(confirmed),
            is_certain: true,
        });
        Ok(())
    }

    /// Enters that it holds nothing any more.
    pub(super) fn enter_over(&mut self, owner: usize, settled: &Settled) -> Done {
        let id = &self.owners[owner].id;
        self.log
            .push(format!("  {id} over {:?}", span(settled.window)));
        if !settled.is_done {
            return untrue("an open order or reservation could not be given up");
        }
        let mut over = Phase::over(settled.window);
        over.since.0 = settled.since;
        self.owners[owner].phases.push(over);
        Ok(())
    }
}

pub(super) fn untrue(what: impl Into<String>) -> Done {
    Err(Stop::Untrue(what.into()))
}

fn full_or_untrue(is_full: bool) -> Done {
    if is_full {
        Ok(())
    } else {
        untrue("repeated, and not in full")
    }
}

fn span(window: Window) -> (i64, i64) {
    (window.begun_ms, window.ended_ms)
}

fn in_words(window: Window, told: &Told) -> String {
    let Told {
        available,
        held,
        number,
        as_of,
        granted,
        ..
    } = told;
    let live = if told.is_live { "live" } else { "cached" };
    format!(
        "{:?}: {available} available, {held} held, D365's {number:?} {live} as of {as_of}, {granted} granted",
        span(window)
    )
}

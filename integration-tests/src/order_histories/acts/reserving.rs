//! Reservations.

use super::super::calls::Word;
use super::super::history::{Done, Expected, History, untrue};
use super::super::ledger::{Owner, Phase, Range};
use super::is_reserved;

/// Reserved for a moment, or for as long as any history takes.
const SECONDS: [i64; 2] = [2, 900];

impl History<'_> {
    fn seconds(&mut self) -> i64 {
        SECONDS[self.chance.place(2)]
    }

    pub(super) async fn reserve(&mut self) -> Done {
        let (replica, quantity, seconds) = (self.replica(), self.pieces(), self.seconds());
        let placed = self.callers.reserve(replica, quantity, seconds).await?;
        let reservation = self.new_owner(false);
        if let Some(id) = &placed.id {
            self.owners[reservation].id.clone_from(id);
        }
        self.enter(reservation, None, quantity, &placed);
        if placed.word == Word::Unknown {
            // It has no name to ask for: it may hold until its time is over.
            self.owners[reservation].phases.push(Phase {
                since: (placed.since, placed.window.ended),
                quantity,
                until: placed.window.ended_ms + seconds * 1_000,
                confirmed: None,
                is_certain: false,
            });
        }
        self.judge_placed(reservation, None, (quantity, Expected::New), &placed)?;
        self.browse().await
    }

    pub(super) async fn change_reservation(&mut self) -> Done {
        let Some(reservation) = self.some(is_reserved) else {
            return Ok(());
        };
        let (replica, quantity, seconds) = (self.replica(), self.pieces(), self.seconds());
        let expected = self.expected(reservation, quantity);
        let id = self.owners[reservation].id.clone();
        let changing = self
            .callers
            .change_reservation(replica, &id, quantity, seconds);
        let placed = changing.await?;
        self.enter(reservation, None, quantity, &placed);
        self.judge_placed(reservation, None, (quantity, expected), &placed)?;
        self.browse().await
    }

    /// It becomes an order of as much, or of something else.
    pub(super) async fn convert(&mut self) -> Done {
        let Some(reservation) = self.some(is_reserved) else {
            return Ok(());
        };
        let (order, replica) = (self.new_owner(true), self.replica());
        let reserved = self.owners[reservation].quantity();
        let quantity = if self.chance.percent(60) {
            reserved
        } else {
            self.pieces()
        };
        let ids = [order, reservation].map(|at| self.owners[at].id.clone());
        let ordering = self
            .callers
            .order(replica, &ids[0], quantity, Some(&ids[1]));
        let placed = ordering.await?;
        self.enter(order, Some(reservation), quantity, &placed);
        let due = (quantity, Expected::New);
        self.judge_placed(order, Some(reservation), due, &placed)?;
        self.browse().await
    }

    pub(super) async fn give_up(&mut self) -> Done {
        let Some(reservation) = self.some(is_reserved) else {
            return Ok(());
        };
        self.end(reservation).await?;
        self.browse().await
    }

    /// Reserved pieces are given back; orders never give.
    pub(super) async fn reject(&mut self) -> Done {
        let (replica, quantity) = (self.replica(), self.pieces());
        let (window, released) = self.callers.reject(replica, quantity).await?;
        self.note(format!("  {quantity} rejected, {released:?} released"));
        let stands = |owner: &Owner| owner.stands(window);
        // There is one reservation at most that is not surely over.
        let giver = self
            .owners
            .iter()
            .rposition(|owner| !owner.is_order && stands(owner).most > 0);
        let reserved = giver.map_or_else(Range::default, |at| stands(&self.owners[at]));
        if let Some(released) = released
            && !(reserved.least.min(quantity)..=reserved.most.min(quantity)).contains(&released)
        {
            return untrue(format!("{released} released of {reserved:?}"));
        }
        if let Some(giver) = giver
            && released != Some(0)
            && let Some(last) = self.owners[giver].last().copied()
        {
            self.owners[giver].phases.push(Phase {
                since: (window.begun, window.ended),
                quantity: (last.quantity - released.unwrap_or_default()).max(0),
                is_certain: released.is_some(),
                ..last
            });
            self.scene()
                .tally
                .orphans
                .add(u64::from(released.is_none()));
        }
        self.browse().await
    }
}

//! Checks and orders.

use super::super::calls::Word;
use super::super::history::{Done, Expected, History, Stop, untrue};
use super::is_settled;
use futures_util::join;

/// Most pieces of an order.
const MOST: i64 = 6;

impl History<'_> {
    pub(super) fn pieces(&mut self) -> i64 {
        self.chance.between(1, MOST)
    }

    pub(super) async fn ask(&mut self) -> Done {
        let (replica, quantity) = (self.replica(), self.pieces());
        let placed = self.callers.ask(replica, quantity).await?;
        // An owner nobody knows: nothing is its own.
        let nobody = self.new_owner(true);
        self.enter(nobody, None, quantity, &placed);
        self.judge_placed(nobody, None, (quantity, Expected::New), &placed)
    }

    pub(super) async fn order(&mut self) -> Done {
        let (order, quantity) = (self.new_owner(true), self.pieces());
        self.place(order, quantity).await
    }

    pub(super) async fn place(&mut self, order: usize, quantity: i64) -> Done {
        let (replica, expected) = (self.replica(), self.expected(order, quantity));
        let id = self.owners[order].id.clone();
        let placed = self.callers.order(replica, &id, quantity, None).await?;
        self.enter(order, None, quantity, &placed);
        self.judge_placed(order, None, (quantity, expected), &placed)
    }

    pub(super) async fn replay(&mut self) -> Done {
        let some = self.some(|owner| owner.is_order && owner.quantity() > 0);
        let Some(order) = some else { return Ok(()) };
        let owner = &self.owners[order];
        // Once the ERP has booked a lapsed order, its stock is not to be held for it anew.
        if owner.booked.is_some() && !owner.is_confirmed() && !self.is_standing(order) {
            return self.browse().await;
        }
        let quantity = self.owners[order].asked;
        self.place(order, quantity).await?;
        self.browse().await
    }

    /// Asked for again, it is told that it stands.
    fn is_standing(&self, order: usize) -> bool {
        self.expected(order, self.owners[order].asked) == Expected::Repeated
    }

    pub(super) async fn order_twice_at_once(&mut self) -> Done {
        let (order, quantity) = (self.new_owner(true), self.pieces());
        let id = self.owners[order].id.clone();
        let (one, other) = join!(
            self.callers.order(0, &id, quantity, None),
            self.callers.order(1, &id, quantity, None)
        );
        let mut both = [one?, other?];
        // Whoever held it is entered first: the other one repeats it.
        both.sort_by_key(|placed| !matches!(placed.word, Word::Held { .. }));
        for placed in &both {
            self.enter(order, None, quantity, placed);
        }
        if both
            .iter()
            .all(|placed| matches!(placed.word, Word::Held { .. }))
        {
            return untrue("one order was held twice");
        }
        for placed in &both {
            let expected = match placed.word {
                Word::Repeated { .. } => Expected::Repeated,
                _ => Expected::New,
            };
            self.judge_placed(order, None, (quantity, expected), placed)?;
        }
        self.browse().await
    }

    pub(super) async fn change(&mut self) -> Done {
        let is_fresh = self.is_fresh();
        let Some(order) = self.some(is_fresh) else {
            return Ok(());
        };
        let quantity = self.other_than(self.owners[order].asked);
        self.place(order, quantity).await?;
        self.browse().await
    }

    /// Pieces, but not so many.
    pub(super) fn other_than(&mut self, quantity: i64) -> i64 {
        let other = self.pieces();
        if other == quantity { other + 1 } else { other }
    }

    pub(super) async fn two_orders_at_once(&mut self) -> Done {
        let orders = [self.new_owner(true), self.new_owner(true)];
        let quantities = [self.pieces(), self.pieces()];
        let ids = orders.map(|order| self.owners[order].id.clone());
        let (one, other) = join!(
            self.callers.order(0, &ids[0], quantities[0], None),
            self.callers.order(1, &ids[1], quantities[1], None)
        );
        let both = [one?, other?];
        for at in 0..2 {
            self.enter(orders[at], None, quantities[at], &both[at]);
        }
        for at in 0..2 {
            let due = (quantities[at], Expected::New);
            self.judge_placed(orders[at], None, due, &both[at])?;
        }
        self.browse().await
    }

    pub(super) async fn browse_beside_order(&mut self) -> Done {
        let (order, quantity, replica) = (self.new_owner(true), self.pieces(), self.replica());
        let id = self.owners[order].id.clone();
        let (seen, placed) = join!(
            self.callers.browse(),
            self.callers.order(replica, &id, quantity, None)
        );
        let placed = placed?;
        self.enter(order, None, quantity, &placed);
        self.see("  browse", seen?)?;
        self.judge_placed(order, None, (quantity, Expected::New), &placed)
    }

    /// A settled order keeps its word.
    pub(super) async fn unsettle(&mut self) -> Done {
        let Some(order) = self.some(is_settled) else {
            return Ok(());
        };
        let quantity = self.other_than(self.owners[order].asked);
        self.place(order, quantity).await?;
        let (replica, id) = (self.replica(), self.owners[order].id.clone());
        let settled = if self.owners[order].is_confirmed() {
            self.callers.give_up(replica, &id, true).await?
        } else {
            self.callers.confirm(replica, &id).await?
        };
        if settled.is_done {
            return Err(Stop::Untrue(
                "a settled order was settled otherwise".to_owned(),
            ));
        }
        self.scene().tally.conflicts.add(1);
        self.browse().await
    }
}

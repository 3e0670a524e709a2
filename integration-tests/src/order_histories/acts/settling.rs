//! Bookings, confirmations, cancellations.

use super::super::history::{Done, History, untrue};
use super::is_awaited;
use crate::order_histories::history::Stop;
use futures_util::join;
use std::time::Duration;

impl History<'_> {
    /// The ERP books what the order holds: its number falls.
    pub(super) fn book(&mut self, order: usize) -> Done {
        let quantity = self.owners[order].quantity();
        let is_reserved = self.chance.percent(50);
        let step = self.book_quantity(quantity, is_reserved)?;
        self.owners[order].booked = Some(step);
        let (id, step) = (&self.owners[order].id, self.erp.borrow().steps()[step]);
        self.log
            .push(format!("  {id} is booked, {quantity}: {step:?}"));
        Ok(())
    }

    fn book_quantity(&self, quantity: i64, is_reserved: bool) -> Result<usize, Stop> {
        let mut erp = self.erp.borrow_mut();
        Ok(if is_reserved {
            erp.reserve(quantity)?
        } else {
            erp.move_goods(-quantity)?
        })
    }

    pub(super) fn book_some(&mut self) -> Done {
        let is_fresh = self.is_fresh();
        match self.some(|owner| is_fresh(owner) || is_awaited(owner)) {
            Some(order) => self.book(order),
            None => Ok(()),
        }
    }

    pub(super) async fn confirm(&mut self, order: usize) -> Done {
        let (replica, id) = (self.replica(), self.owners[order].id.clone());
        let settled = self.callers.confirm(replica, &id).await?;
        self.enter_confirmed(order, &settled)
    }

    pub(super) async fn book_and_confirm(&mut self, order: usize) -> Done {
        if self.owners[order].booked.is_none() {
            self.book(order)?;
        }
        self.confirm(order).await
    }

    pub(super) async fn confirm_booked(&mut self, is_seen: bool) -> Done {
        let now = self.now();
        let some = self.some(|owner| {
            let is_booked = owner.is_order && owner.is_open() && owner.booked.is_some();
            is_booked && owner.is_seen == is_seen && !owner.is_lapsed(now)
        });
        let Some(order) = some else { return Ok(()) };
        self.confirm(order).await?;
        self.look_after().await
    }

    /// Mostly at what is stored, sometimes at D365 itself.
    async fn look_after(&mut self) -> Done {
        if self.chance.percent(40) {
            self.live().await?;
        }
        self.browse().await
    }

    pub(super) async fn confirm_early(&mut self) -> Done {
        let is_fresh = self.is_fresh();
        let Some(order) = self.some(is_fresh) else {
            return Ok(());
        };
        self.confirm(order).await?;
        self.owners[order].is_early = true;
        self.look_after().await
    }

    pub(super) async fn confirm_late(&mut self) -> Done {
        let now = self.now();
        let some = self.some(|owner| owner.is_order && owner.is_lapsed(now));
        let Some(order) = some else { return Ok(()) };
        self.browse().await?;
        self.book_and_confirm(order).await?;
        self.look_after().await
    }

    /// Gives an order or reservation up.
    pub(super) async fn end(&mut self, owner: usize) -> Done {
        let (replica, id) = (self.replica(), self.owners[owner].id.clone());
        let is_order = self.owners[owner].is_order;
        let settled = self.callers.give_up(replica, &id, is_order).await?;
        self.enter_over(owner, &settled)
    }

    pub(super) async fn cancel(&mut self) -> Done {
        let is_fresh = self.is_fresh();
        let Some(order) = self.some(is_fresh) else {
            return Ok(());
        };
        self.end(order).await?;
        self.browse().await
    }

    /// One of them comes first; the other is refused.
    pub(super) async fn confirm_beside_cancel(&mut self) -> Done {
        let is_fresh = self.is_fresh();
        let Some(order) = self.some(is_fresh) else {
            return Ok(());
        };
        let id = self.owners[order].id.clone();
        let (confirmed, over) = join!(
            self.callers.confirm(0, &id),
            self.callers.give_up(1, &id, true)
        );
        let (confirmed, over) = (confirmed?, over?);
        match (confirmed.is_done, over.is_done) {
            (true, false) => {
                self.enter_confirmed(order, &confirmed)?;
                self.owners[order].is_early = true;
            }
            (false, true) => self.enter_over(order, &over)?,
            both => return untrue(format!("confirmed, over: {both:?}")),
        }
        self.scene().tally.conflicts.add(1);
        self.browse().await
    }

    /// Either the other quantity is confirmed, or it comes too late.
    pub(super) async fn confirm_beside_change(&mut self) -> Done {
        let is_fresh = self.is_fresh();
        let Some(order) = self.some(is_fresh) else {
            return Ok(());
        };
        let quantity = self.other_than(self.owners[order].asked);
        let id = self.owners[order].id.clone();
        let (placed, confirmed) = join!(
            self.callers.order(0, &id, quantity, None),
            self.callers.confirm(1, &id)
        );
        let (placed, confirmed) = (placed?, confirmed?);
        self.enter(order, None, quantity, &placed);
        self.enter_confirmed(order, &confirmed)?;
        self.owners[order].is_early = true;
        let due = (quantity, super::super::history::Expected::Anything);
        self.judge_placed(order, None, due, &placed)?;
        self.browse().await
    }

    /// The answer on its way may be from before the booking, and must not release it.
    pub(super) async fn confirm_beside_live(&mut self) -> Done {
        let is_fresh = self.is_fresh();
        let Some(order) = self.some(is_fresh) else {
            return Ok(());
        };
        let (replica, is_reserved) = (self.replica(), self.chance.percent(50));
        let pause = Duration::from_millis(self.chance.between(0, 30).unsigned_abs());
        let (id, quantity) = (self.owners[order].id.clone(), self.owners[order].quantity());
        let (seen, settled) = join!(self.callers.live(replica), async {
            tokio::time::sleep(pause).await;
            let step = self.book_quantity(quantity, is_reserved)?;
            let settled = self.callers.confirm(1 - replica, &id).await?;
            Ok::<_, Stop>((step, settled))
        });
        let (step, settled) = settled?;
        self.owners[order].booked = Some(step);
        let step = self.erp.borrow().steps()[step];
        self.log
            .push(format!("  {id} is booked, {quantity}: {step:?}"));
        self.enter_confirmed(order, &settled)?;
        self.see("  live", seen?)?;
        self.browse().await
    }
}

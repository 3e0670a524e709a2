//! What each event does. All calls of an event are entered before one of them is judged.

mod ordering;
mod reserving;
mod settling;
mod stock;

use super::event::Event;
use super::history::{Done, History};
use super::ledger::Owner;

impl History<'_> {
    /// Whether it can happen now.
    pub(super) fn is_possible(&self, event: Event) -> bool {
        let now = self.now();
        let any = |is_it: &dyn Fn(&Owner) -> bool| self.owners.iter().any(is_it);
        let is_booked = |owner: &Owner| {
            owner.is_order && owner.is_open() && owner.booked.is_some() && !owner.is_lapsed(now)
        };
        match event {
            Event::Replay => any(&|owner| owner.is_order && owner.quantity() > 0),
            Event::Change
            | Event::Cancel
            | Event::ConfirmEarly
            | Event::ConfirmBesideCancel
            | Event::ConfirmBesideChange
            | Event::ConfirmBesideLive => any(&self.is_fresh()),
            Event::Reserve => !any(&|owner| is_reserved(owner) && !owner.is_lapsed(now)),
            Event::ChangeReservation | Event::Convert | Event::GiveUp => any(&is_reserved),
            Event::Reject => any(&is_reserved) && !any(&is_in_doubt),
            Event::Book => any(&self.is_fresh()) || any(&is_awaited),
            Event::ConfirmUnseen => any(&|owner| is_booked(owner) && !owner.is_seen),
            Event::ConfirmSeen => any(&|owner| is_booked(owner) && owner.is_seen),
            Event::ConfirmLate => any(&|owner| owner.is_order && owner.is_lapsed(now)),
            Event::Unsettle => any(&is_settled),
            Event::FallBelowHeld => any(&Owner::is_open),
            Event::Lapse => any(&|owner| self.may_lapse(owner)),
            _ => true,
        }
    }

    /// Lets it happen.
    pub(super) async fn act(&mut self, event: Event) -> Done {
        match event {
            Event::Ask => Box::pin(self.ask()).await,
            Event::Order => Box::pin(self.order()).await,
            Event::Replay => Box::pin(self.replay()).await,
            Event::OrderTwiceAtOnce => Box::pin(self.order_twice_at_once()).await,
            Event::Change => Box::pin(self.change()).await,
            Event::TwoOrdersAtOnce => Box::pin(self.two_orders_at_once()).await,
            Event::BrowseBesideOrder => Box::pin(self.browse_beside_order()).await,
            Event::Reserve => Box::pin(self.reserve()).await,
            Event::ChangeReservation => Box::pin(self.change_reservation()).await,
            Event::Convert => Box::pin(self.convert()).await,
            Event::GiveUp => Box::pin(self.give_up()).await,
            Event::Reject => Box::pin(self.reject()).await,
            Event::Cancel => Box::pin(self.cancel()).await,
            Event::Book => self.book_some(),
            Event::ConfirmUnseen => Box::pin(self.confirm_booked(false)).await,
            Event::ConfirmSeen => Box::pin(self.confirm_booked(true)).await,
            Event::ConfirmEarly => Box::pin(self.confirm_early()).await,
            Event::ConfirmLate => Box::pin(self.confirm_late()).await,
            Event::Unsettle => Box::pin(self.unsettle()).await,
            Event::ConfirmBesideCancel => Box::pin(self.confirm_beside_cancel()).await,
            Event::ConfirmBesideChange => Box::pin(self.confirm_beside_change()).await,
            Event::ConfirmBesideLive => Box::pin(self.confirm_beside_live()).await,
            Event::Live => Box::pin(self.live()).await,
            Event::Browse => Box::pin(self.browse()).await,
            Event::Snapshot => Box::pin(self.snapshot()).await,
            Event::Arrive => Box::pin(self.arrive()).await,
            Event::FallBelowHeld => Box::pin(self.fall_below_held()).await,
            Event::Lapse => Box::pin(self.lapse()).await,
        }
    }

    /// Settles most of what is open and leaves the rest to its time; one more look.
    pub(super) async fn close(&mut self) -> Done {
        self.note("the end");
        for at in 0..self.owners.len() {
            if is_awaited(&self.owners[at]) {
                self.book(at)?;
            }
            let is_fresh = self.is_fresh()(&self.owners[at]);
            let owner = &self.owners[at];
            if !owner.is_open() {
                continue;
            }
            if !owner.is_order {
                if is_reserved(owner) {
                    Box::pin(self.end(at)).await?;
                }
            } else if owner.booked.is_some() || self.chance.percent(40) {
                Box::pin(self.book_and_confirm(at)).await?;
            } else if is_fresh && self.chance.percent(50) {
                Box::pin(self.end(at)).await?;
            }
        }
        Box::pin(self.browse()).await
    }
}

fn is_reserved(owner: &Owner) -> bool {
    !owner.is_order && owner.is_open() && owner.last().is_some_and(|last| last.is_certain)
}

/// Nobody knows whether it holds.
fn is_in_doubt(owner: &Owner) -> bool {
    owner.phases.iter().any(|phase| !phase.is_certain)
}

/// Confirmed, and the ERP has not booked it.
fn is_awaited(owner: &Owner) -> bool {
    owner.is_order && owner.is_confirmed() && owner.booked.is_none()
}

fn is_settled(owner: &Owner) -> bool {
    owner.is_order && !owner.phases.is_empty() && !owner.is_open()
}

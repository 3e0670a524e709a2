//! What orders and reservations hold, from the check that grants it to the ERP's confirmation.
//!
//! `placing` holds what a check grants, `settling` ends or confirms it, `rejecting` gives reserved
//! stock back by product, `ending` looks after those whose time is over, `superseded` lets go what the
//! stored numbers show, `names` finds the one a request means, `reservation_id` names new ones, `record`
//! is what Redis keeps of an order,
//! `view` what callers see of it.
//! Everything changes by compare-and-swap in Redis, so any replica may take any step.

mod ending;
pub(crate) mod handlers;
pub(crate) mod names;
pub(crate) mod placing;
mod record;
mod rejecting;
mod reservation_id;
mod settling;
mod stored_stamps;
mod superseded;
pub(crate) mod turns;
pub(crate) mod view;

pub(crate) use ending::keep_ending;

use shared::redis_store::HeldSku;
use shared::stock::{AsOf, Hold, HoldOwner};
use std::time::Duration;

/// The record of an order outlives its hold by this, so that a repeated submission is recognised.
const ORDER_KEPT: Duration = Duration::from_hours(24);
/// That of a reservation by this: once it is over nothing can be done with it.
const RESERVATION_KEPT: Duration = Duration::from_mins(10);

/// How long a record is kept that holds stock for so long yet.
fn kept(owner: &HoldOwner, held: Duration) -> Duration {
    held.saturating_add(match owner {
        HoldOwner::Order(_) => ORDER_KEPT,
        HoldOwner::Reservation(_) | HoldOwner::Several(_) => RESERVATION_KEPT,
    })
}

/// The holds of a SKU without those that have ended and those of `owners`; none if they cannot be
/// read.
fn others(held: &HeldSku, owners: &[HoldOwner], now: AsOf) -> Option<Vec<Hold>> {
    let holds = held.holds.as_ref()?;
    let stays = |hold: &&Hold| now < hold.until && !owners.contains(&hold.owner);
    Some(holds.iter().filter(stays).cloned().collect())
}

//! What orders and reservations hold, from the check that grants it to the ERP's confirmation.
//!
//! `place` holds what a check grants, `settle` ends or confirms it, `reject` gives reserved stock back by
//! product: pure rules that `hold_book` carries out. `expire` looks after holds whose time is over. `names` finds the
//! order a request means, `reservation_id` names new ones, `record` is what Redis keeps of an order, `view` what
//! callers see of it. Everything changes by compare-and-swap in Redis, so any replica may take any step.

pub(crate) mod expire;
pub(crate) mod handlers;
pub(crate) mod hold_book;
pub(crate) mod names;
pub(crate) mod place;
mod record;
mod reject;
mod reservation_id;
mod settle;
pub(crate) mod sku_locks;
pub(crate) mod view;

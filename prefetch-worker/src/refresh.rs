//! What is read again between snapshots: SKUs asked for, SKUs named by a request, items named by events.

pub(crate) mod demand;
pub(crate) mod demand_budget;
pub(crate) mod demand_order;
pub(crate) mod demand_passes;
pub(crate) mod events;
pub(crate) mod low_stock;
pub(crate) mod requests;
pub(crate) mod reread;
pub(crate) mod variant_findings;
pub(crate) mod variants;

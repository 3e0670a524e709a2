//! Which tenants a caller may have read, or see the reading of.
//!
//! What is read is the stock of all channels of a tenant, so a caller that is bound to channels may do neither.

use super::refusal::Refusal;
use crate::worker::{TenantFeed, Worker};
use shared::http::auth::Caller;
use shared::stock::WarehouseId;

/// A request that passed no authentication has no caller, and no rights.
pub(crate) fn may_operate(caller: Option<&Caller>, tenant: &str) -> bool {
    caller.is_some_and(|caller| caller.may_ask(tenant, None).is_ok())
}

/// The feeds of the tenants the caller may operate.
pub(crate) fn feeds_of<'a>(worker: &'a Worker, caller: Option<&Caller>) -> Vec<&'a TenantFeed> {
    let feeds = worker.feeds.iter();
    feeds
        .filter(|feed| may_operate(caller, feed.id().as_str()))
        .collect()
}

/// The feed of the tenant that was named, or of the only one the caller may operate. Rights come
/// first: a caller does not learn whether tenants of others exist.
pub(crate) fn feed_of<'a>(
    worker: &'a Worker,
    caller: Option<&Caller>,
    tenant: Option<&str>,
) -> Result<&'a TenantFeed, Refusal> {
    if let Some(id) = tenant {
        if !may_operate(caller, id) {
            return Err(Refusal::NotAllowed);
        }
        let mut feeds = worker.feeds.iter();
        return feeds
            .find(|feed| feed.id().as_str() == id)
            .ok_or(Refusal::UnknownTenant);
    }
    match feeds_of(worker, caller).as_slice() {
        [only] => Ok(only),
        [] => Err(Refusal::NotAllowed),
        _ => Err(Refusal::invalid(
            "$.tenant",
            "several tenants are configured; name one",
        )),
    }
}

pub(crate) fn known_warehouse<'a>(
    feed: &'a TenantFeed,
    id: &str,
    path: &str,
) -> Result<&'a WarehouseId, Refusal> {
    feed.warehouse(id).ok_or_else(|| Refusal::UnknownWarehouse {
        path: path.to_owned(),
    })
}

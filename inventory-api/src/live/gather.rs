//! Cache and D365 asked side by side: everything an EXACT question or an order check decides from.

use super::deadline::Deadline;
use super::failure::LiveFailure;
use super::live_result::{LiveLine, LiveResult};
use super::write_through::WriteThrough;
use crate::http::priority::Priority;
use crate::state::AppState;
use crate::stock::evidence::{self, Evidence};
use crate::tenants::scope::Scope;
use shared::redis_store::{Reading, StoreError};
use shared::stock::{HoldOwner, Sku};

/// What is to be found out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Whose stock, where.
    pub scope: &'a Scope,
    /// Which SKUs.
    pub skus: &'a [Sku],
    /// Whose holds do not count: the asker's own.
    pub own: &'a [HoldOwner],
    /// What it is for.
    pub priority: Priority,
}

/// What was found out.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// SKU by SKU, each with all warehouses: live where D365 answered, cached where it did not.
    pub evidence: Vec<Evidence>,
    /// For each of these whether D365 answered.
    pub is_answered: Vec<bool>,
    /// What the cache holds, under the settings of the tenant; empty if Redis was not reached.
    pub cached: Reading,
    /// Why some of it is not live.
    pub failure: Option<LiveFailure>,
    /// Whether the live answers were stored.
    pub write_through: Option<WriteThrough>,
}

/// Asks D365 and reads the cache at the same time; what D365 says is stored before it counts.
pub(crate) async fn gather(
    state: &AppState,
    read: impl Future<Output = Result<Reading, StoreError>>,
    wanted: Wanted<'_>,
    deadline: &Deadline,
) -> Gathered {
    let Scope {
        tenant, warehouses, ..
    } = wanted.scope;
    let ask = async {
        match &tenant.live {
            Some(live) => {
                let asking = live.ask(wanted.skus, warehouses, deadline, wanted.priority);
                asking.await
            }
            None => LiveResult::all_failed(
                wanted.skus.len() * warehouses.len(),
                LiveFailure::NoCredentials,
            ),
        }
    };
    let (found, reading) = futures_util::join!(ask, deadline.wait_for(read));
    let cached = match reading {
        Some(Ok(reading)) => reading.under(tenant.fingerprint),
        Some(Err(cause)) => {
            tracing::warn!(tenant.id = %tenant.id, %cause, "only D365 can be asked: Redis does not answer");
            Reading::default()
        }
        None => Reading::default(),
    };
    let (now, line_ttl) = (state.clock.now(), state.store.line_ttl());
    let in_cache = evidence::of_reading(&cached, wanted.skus, now, line_ttl);
    let mut evidence: Vec<Evidence> = found
        .lines
        .iter()
        .enumerate()
        .map(|(at, line)| match line {
            LiveLine::Line(line) => Evidence::live(line),
            LiveLine::Unproved => Evidence::NONE,
            LiveLine::Failed => in_cache.get(at).copied().unwrap_or(Evidence::NONE),
        })
        .collect();
    // Judged against the live numbers too: what they show already is not taken twice.
    evidence::hold_back(
        &mut evidence,
        &cached.held,
        warehouses,
        state.clock.now(),
        wanted.own,
    );
    Gathered {
        evidence,
        is_answered: found
            .lines
            .iter()
            .map(|line| *line != LiveLine::Failed)
            .collect(),
        cached,
        failure: found.failure,
        write_through: found.write_through,
    }
}

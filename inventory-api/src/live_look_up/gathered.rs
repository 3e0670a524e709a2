//! Cache and D365 asked side by side: everything an EXACT question or an order check decides from.

use super::findings::{Finding, Findings};
use super::write_through::write_through;
use super::{Deadline, LiveFailure};
use crate::channel_scope::Scope;
use crate::evidence::{self, Evidence};
use crate::reply_parts::WriteThrough;
use crate::state::AppState;
use shared::redis_store::StockReader;
use shared::stock::{Sku, WarehouseSnapshot};
use std::time::Duration;

/// Longest time kept back from D365 for storing its answer.
const LONGEST_WRITE: Duration = Duration::from_millis(150);

/// What is to be learned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Whose stock, where.
    pub scope: &'a Scope,
    /// Which SKUs.
    pub skus: &'a [Sku],
    /// The caller's whole time.
    pub timeout: Duration,
}

/// What was learned.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// SKU by SKU, each with all warehouses: live where D365 answered, cached where it did not.
    pub evidence: Vec<Evidence>,
    /// For each of these whether D365 answered.
    pub is_answered: Vec<bool>,
    /// The feeds' records; empty if Redis was not reached.
    pub snapshots: Vec<WarehouseSnapshot>,
    /// Why some of it is not live.
    pub failure: Option<LiveFailure>,
    /// Whether the live answers were stored.
    pub write_through: Option<WriteThrough>,
}

/// Asks D365 and reads the cache at the same time, then stores what D365 said.
pub(crate) async fn gather(
    state: &AppState,
    reader: &StockReader,
    wanted: Wanted<'_>,
    deadline: &Deadline,
) -> Gathered {
    let Scope {
        tenant, warehouses, ..
    } = wanted.scope;
    let live_deadline = deadline.earlier_by(LONGEST_WRITE.min(wanted.timeout / 10));
    let ask = async {
        match &tenant.live {
            Some(live) => live.ask(wanted.skus, warehouses, &live_deadline).await,
            None => Findings::all_failed(
                wanted.skus.len() * warehouses.len(),
                LiveFailure::NoCredentials,
            ),
        }
    };
    let read = reader.read_many(&tenant.id, warehouses, wanted.skus);
    let (found, reading) = futures_util::join!(ask, read);
    let lines = found.lines(wanted.skus, warehouses);
    let write_through = write_through(&state.store, &tenant.id, &lines, deadline).await;
    let (cached, snapshots) = match reading {
        Ok(reading) => {
            let now = state.clock.now();
            let cached = evidence::of_reading(&reading, now, state.store.line_ttl());
            (cached, reading.snapshots)
        }
        Err(cause) => {
            tracing::warn!(tenant.id = %tenant.id, %cause, "only D365 can be asked: Redis does not answer");
            (Vec::new(), Vec::new())
        }
    };
    let evidence = found
        .findings
        .iter()
        .enumerate()
        .map(|(at, finding)| match finding {
            Finding::Line(line) => Evidence::live(line),
            Finding::Unproved => Evidence::NONE,
            Finding::Failed => cached.get(at).copied().unwrap_or(Evidence::NONE),
        })
        .collect();
    Gathered {
        evidence,
        is_answered: found
            .findings
            .iter()
            .map(|finding| *finding != Finding::Failed)
            .collect(),
        snapshots,
        failure: found.failure,
        write_through,
    }
}

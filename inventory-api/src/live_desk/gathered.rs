//! Cache and D365 asked side by side: everything an EXACT question or an order check decides from.

use super::Answers;
use crate::http::priority::Priority;
use crate::live::failure::LiveFailure;
use crate::live::write_through::WriteThrough;
use crate::live_look_up::{Deadline, Finding};
use crate::state::AppState;
use crate::stock::evidence::{self, Evidence};
use crate::tenants::scope::Scope;
use shared::redis_store::StockReader;
use shared::stock::{FeedStanding, HoldOwner, Sku};

/// What is to be learned.
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

/// What was learned.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// SKU by SKU, each with all warehouses: live where D365 answered, cached where it did not.
    pub evidence: Vec<Evidence>,
    /// For each of these whether D365 answered.
    pub is_answered: Vec<bool>,
    /// The feeds, warehouse by warehouse; empty if Redis was not reached.
    pub feeds: Vec<FeedStanding>,
    /// Why some of it is not live.
    pub failure: Option<LiveFailure>,
    /// Whether the live answers were stored.
    pub write_through: Option<WriteThrough>,
}

/// Asks D365 and reads the cache at the same time; what D365 says is stored before it is told.
pub(crate) async fn gather(
    state: &AppState,
    reader: &StockReader,
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
            None => Answers::all_failed(
                wanted.skus.len() * warehouses.len(),
                LiveFailure::NoCredentials,
            ),
        }
    };
    let read = async {
        let skus = wanted.skus;
        if wanted.own.is_empty() {
            reader.read_many(&tenant.id, warehouses, skus).await
        } else {
            reader.read_each_hold(&tenant.id, warehouses, skus).await
        }
    };
    let read = deadline.wait_for(read);
    let (found, reading) = futures_util::join!(ask, read);
    let (cached, held, feeds) = match reading {
        Some(Ok(reading)) => {
            let reading = reading.under(tenant.fingerprint);
            let now = state.clock.now();
            let cached = evidence::of_reading(&reading, wanted.skus, now, state.store.line_ttl());
            (cached, reading.held, reading.feeds)
        }
        Some(Err(cause)) => {
            tracing::warn!(tenant.id = %tenant.id, %cause, "only D365 can be asked: Redis does not answer");
            (Vec::new(), Vec::new(), Vec::new())
        }
        None => (Vec::new(), Vec::new(), Vec::new()),
    };
    let mut evidence: Vec<Evidence> = found
        .findings
        .iter()
        .enumerate()
        .map(|(at, finding)| match finding {
            Finding::Line(line) => Evidence::live(line),
            Finding::Unproved => Evidence::NONE,
            Finding::Failed => cached.get(at).copied().unwrap_or(Evidence::NONE),
        })
        .collect();
    // Judged against the live numbers too: what they show already is not taken twice.
    evidence::hold_back(
        &mut evidence,
        &held,
        warehouses,
        state.clock.now(),
        wanted.own,
    );
    Gathered {
        evidence,
        is_answered: found
            .findings
            .iter()
            .map(|finding| *finding != Finding::Failed)
            .collect(),
        feeds,
        failure: found.failure,
        write_through: found.write_through,
    }
}

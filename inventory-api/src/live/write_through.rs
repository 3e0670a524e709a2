//! Storing what D365 said, before the reply.

use super::deadline::Deadline;
use crate::metrics;
use serde::Serialize;
use shared::process::clock::Clock;
use shared::redis_store::StockStore;
use shared::stock::{StockLine, TenantId, Verdict};
use std::time::Duration;
use utoipa::ToSchema;

/// `stored`: every live answer is in the cache; `partly`: some were refused because something newer
/// is stored already; `failed`: the cache did not take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WriteThrough {
    Stored,
    Partly,
    Failed,
}

/// Longest wait for Redis to store them.
const LONGEST: Duration = Duration::from_millis(500);

/// Stores lines; none if there are none. A cache that cannot take them does not fail the question:
/// D365's answer stands, and what is left of the time after it is not spent on a Redis that hangs.
///
/// Without the shared clock nothing is stored: the stamps could not be compared with others.
pub(super) async fn write_through(
    store: &StockStore,
    tenant: &TenantId,
    lines: &[StockLine],
    deadline: &Deadline,
) -> Option<WriteThrough> {
    if lines.is_empty() {
        return None;
    }
    let stored = match deadline.left() {
        Some(left) if store.clock().is_shared() => {
            tokio::time::timeout(LONGEST.min(left * 2 / 3), store.apply(tenant, lines)).await
        }
        _ => {
            metrics::write_through_failed(lines.len());
            tracing::warn!(
                tenant.id = %tenant,
                lines = lines.len(),
                "live answers are not stored: no time is left, or Redis' clock was never read"
            );
            return Some(WriteThrough::Failed);
        }
    };
    let problem = match stored {
        Ok(Ok(applied)) if applied.verdicts.contains(&Verdict::RefusedOtherSettings) => {
            "the feed is read with other settings than this service's".to_owned()
        }
        Ok(Ok(applied)) => {
            metrics::written_through(applied.applied(), applied.refused());
            return Some(if applied.refused() == 0 {
                WriteThrough::Stored
            } else {
                WriteThrough::Partly
            });
        }
        Ok(Err(cause)) => cause.to_string(),
        Err(_) => "not in time".to_owned(),
    };
    metrics::write_through_failed(lines.len());
    tracing::warn!(
        tenant.id = %tenant,
        lines = lines.len(),
        cause = problem,
        "live answers could not be stored"
    );
    Some(WriteThrough::Failed)
}

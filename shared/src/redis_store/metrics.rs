//! Series of the store.

use crate::stock::{TenantId, Verdict};
use ::metrics::counter;

/// `store_connections_total`: connections made for reading.
pub(super) fn connected() {
    counter!("store_connections_total").increment(1);
}

/// `store_connections_thrown_away_total`: connections given up because they had gone bad.
pub(super) fn thrown_away() {
    counter!("store_connections_thrown_away_total").increment(1);
}

/// `store_command_failures_total`: commands and scripts that failed.
pub(super) fn command_failed() {
    counter!("store_command_failures_total").increment(1);
}

/// `store_late_calls_total`: scripts that Redis came to after their callers' time; they changed nothing.
pub(super) fn came_late() {
    counter!("store_late_calls_total").increment(1);
}

/// `store_unreadable_lines_total`: stored lines that are not lines.
pub(super) fn unreadable(lines: usize) {
    counter!("store_unreadable_lines_total").increment(lines as u64);
}

/// `store_clock_steps_total`: times Redis' clock jumped by more than a second between two samples.
pub(super) fn clock_stepped() {
    counter!("store_clock_steps_total").increment(1);
}

/// `store_lines_total{tenant, verdict}`: lines offered, by what became of them.
pub(super) fn offered(tenant: &TenantId, verdict: Verdict, lines: usize) {
    let verdict = match verdict {
        Verdict::Applied => "applied",
        Verdict::AppliedOverCorrupt => "applied_over_corrupt",
        Verdict::RefusedOlder => "refused_older",
        Verdict::RefusedFuture => "refused_future",
        Verdict::RefusedOtherSettings => "refused_other_settings",
    };
    if lines > 0 {
        counter!("store_lines_total", "tenant" => tenant.to_string(), "verdict" => verdict)
            .increment(lines as u64);
    }
}

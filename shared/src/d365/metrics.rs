//! The series of D365 calls. Labels come from closed sets: tenant, purpose, outcome.
//!
//! | series | kind | labels | meaning |
//! |---|---|---|---|
//! | `d365_calls_total` | counter | tenant, purpose, outcome | calls, by how they ended |
//! | `d365_call_duration_seconds` | histogram | tenant, purpose | from the free call to the last byte read |
//! | `d365_calls_at_once_limit` | gauge | tenant, purpose | the adaptive limit of calls at once, of all replicas together |
//! | `d365_dropped_rows_total` | counter | tenant, purpose | rows that came back and were not asked for |
//! | `d365_throttle_closures_total` | counter | tenant, purpose | 429 answers that closed the gate |
//! | `d365_token_requests_total` | counter | tenant, purpose, outcome | requests to Entra ID |

use crate::d365::error::D365Error;
use crate::d365::throttle::{CallEnd, CallRight, Purpose};
use crate::process::clock::Clock;
use crate::stock::TenantId;
use std::sync::Arc;
use std::time::Duration;

/// Whose calls are counted.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    tenant: Arc<str>,
    purpose: &'static str,
}

impl Labels {
    /// Labels of one client.
    pub(super) fn new(tenant: &TenantId, purpose: Purpose) -> Self {
        Self {
            tenant: tenant.as_str().into(),
            purpose: purpose.as_str(),
        }
    }

    fn tenant(&self) -> metrics::SharedString {
        Arc::clone(&self.tenant).into()
    }

    /// Counts rows that nobody asked for.
    pub(super) fn count_dropped_rows(&self, rows: u64) {
        metrics::counter!("d365_dropped_rows_total", "tenant" => self.tenant(), "purpose" => self.purpose)
            .increment(rows);
    }

    /// Counts a 429.
    pub(super) fn count_throttle_closure(&self) {
        metrics::counter!("d365_throttle_closures_total", "tenant" => self.tenant(), "purpose" => self.purpose)
            .increment(1);
    }

    /// Counts a request to Entra ID.
    pub(super) fn count_token_request(&self, outcome: &'static str) {
        metrics::counter!("d365_token_requests_total", "tenant" => self.tenant(), "purpose" => self.purpose, "outcome" => outcome)
            .increment(1);
    }

    fn count_call(&self, outcome: &'static str, took: Duration) {
        metrics::counter!("d365_calls_total", "tenant" => self.tenant(), "purpose" => self.purpose, "outcome" => outcome)
            .increment(1);
        metrics::histogram!("d365_call_duration_seconds", "tenant" => self.tenant(), "purpose" => self.purpose)
            .record(took.as_secs_f64());
    }

    fn set_limit(&self, limit: usize) {
        let limit = f64::from(u32::try_from(limit).unwrap_or(u32::MAX));
        metrics::gauge!("d365_calls_at_once_limit", "tenant" => self.tenant(), "purpose" => self.purpose)
            .set(limit);
    }
}

/// A call under way: holds its right until its answer was read, and is counted once however it
/// ends.
#[derive(Debug)]
pub(super) struct Call {
    labels: Labels,
    clock: Arc<dyn Clock>,
    started: Duration,
    right: Option<Box<dyn CallRight>>,
}

impl Call {
    /// Begins a call.
    pub(super) fn begin(labels: Labels, clock: Arc<dyn Clock>, right: Box<dyn CallRight>) -> Self {
        let started = clock.monotonic();
        Self {
            labels,
            clock,
            started,
            right: Some(right),
        }
    }

    /// The answer was read to its end.
    pub(super) fn went_well(mut self) {
        self.give_back(CallEnd::Well);
        self.count("ok");
    }

    /// The call was not made: the gate is closed.
    pub(super) fn was_held_back(mut self) {
        self.give_back(CallEnd::Neither);
        self.count("held-back");
    }

    /// The call failed.
    pub(super) fn failed(mut self, error: &D365Error) {
        let is_overload = matches!(
            error,
            D365Error::Throttled { .. } | D365Error::TimedOut { .. }
        );
        self.give_back(if is_overload {
            CallEnd::Overload
        } else {
            CallEnd::Neither
        });
        self.count(error.outcome());
    }

    fn give_back(&mut self, end: CallEnd) {
        if let Some(right) = self.right.take() {
            self.labels.set_limit(right.end(end));
        }
    }

    fn count(&self, outcome: &'static str) {
        let took = self.clock.monotonic().saturating_sub(self.started);
        self.labels.count_call(outcome, took);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // A counted call has no right any more; the others were given up half way.
        if self.right.take().is_some() {
            self.count("abandoned");
        }
    }
}

//! How often one caller may ask: a bucket per caller that fills steadily and holds a burst.
//!
//! A bucket is one instant: when it will be full again. Each request moves it on by what one request
//! costs; if it lies further ahead than a burst, the request is refused and moves nothing.

use crate::error::ApiError;
use crate::state::AppState;
use actix_web::ResponseError;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use shared::http_edge::caller_key::CallerKey;
use shared::settings::LimitSettings;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Callers that have a bucket of their own; those beyond share one.
const CALLERS: usize = 10_000;

/// The buckets of all callers.
#[derive(Debug)]
pub(crate) struct CallerRates {
    /// What one request costs; nothing if there is no limit.
    cost: Option<Duration>,
    burst: Duration,
    per_second: u32,
    full_at: Mutex<HashMap<CallerKey, Duration>>,
}

/// How long a refused caller should wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOften(Duration);

impl CallerRates {
    /// With these limits.
    pub(crate) fn of(limits: &LimitSettings) -> Self {
        let per_second = limits.requests_per_second_per_caller;
        let cost = Duration::from_secs(1).checked_div(per_second);
        Self {
            cost,
            burst: cost.unwrap_or_default() * limits.burst_per_caller,
            per_second,
            full_at: Mutex::default(),
        }
    }

    /// Takes one request out of a caller's bucket at this reading of the monotonic clock.
    fn take(&self, caller: CallerKey, now: Duration) -> Result<(), TooOften> {
        let Some(cost) = self.cost else {
            return Ok(());
        };
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CALLERS && !buckets.contains_key(&caller) {
            // A full bucket says nothing that a new one would not say.
            buckets.retain(|_, full_at| *full_at > now);
        }
        let caller = if buckets.len() >= CALLERS && !buckets.contains_key(&caller) {
            CallerKey::Nobody
        } else {
            caller
        };
        let full_at = buckets.entry(caller).or_insert(now);
        let next = (*full_at).max(now) + cost;
        let ahead = next.saturating_sub(now);
        if ahead > self.burst {
            return Err(TooOften(ahead.saturating_sub(self.burst)));
        }
        *full_at = next;
        Ok(())
    }
}

/// Middleware (`wrap(from_fn(caller_rate::pass))`), inside of whatever finds out who calls.
pub(crate) async fn pass<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let taken = request
        .app_data::<Data<AppState>>()
        .map_or(Ok(()), |state| {
            let now = state.clock.monotonic();
            let rates = &state.caller_rates;
            rates
                .take(CallerKey::of(&request), now)
                .map_err(|TooOften(wait)| ApiError::TooOften {
                    limit: rates.per_second,
                    wait,
                })
        });
    match taken {
        Ok(()) => next
            .call(request)
            .await
            .map(ServiceResponse::map_into_left_body),
        Err(refused) => Ok(request
            .into_response(refused.error_response())
            .map_into_right_body()),
    }
}

#[cfg(test)]
mod tests;

//! Around every request: counted, timed, and turned away when too many are in work.

use crate::error::ApiError;
use crate::state::AppState;
use crate::{metrics, routes};
use actix_web::ResponseError;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Holds one request's place; gives it back also when the caller goes away and the request is
/// dropped.
struct InWork(Arc<AppState>);

impl InWork {
    /// A place, unless all are taken.
    fn enter(state: &Arc<AppState>) -> Result<Self, ApiError> {
        let limit = state.settings.limits.in_flight;
        let before = state.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(state));
        if before >= limit {
            return Err(ApiError::Overloaded { limit });
        }
        metrics::in_flight(before + 1);
        Ok(place)
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        let before = self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        metrics::in_flight(before.saturating_sub(1));
    }
}

/// Middleware (`wrap(from_fn(request_gate::pass))`).
pub(crate) async fn pass<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let Some(state) = request.app_data::<Data<AppState>>().cloned() else {
        return next
            .call(request)
            .await
            .map(ServiceResponse::map_into_left_body);
    };
    let state = state.into_inner();
    let started = state.clock.monotonic();
    let route = routes::label(request.match_pattern().as_deref());
    let answer = match InWork::enter(&state) {
        Ok(_place) => next
            .call(request)
            .await
            .map(ServiceResponse::map_into_left_body),
        Err(refused) => Ok(request
            .into_response(refused.error_response())
            .map_into_right_body()),
    };
    let status = match &answer {
        Ok(answer) => answer.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let took = state.clock.monotonic().saturating_sub(started);
    metrics::request(route, status.as_u16(), took);
    answer
}

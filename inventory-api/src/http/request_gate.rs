//! Around every request: counted, timed, and turned away when too many are in work, by its priority.

use crate::error::ApiError;
use crate::http::paths;
use crate::http::priority::Priority;
use crate::live_look_up::Arrival;
use crate::metrics;
use crate::state::AppState;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, ResponseError};
use shared::http::route_pattern::route_pattern;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Turns a browse question away that asks for too much at this hour. The gate itself has let it in
/// as a detail: how many products it names is known only once it was read.
pub(crate) fn check_browsing(state: &AppState, skus: usize) -> Result<(), ApiError> {
    let limit = Priority::of_browsing(skus).places_of(state.settings.limits.in_flight);
    if state.in_flight.load(Ordering::Relaxed) > limit {
        return Err(ApiError::Overloaded { limit });
    }
    Ok(())
}

/// Holds one request's place; gives it back also when the caller goes away and the request is
/// dropped.
struct InWork(Arc<AppState>);

impl InWork {
    /// A place, unless all that such a request may use are taken.
    fn enter(state: &Arc<AppState>, priority: Priority) -> Result<Self, ApiError> {
        let limit = priority.places_of(state.settings.limits.in_flight);
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

/// Middleware (`wrap(from_fn(request_gate::measure))`), outermost: notes when a request came, and
/// how it ended.
pub(crate) async fn measure<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let Some(state) = request.app_data::<Data<AppState>>().cloned() else {
        return next.call(request).await;
    };
    let state = state.into_inner();
    let started = state.clock.monotonic();
    let route = paths::label(route_pattern(&request).as_deref());
    request.extensions_mut().insert(Arrival(started));
    request.extensions_mut().insert(Priority::of_route(route));
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(answer) => answer.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let took = state.clock.monotonic().saturating_sub(started);
    metrics::request(route, status.as_u16(), took);
    answer
}

/// Middleware (`wrap(from_fn(request_gate::take_place))`), inside of whatever finds out who calls:
/// lets a request through if there is a place for it.
pub(crate) async fn take_place<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let state = request.app_data::<Data<AppState>>().cloned();
    let priority = request.extensions().get::<Priority>().copied();
    let place = match (state, priority) {
        (Some(state), Some(priority)) => InWork::enter(&state, priority).map(Some),
        _ => Ok(None),
    };
    match place {
        Ok(_place) => next
            .call(request)
            .await
            .map(ServiceResponse::map_into_left_body),
        Err(refused) => Ok(request
            .into_response(refused.error_response())
            .map_into_right_body()),
    }
}

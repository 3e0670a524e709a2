//! How often one caller may ask.

use crate::error::ApiError;
use crate::state::AppState;
use actix_web::ResponseError;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use shared::http::allowance::TooOften;
use shared::http::caller_key::CallerKey;

/// Middleware (`wrap(from_fn(caller_rate::pass))`), inside of whatever finds out who calls.
pub(crate) async fn pass<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let taken = request
        .app_data::<Data<AppState>>()
        .map_or(Ok(()), |state| {
            let now = state.clock.monotonic();
            state
                .requests_allowed
                .take(CallerKey::of(request.request()), now)
                .map_err(|TooOften(wait)| ApiError::TooOften {
                    limit: state.settings.limits.requests_per_second_per_caller,
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

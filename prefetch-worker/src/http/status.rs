//! `GET /v1/status`: how the feeds and the workers are.

use super::refusal::Refusal;
use super::rights::{feeds_of, may_operate};
use crate::ops::status::{Status, status};
use crate::worker::Worker;
use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use shared::http::auth::Caller;
use shared::http::feedback::Feedback;

/// Feeds and workers.
///
/// For each tenant and warehouse: the last complete snapshot, its age, the latest cycle and why it
/// was not complete, who reads it right now, when it is due.
#[utoipa::path(
    get, path = "/inventoryPrefetcher/v1/status", operation_id = "readStatus", tag = "prefetch",
    responses(
        (status = 200, description = "The status.", body = Status),
        (status = 401, description = "No credentials, or credentials that are not accepted.", body = Feedback),
        (status = 403, description = "This caller may not do this.", body = Feedback),
        (status = 429, description = "Too many passwords are being checked.", body = Feedback),
        (status = 503, description = "Redis or the token issuer cannot be reached.", body = Feedback),
    )
)]
pub(crate) async fn read_status(
    request: HttpRequest,
    worker: Data<Worker>,
) -> Result<Json<Status>, Refusal> {
    let caller = Caller::of(&request);
    let feeds = feeds_of(&worker, caller.as_deref());
    let read = status(&worker, &feeds, |id| may_operate(caller.as_deref(), id)).await;
    read.map(Json).map_err(|error| {
        tracing::warn!(%error, "the status could not be read");
        Refusal::CacheUnavailable
    })
}

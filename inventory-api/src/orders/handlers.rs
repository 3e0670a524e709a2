//! Orders, reservations and rejections over HTTP.

use super::place::{Asked, Commit};
use super::reject::reject;
use super::reservation_id;
use super::settle::{Meant, Settlement, settle, view};
use super::view::{OrderView, RejectedLine, RejectionReply};
use crate::availability_check::handler::{Check, answer};
use crate::availability_check::reply::HoldWord;
use crate::availability_check::request::OrderQuestion;
use crate::error::ApiError;
use crate::http::{body, json_reply, paths, query};
use crate::live::deadline::Deadline;
use crate::state::AppState;
use crate::stock::number::Number;
use crate::tenants::directory::Tenant;
use crate::tenants::scope::{AskedScope, rights_of};
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use shared::redis_store::StockReader;
use shared::stock::{HoldId, HoldOwner};
use std::borrow::Cow;
use std::sync::Arc;

/// `GET /inventory/v1/orders/{orderId}`
pub(crate) async fn get_order(
    request: HttpRequest,
    id: Path<String>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    get(&request, order(&id)?, &state).await
}

/// `POST /inventory/v1/orders/{orderId}/confirmed`: the ERP has booked the order.
pub(crate) async fn confirm_order(
    request: HttpRequest,
    id: Path<String>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    // A number read before this instant must not be taken for a later one: our clock may be behind.
    let confirmed = Settlement::Confirmed(state.store.clock().not_before_now());
    end(&request, order(&id)?, confirmed, &state).await
}

/// `DELETE /inventory/v1/orders/{orderId}`: the order was cancelled.
pub(crate) async fn delete_order(
    request: HttpRequest,
    id: Path<String>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    end(&request, order(&id)?, Settlement::Released, &state).await
}

/// `POST /inventory/v1/reservations`
pub(crate) async fn post_reservation(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
    reader: Data<StockReader>,
) -> Result<HttpResponse, ApiError> {
    let body = body::read(&request, payload, &state).await?;
    let question = OrderQuestion::of_body(&body, &state.settings)?;
    let id = match &question.request_id {
        Some(asked) => reservation_id::of_request(asked, question.scope.channel.as_deref()),
        None => reservation_id::new(),
    };
    let id = id.map_err(|problem| ApiError::invalid("$", problem.to_string()))?;
    let owner = HoldOwner::Reservation(id.clone());
    let reserving = reserve(&request, &question, owner, false, &state, &reader);
    let (body, hold) = Box::pin(reserving).await?;
    let mut reply = match hold {
        Some(HoldWord::Held) => HttpResponse::Created(),
        _ => HttpResponse::Ok(),
    };
    if let Some(HoldWord::Held | HoldWord::Repeated) = hold {
        reply.insert_header((LOCATION, format!("{}/{id}", paths::RESERVATIONS)));
    }
    reply.insert_header(("cache-control", "no-store"));
    Ok(json_reply::send(reply, request.headers(), body))
}

/// `PUT /inventory/v1/reservations/{reservationId}`: other lines, or more time.
pub(crate) async fn put_reservation(
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
    state: Data<AppState>,
    reader: Data<StockReader>,
) -> Result<HttpResponse, ApiError> {
    let owner = reservation(&id)?;
    let body = body::read(&request, payload, &state).await?;
    let question = OrderQuestion::of_body(&body, &state.settings)?;
    let reserving = reserve(&request, &question, owner, true, &state, &reader);
    let (body, _) = Box::pin(reserving).await?;
    Ok(json_reply::send(
        HttpResponse::Ok(),
        request.headers(),
        body,
    ))
}

/// `GET /inventory/v1/reservations/{reservationId}`
pub(crate) async fn get_reservation(
    request: HttpRequest,
    id: Path<String>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    get(&request, reservation(&id)?, &state).await
}

/// `DELETE /inventory/v1/reservations/{reservationId}`
pub(crate) async fn delete_reservation(
    request: HttpRequest,
    id: Path<String>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    end(&request, reservation(&id)?, Settlement::Released, &state).await
}

/// `POST /inventory/v1/rejections`
pub(crate) async fn post_rejection(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let body = body::read(&request, payload, &state).await?;
    let question = OrderQuestion::of_body(&body, &state.settings)?;
    let deadline = Deadline::of(&request, &state.clock, question.timeout);
    let limits = &state.settings.limits;
    let may_ask = rights_of(&request)?;
    let scope = question
        .scope
        .resolve(&state.directory(), limits.warehouses, &may_ask)?;
    let asked = Asked {
        scope: &scope,
        skus: question.skus.all(),
        requested: &question.requested,
    };
    let released = reject(&state, asked, &deadline).await?;
    let lines = (question.spellings.all().iter()).zip(question.shares(released));
    let data = lines
        .map(|(sku, share)| RejectedLine {
            sku: sku.to_string(),
            requested: Number(share.requested),
            released: Number(share.given),
        })
        .collect();
    send(&request, &RejectionReply { data })
}

async fn reserve(
    request: &HttpRequest,
    question: &OrderQuestion<'_>,
    owner: HoldOwner,
    must_exist: bool,
    state: &AppState,
    reader: &StockReader,
) -> Result<(Vec<u8>, Option<HoldWord>), ApiError> {
    let commit = Commit {
        owner,
        reservation: None,
        time: question.reservation_time,
        must_exist,
    };
    let check = Check {
        request,
        question,
        own: std::slice::from_ref(&commit.owner),
        commit: Some(&commit),
    };
    answer(check, state, reader).await
}

async fn get(
    request: &HttpRequest,
    owner: HoldOwner,
    state: &AppState,
) -> Result<HttpResponse, ApiError> {
    let (tenant, channel) = tenant_of(request, state)?;
    let deadline = Deadline::of(request, &state.clock, state.settings.live.default_deadline);
    let meant = Meant {
        tenant: &tenant.id,
        owner: &owner,
        channel: channel.as_deref(),
    };
    send(request, &view(state, meant, &deadline).await?)
}

async fn end(
    request: &HttpRequest,
    owner: HoldOwner,
    settlement: Settlement,
    state: &AppState,
) -> Result<HttpResponse, ApiError> {
    let (tenant, channel) = tenant_of(request, state)?;
    let deadline = Deadline::of(request, &state.clock, state.settings.live.default_deadline);
    let meant = Meant {
        tenant: &tenant.id,
        owner: &owner,
        channel: channel.as_deref(),
    };
    let view: OrderView = settle(state, meant, settlement, &deadline).await?;
    send(request, &view)
}

fn send(request: &HttpRequest, reply: &impl serde::Serialize) -> Result<HttpResponse, ApiError> {
    let body = json_reply::written(reply, 512)?;
    Ok(json_reply::send(
        HttpResponse::Ok(),
        request.headers(),
        body,
    ))
}

fn order(id: &str) -> Result<HoldOwner, ApiError> {
    parsed(id, "orderId").map(HoldOwner::Order)
}

fn reservation(id: &str) -> Result<HoldOwner, ApiError> {
    parsed(id, "reservationId").map(HoldOwner::Reservation)
}

fn parsed(id: &str, path: &str) -> Result<HoldId, ApiError> {
    HoldId::parse(id).map_err(|problem| ApiError::invalid(path, problem.to_string()))
}

/// The tenant of a request without a body, and its channel: `organization` or `channel`, unless
/// there is only one organization.
fn tenant_of(
    request: &HttpRequest,
    state: &AppState,
) -> Result<(Arc<Tenant>, Option<String>), ApiError> {
    let mut scope = AskedScope::of_query();
    for pair in query::pairs(request.query_string()) {
        let (name, value) = pair?;
        scope.take(&name, value)?;
    }
    let tenant = scope.resolve_tenant(&state.directory(), &rights_of(request)?)?;
    let channel = scope.channel.map(Cow::into_owned);
    Ok((tenant, channel))
}

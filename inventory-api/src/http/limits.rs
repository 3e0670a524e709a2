//! The limits, as served and as enforced. `GET /inventory/v1/limits`

use crate::availability_check::request::LARGEST_QUANTITY;
use crate::error::ApiError;
use crate::http::admission::{self, LARGE_BODIES, LINES, SLOW_BODIES};
use crate::http::body::MOST_DEPTH;
use crate::http::json_reply;
use crate::http::question_fields::{
    LONGEST_MAX_AGE_SECONDS, SHORTEST_TIMEOUT_MS, address_skus, body_skus, whole_ms,
};
use crate::state::AppState;
use crate::stock::number::Number;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use shared::http::auth;
use shared::settings::ApiSettings;
use shared::stock::Sku;
use utoipa::ToSchema;

/// What one request may ask for. Refused requests name the limit by these names.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ServiceLimits {
    /// SKUs in one request, repeated ones counted.
    #[schema(minimum = 1, example = 1000)]
    pub skus: usize,
    /// SKUs in one GET: an address has less room than a body.
    #[schema(minimum = 1, example = 32)]
    pub skus_in_address: usize,
    /// Distinct SKUs in one EXACT request or order check.
    #[schema(minimum = 1, example = 200)]
    pub live_skus: usize,
    /// Warehouses in one request.
    #[schema(minimum = 1, example = 20)]
    pub warehouses: usize,
    /// Characters of a SKU.
    #[schema(minimum = 1, example = 256)]
    pub sku_characters: usize,
    /// Bytes of a request's body.
    #[schema(minimum = 1, example = 1_048_576)]
    pub body_bytes: usize,
    /// Bytes beyond which a body is a large one.
    #[schema(minimum = 1, example = 65_536)]
    pub large_body_bytes: usize,
    /// Large bodies in work at once; more wait as long as a body may take, then they are
    /// refused with 429.
    #[schema(minimum = 1, example = 4)]
    pub large_bodies: u32,
    /// And of one caller.
    #[schema(minimum = 1, example = 2)]
    pub large_bodies_per_caller: u32,
    /// Large bodies of one caller that may wait; more are refused with 429.
    #[schema(minimum = 1, example = 8)]
    pub large_bodies_waiting_per_caller: usize,
    /// Bodies of one caller that may take longer than a quarter of a second to arrive; more are refused with
    /// 429.
    #[schema(minimum = 1, example = 64)]
    pub slow_bodies_per_caller: u32,
    /// Lines, SKUs times warehouses, beyond which a reply is a large one.
    #[schema(minimum = 1, example = 230)]
    pub large_reply_lines: usize,
    /// Lines of large replies in work or unread; more wait as long as their question may take, then they are
    /// refused with 429.
    #[schema(minimum = 1, example = 50_000)]
    pub lines: u32,
    /// And of one caller.
    #[schema(minimum = 1, example = 40_000)]
    pub lines_per_caller: u32,
    /// How deep a body's JSON may be nested.
    #[schema(minimum = 1, example = 32)]
    pub json_depth: usize,
    /// Time a request's headers may take to arrive.
    #[schema(minimum = 1000, example = 5000)]
    pub header_timeout_ms: u64,
    /// Time a request's body may take to arrive.
    #[schema(minimum = 1, example = 5000)]
    pub body_timeout_ms: u64,
    /// How long a connection nobody uses stays open.
    #[schema(minimum = 1000, example = 75000)]
    pub keep_alive_ms: u64,
    /// Open connections of each of the service's threads; more wait until one ends.
    #[schema(minimum = 1, example = 5000)]
    pub connections: usize,
    /// Open connections of one address; more are closed as they come. 0 is no limit.
    #[schema(minimum = 0, example = 1000)]
    pub connections_per_address: usize,
    /// Open connections without a request in work; beyond them the longest quiet ones of the address that
    /// has most are closed. 0 is no limit.
    #[schema(minimum = 0, example = 400)]
    pub quiet_connections: usize,
    /// Requests a second of one caller, in the long run; 0 does not limit them.
    #[schema(minimum = 0, example = 1000)]
    pub requests_per_second_per_caller: u32,
    /// Requests one caller may send at once after a rest.
    #[schema(minimum = 0, example = 2000)]
    pub burst_per_caller: u32,
    /// Wrong passwords a second of one address, in the long run; more are refused with 429 unchecked.
    #[schema(minimum = 1, example = 2)]
    pub wrong_passwords_per_second: u32,
    /// Wrong passwords one address may show at once after a rest.
    #[schema(minimum = 1, example = 60)]
    pub wrong_passwords_at_once: u32,
    /// Characters of a bearer token.
    #[schema(minimum = 1, example = 8192)]
    pub token_characters: usize,
    /// Requests in work at once; more are refused with 429.
    #[schema(minimum = 1, example = 512)]
    pub requests_in_flight: usize,
    /// Smallest quantity of one line of an order.
    #[schema(value_type = f64, minimum = 0, example = 0.001)]
    pub smallest_quantity: Number,
    /// Largest quantity of one line of an order.
    #[schema(minimum = 1, example = 1_000_000_000)]
    pub quantity: i64,
    /// Largest `maxAgeSeconds`.
    #[schema(minimum = 1, example = 31_536_000)]
    pub max_age_seconds: u64,
    /// Smallest `timeoutMs`.
    #[schema(minimum = 1, example = 200)]
    pub shortest_timeout_ms: u64,
    /// The time a live question gets that names none.
    #[schema(minimum = 1, example = 2500)]
    pub default_timeout_ms: u64,
    /// Largest `timeoutMs`.
    #[schema(minimum = 1, example = 5000)]
    pub longest_timeout_ms: u64,
    /// Largest `ttlSeconds` of a reservation.
    #[schema(minimum = 1, example = 3600)]
    pub longest_reservation_seconds: u64,
    /// Orders and reservations of one channel that may hold stock of one SKU at once.
    #[schema(minimum = 1, example = 2000)]
    pub holds_per_sku: usize,
    /// Reservations among them.
    #[schema(minimum = 1, example = 1000)]
    pub reservations_per_sku: usize,
}

impl ServiceLimits {
    /// The limits by configuration.
    pub(crate) fn of(settings: &ApiSettings) -> Self {
        let limits = &settings.limits;
        Self {
            skus: body_skus(limits),
            skus_in_address: address_skus(limits),
            live_skus: limits.live_skus,
            warehouses: limits.warehouses,
            sku_characters: Sku::MAX_CHARS,
            body_bytes: limits.body_bytes,
            large_body_bytes: admission::LARGE_BODY,
            large_bodies: LARGE_BODIES.all,
            large_bodies_per_caller: LARGE_BODIES.of_one_caller,
            large_bodies_waiting_per_caller: LARGE_BODIES.waiting,
            slow_bodies_per_caller: SLOW_BODIES.of_one_caller,
            large_reply_lines: admission::LARGE_LINES,
            lines: LINES.all,
            lines_per_caller: LINES.of_one_caller,
            json_depth: MOST_DEPTH,
            header_timeout_ms: whole_ms(limits.header_timeout),
            body_timeout_ms: whole_ms(limits.body_timeout),
            keep_alive_ms: whole_ms(limits.keep_alive),
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            quiet_connections: limits.quiet_connections,
            requests_per_second_per_caller: limits.requests_per_second_per_caller,
            burst_per_caller: limits.burst_per_caller(),
            wrong_passwords_per_second: auth::WRONG_PER_SECOND,
            wrong_passwords_at_once: auth::WRONG_AT_ONCE,
            token_characters: auth::LONGEST_TOKEN,
            requests_in_flight: limits.in_flight,
            smallest_quantity: Number(settings.orders.smallest_quantity),
            quantity: LARGEST_QUANTITY,
            max_age_seconds: LONGEST_MAX_AGE_SECONDS,
            shortest_timeout_ms: SHORTEST_TIMEOUT_MS,
            default_timeout_ms: whole_ms(settings.live.default_deadline),
            longest_timeout_ms: whole_ms(settings.live.longest_deadline),
            longest_reservation_seconds: settings.orders.longest_reservation.as_secs().max(1),
            holds_per_sku: settings.orders.holds_per_sku,
            reservations_per_sku: settings.orders.reservations_per_sku,
        }
    }
}

/// `GET /inventory/v1/limits`
pub(crate) async fn get(
    request: HttpRequest,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let body = json_reply::written(&ServiceLimits::of(&state.settings), 512)?;
    let mut reply = HttpResponse::Ok();
    reply.insert_header((CACHE_CONTROL, HeaderValue::from_static("max-age=60")));
    Ok(json_reply::send(reply, request.headers(), body))
}

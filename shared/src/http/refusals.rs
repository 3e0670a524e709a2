//! HTTP status and stable code of what both services refuse.

use actix_web::http::StatusCode;

/// A status and the code beside it.
pub type StatusAndCode = (StatusCode, &'static str);

/// The body is not the JSON that was expected.
pub const MALFORMED: StatusAndCode = (StatusCode::BAD_REQUEST, "inventory.request.malformed.error");
/// A value outside its rules.
pub const INVALID: StatusAndCode = (
    StatusCode::UNPROCESSABLE_ENTITY,
    "inventory.request.invalid.error",
);
/// More than a limit allows.
pub const TOO_LARGE: StatusAndCode = (
    StatusCode::PAYLOAD_TOO_LARGE,
    "inventory.request.too_large.error",
);
/// Not plain JSON.
pub const UNSUPPORTED_MEDIA_TYPE: StatusAndCode = (
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "inventory.media_type.unsupported.error",
);
/// The body did not arrive in time.
pub const BODY_TOO_SLOW: StatusAndCode = (
    StatusCode::REQUEST_TIMEOUT,
    "inventory.request.timeout.error",
);
/// No credentials, or none that are accepted.
pub const NOT_AUTHENTICATED: StatusAndCode =
    (StatusCode::UNAUTHORIZED, "inventory.authentication.error");
/// The caller's rights do not reach that far.
pub const NOT_ALLOWED: StatusAndCode = (StatusCode::FORBIDDEN, "inventory.authorization.error");
/// No such tenant.
pub const ORGANIZATION_NOT_FOUND: StatusAndCode = (
    StatusCode::NOT_FOUND,
    "inventory.organization.not_found.error",
);
/// The tenant has no such warehouse.
pub const WAREHOUSE_NOT_FOUND: StatusAndCode =
    (StatusCode::NOT_FOUND, "inventory.warehouse.not_found.error");
/// No such path.
pub const ROUTE_NOT_FOUND: StatusAndCode =
    (StatusCode::NOT_FOUND, "inventory.route.not_found.error");
/// The path has other methods.
pub const METHOD_NOT_ALLOWED: StatusAndCode = (
    StatusCode::METHOD_NOT_ALLOWED,
    "inventory.method.not_allowed.error",
);
/// Too much at once.
pub const THROTTLED: StatusAndCode = (StatusCode::TOO_MANY_REQUESTS, "inventory.throttled.error");
/// Redis does not answer.
pub const CACHE_UNAVAILABLE: StatusAndCode = (
    StatusCode::SERVICE_UNAVAILABLE,
    "inventory.cache.unavailable.error",
);

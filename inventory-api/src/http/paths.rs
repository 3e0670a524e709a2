//! The only place with paths.

pub(crate) const INVENTORIES: &str = "/inventory/v1/inventories";
pub(crate) const AVAILABILITY_CHECKS: &str = "/inventory/v1/availability-checks";
pub(crate) const ORDER: &str = "/inventory/v1/orders/{orderId}";
/// The ERP's confirmation of an order.
pub(crate) const ORDER_CONFIRMED: &str = "/inventory/v1/orders/{orderId}/confirmed";
pub(crate) const RESERVATIONS: &str = "/inventory/v1/reservations";
pub(crate) const RESERVATION: &str = "/inventory/v1/reservations/{reservationId}";
/// Giving reserved stock back.
pub(crate) const REJECTIONS: &str = "/inventory/v1/rejections";
/// What the cache would have got wrong.
pub(crate) const DRIFT: &str = "/inventory/v1/drift";
pub(crate) const LIMITS: &str = "/inventory/v1/limits";
/// The OpenAPI document, or its page.
pub(crate) const API: &str = "/inventory/api";
/// The page's own files.
pub(crate) const API_PAGE: &str = "/inventory/api/page/{file}";

/// The label of a path in metrics: a route's pattern, or one word for everything else.
pub(crate) fn label(pattern: Option<&str>) -> &'static str {
    let routes = [
        INVENTORIES,
        AVAILABILITY_CHECKS,
        ORDER,
        ORDER_CONFIRMED,
        RESERVATIONS,
        RESERVATION,
        REJECTIONS,
        DRIFT,
        LIMITS,
        API,
        API_PAGE,
    ];
    routes
        .into_iter()
        .find(|route| pattern == Some(route))
        .unwrap_or("other")
}

//! Which route a request will take, known before the router is asked.

use actix_web::dev::ServiceRequest;

/// The pattern of the route this request will take; none if there is no such path.
///
/// A request's own answer goes by the path as it was sent, while the router goes
/// by the decoded one: `/order%73` would pass as no route at all and then reach `/orders`.
pub fn route_pattern(request: &ServiceRequest) -> Option<String> {
    let path = request.match_info().unprocessed();
    request.resource_map().match_pattern(path)
}

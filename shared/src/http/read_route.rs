//! Routes that only read, and what their paths can do.

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, HttpResponse, Route, guard, web};

/// A route for GET, and for HEAD: the same reply without its body.
pub fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// The answer to OPTIONS; none for another method.
pub fn options(request: &HttpRequest, allowed: &'static str) -> Option<HttpResponse> {
    let is_asked = *request.method() == Method::OPTIONS;
    is_asked.then(|| {
        let mut reply = HttpResponse::NoContent();
        reply.insert_header((ALLOW, allowed)).finish()
    })
}

//! Requests a browser makes for somebody else's page.
//!
//! A browser sends the credentials it knows with whatever a page has it send. So nothing that could change
//! a state is taken from another site, or as a form. Where nobody has to sign in, a page may also call its
//! own name our address ("DNS rebinding"): there the name in `Host` must be one of ours.

use super::feedback::{Feedback, Problem};
use crate::settings::AuthSettings;
use actix_web::HttpResponse;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::uri::Authority;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use std::net::{IpAddr, SocketAddr};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What a form can send; programs that mean JSON say so.
const FORMS: [&str; 3] = [
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
];

/// The names a listener on loopback answers to where nobody has to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHosts {
    port: u16,
    more: Vec<String>,
}

impl AllowedHosts {
    /// Of this listener, and `more` as they are written in `Host`. None if others can reach it: they call
    /// it what they like.
    pub fn of(listener: SocketAddr, more: &[String]) -> Option<Self> {
        listener.ip().to_canonical().is_loopback().then(|| Self {
            port: listener.port(),
            more: more.to_vec(),
        })
    }

    /// As [`AllowedHosts::of`], where nobody has to sign in; none elsewhere.
    pub fn where_open(settings: &AuthSettings, listener: SocketAddr) -> Option<Self> {
        let is_open = settings.insecure_no_authentication;
        let hosts = is_open.then(|| Self::of(listener, &settings.allowed_hosts));
        hosts.flatten()
    }

    fn include(&self, host: &str) -> bool {
        if self.more.iter().any(|name| name.eq_ignore_ascii_case(host)) {
            return true;
        }
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = name.eq_ignore_ascii_case("localhost")
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical().is_loopback());
        let has_user = host.contains('@');
        is_loopback && !has_user && authority.port_u16().is_none_or(|port| port == self.port)
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Host,
    OtherSite,
    Form,
}

impl Refused {
    fn problem(self) -> (StatusCode, Problem) {
        let (status, code, message) = match self {
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "inventory.request.host.error",
                "The Host header names another server; api.auth.allowed_hosts lists further names.",
            ),
            Self::OtherSite => (
                StatusCode::FORBIDDEN,
                "inventory.request.cross_site.error",
                "A browser sent this for a page of another site; nothing was done.",
            ),
            Self::Form => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "inventory.media_type.unsupported.error",
                "Forms and plain text are not taken; send application/json, or no body and no type.",
            ),
        };
        (status, Problem::new(status, code, message))
    }
}

/// Middleware (`wrap(from_fn(cross_site::refuse))`), outside of whatever finds out who calls. [`AllowedHosts`],
/// optional, are among the app's data. Every reply says that it is of the type it names.
pub async fn refuse<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let allowed = request.app_data::<Data<Option<AllowedHosts>>>();
    let target = request.uri().authority().map(Authority::as_str);
    let judged = judge(
        request.method(),
        request.headers(),
        target,
        allowed.and_then(|allowed| allowed.as_ref().as_ref()),
    );
    let mut reply = match judged {
        Ok(()) => next.call(request).await?.map_into_left_body(),
        Err(refused) => {
            let (status, problem) = refused.problem();
            let reply = HttpResponse::build(status)
                .insert_header((CACHE_CONTROL, "no-store"))
                .json(Feedback::from(problem));
            request.into_response(reply).map_into_right_body()
        }
    };
    let nosniff = HeaderValue::from_static("nosniff");
    reply.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    Ok(reply)
}

/// PURE: whether a request is taken. `target`: the host in the request line, if one is there.
fn judge(
    method: &Method,
    headers: &HeaderMap,
    target: Option<&str>,
    allowed: Option<&AllowedHosts>,
) -> Result<(), Refused> {
    let host = text(headers, &HOST);
    if let Some(allowed) = allowed
        && ![host, target]
            .into_iter()
            .flatten()
            .all(|host| allowed.include(host))
    {
        return Err(Refused::Host);
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let is_own = match (text(headers, &FETCH_SITE), text(headers, &ORIGIN)) {
        // A page cannot set this header.
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let named = origin.split_once("://").map(|(_, named)| named);
            named.is_some_and(|named| host.is_some_and(|host| host.eq_ignore_ascii_case(named)))
        }
        (None, None) => true,
    };
    if !is_own {
        return Err(Refused::OtherSite);
    }
    let kind = text(headers, &CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if FORMS.iter().any(|form| form.eq_ignore_ascii_case(kind)) {
        return Err(Refused::Form);
    }
    Ok(())
}

/// A header's value; one that is no text is none of those that are known.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let value = headers.get(name)?;
    Some(value.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests;

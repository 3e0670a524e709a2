//! The worker's own HTTP API: its paths, and what stands before them.

use super::refusal::{BODY_LIMIT, Refusal};
use super::{events, openapi, refreshes, status};
use crate::error::WorkerError;
use crate::refresh::events::Hints;
use crate::refresh::requests::Refreshes;
use crate::worker::Worker;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, JsonConfig, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse, ResponseError};
use shared::http::auth::guard::{self, Access, AuthGuard};
use shared::http::connections::{self, ConnectionLimits, Connections};
use shared::http::cross_site::{self, AllowedHosts};
use shared::http::read_route::{get, options};
use shared::http::serving::Serving;
use shared::http::tls::ServedCertificate;
use shared::http::{closing, request_id};
use shared::settings::{AuthSettings, RoleName};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

const ROOT: &str = "/inventoryPrefetcher";
/// Open connections: operators, and senders of events of several addresses.
pub(crate) const CONNECTIONS: usize = 1024;
pub(crate) const LIMITS: ConnectionLimits = ConnectionLimits {
    per_address: 128,
    quiet: 256,
    keep_alive: Duration::from_secs(5),
    header_timeout: Duration::from_secs(5),
};

pub(crate) struct Parts<'s> {
    pub(crate) auth: &'s AuthSettings,
    pub(crate) worker: Worker,
    pub(crate) refreshes: Refreshes,
    pub(crate) hints: Hints,
    pub(crate) auth_guard: AuthGuard,
    /// [`Connections::watch`] must be running.
    pub(crate) connections: Arc<Connections>,
}

pub(crate) fn serve(
    listener: TcpListener,
    parts: Parts<'_>,
    certificate: Option<&Arc<ServedCertificate>>,
) -> Result<Server, WorkerError> {
    let shutdown = Data::new(parts.worker.shutdown.clone());
    let worker = Data::new(parts.worker);
    let auth_guard = Data::new(parts.auth_guard);
    let hints = Data::new(parts.hints);
    let refreshes = Data::new(parts.refreshes);
    let hosts = AllowedHosts::where_open(parts.auth, listener.local_addr()?);
    let hosts = Data::new(hosts);
    let app = move || {
        App::new()
            .app_data(worker.clone())
            .app_data(refreshes.clone())
            .app_data(hints.clone())
            .app_data(auth_guard.clone())
            .app_data(shutdown.clone())
            .app_data(hosts.clone())
            .configure(configure)
            .wrap(from_fn(guard::pass))
            .wrap(from_fn(cross_site::refuse))
            .wrap(from_fn(request_id::echo))
            .wrap(from_fn(closing::close_when_stopping))
            .wrap(from_fn(connections::note_request))
    };
    let serving = Serving {
        connections: parts.connections,
        most_connections: CONNECTIONS,
        threads: 1,
        answers_half_closed: true,
        stop_within: Duration::from_secs(2),
        certificate: certificate.cloned(),
    };
    Ok(serving.serve(listener, app)?)
}

fn configure(service: &mut ServiceConfig) {
    let json = JsonConfig::default()
        .limit(BODY_LIMIT)
        .content_type_required(true)
        .error_handler(|error, _| Refusal::of_json(&error).into());
    let reads = |path: &str| {
        let others = web::to(async |request| other_method(&request, "GET, HEAD"));
        web::resource(format!("{ROOT}{path}")).default_service(others)
    };
    let takes = |path: &str| {
        let others = web::to(async |request| other_method(&request, "POST"));
        web::resource(format!("{ROOT}{path}")).default_service(others)
    };
    service
        .app_data(json)
        .service(reads("/v1/status").route(get().to(status::read_status)))
        .service(takes("/v1/refreshes").post(refreshes::ask_refresh))
        .service(takes("/v1/events").post(events::take_events))
        .service(reads("/api").route(get().to(openapi::read_document)))
        .service(reads("/api/page/{file:.*}").route(get().to(openapi::read_page_file)))
        .default_service(web::to(async || Refusal::RouteNotFound.error_response()));
}

/// What a path asks of its caller. One that is not named here is for operators.
pub(crate) fn access(pattern: Option<&str>) -> Access {
    match pattern.and_then(|pattern| pattern.strip_prefix(ROOT)) {
        // Senders of events show a key of their own.
        Some("/v1/events") => Access::OwnKey,
        Some(path) if path.starts_with("/api") => Access::Caller,
        Some(_) => Access::Role(RoleName::Operate),
        None => Access::Caller,
    }
}

fn other_method(request: &HttpRequest, allowed: &'static str) -> HttpResponse {
    let refused = || Refusal::MethodNotAllowed { allowed }.error_response();
    options(request, allowed).unwrap_or_else(refused)
}

#[cfg(test)]
#[path = "routes_tests.rs"]
mod tests;

//! What is served beside the control API: both token endpoints, `/data`, and 404 for the rest.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::delivery::{Encoding, deliver};
use crate::entra::{self, Directory, Endpoint, TokenRequest};
use crate::faults::{Action, Call, Kind, refuse, spoil_answer};
use crate::odata::errors::ODataError;
use crate::odata::service::{self, DataRequest, delay_before};
use crate::simulator::Simulator;

/// What the routes share.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) scheme: &'static str,
}

/// Adds the routes.
pub(crate) fn routes(routes: &mut web::ServiceConfig) {
    routes
        .route("/{tenant}/oauth2/token", web::post().to(token_v1))
        .route("/{tenant}/oauth2/v2.0/token", web::post().to(token_v2))
        .default_service(web::route().to(data));
}

async fn token_v1(
    request: HttpRequest,
    tenant: web::Path<String>,
    body: web::Bytes,
    served: web::Data<Served>,
) -> HttpResponse {
    token(&request, &tenant, &body, &served, Endpoint::V1).await
}

async fn token_v2(
    request: HttpRequest,
    tenant: web::Path<String>,
    body: web::Bytes,
    served: web::Data<Served>,
) -> HttpResponse {
    token(&request, &tenant, &body, &served, Endpoint::V2).await
}

async fn token(
    request: &HttpRequest,
    tenant: &str,
    body: &web::Bytes,
    served: &Served,
    endpoint: Endpoint,
) -> HttpResponse {
    let simulator = &served.simulator;
    let record = simulator.open_record("POST", request.path(), request.query_string());
    let origin = origin(request, served);
    let asked = TokenRequest {
        endpoint,
        tenant,
        origin: &origin,
        content_type: header(request, &CONTENT_TYPE),
        body,
    };
    let call = Call {
        kind: Kind::Token,
        warehouses: Vec::new(),
        app: entra::client_id(&asked),
    };
    record.classify(&call);
    let faults = simulator.firing(&call);
    record.note_faults(&faults);
    delay_before(&faults).await;
    let revoked = faults
        .iter()
        .any(|fault| fault.action == Action::Unauthorized);
    let refused = if revoked {
        Some(entra::revoked(call.app.as_deref(), simulator.now()))
    } else {
        refuse(&faults, simulator.now())
    };
    let answer = refused.unwrap_or_else(|| {
        let config = simulator.config();
        let resources = [&config.audiences[..], &config.foreign_audiences].concat();
        let life = faults.iter().rev().find_map(|fault| match fault.action {
            Action::ShortToken { seconds } => Some(seconds),
            _ => None,
        });
        let directory = Directory {
            tenant: &config.entra_tenant,
            apps: &config.apps,
            resources: &resources,
            mint: simulator.mint(),
            now: simulator.now(),
            life: life.unwrap_or(config.token_life_seconds),
        };
        let mut answer = entra::answer(&directory, &asked);
        spoil_answer(&faults, &mut answer);
        answer
    });
    deliver(answer, record, Encoding::Plain, simulator.stopping()).await
}

/// Everything else: `/data`, and 404 for the rest.
async fn data(request: HttpRequest, served: web::Data<Served>) -> HttpResponse {
    let simulator = &served.simulator;
    let path = request.uri().path().to_owned();
    let query = request.query_string().to_owned();
    let mut record = simulator.open_record(request.method().as_str(), &path, &query);
    let origin = origin(&request, &served);
    if !is_under_data(&path) {
        let answer = ODataError::NotFound(format!("{origin}{path}")).answer();
        return deliver(answer, record, Encoding::Plain, simulator.stopping()).await;
    }
    let token = header(&request, &AUTHORIZATION)
        .strip_prefix("Bearer ")
        .map(str::to_owned);
    let answer = if request.method() == Method::GET {
        let asked = DataRequest {
            origin,
            path,
            query,
            token,
        };
        service::answer(simulator, asked, &mut record).await
    } else {
        ODataError::MethodNotAllowed.answer()
    };
    let takes_gzip = header(&request, &ACCEPT_ENCODING).contains("gzip");
    let encoding = if takes_gzip && simulator.switches().gzip {
        Encoding::Gzip
    } else {
        Encoding::Plain
    };
    deliver(answer, record, encoding, simulator.stopping()).await
}

/// Whether a path belongs to the environment; its first segment may be written in any case.
fn is_under_data(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next();
    first.is_some_and(|first| first.eq_ignore_ascii_case("data"))
}

fn header<'a>(request: &'a HttpRequest, name: &HeaderName) -> &'a str {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Scheme, host and port as the caller knows them.
fn origin(request: &HttpRequest, served: &Served) -> String {
    let host = request
        .uri()
        .authority()
        .map_or_else(|| header(request, &HOST).to_owned(), ToString::to_string);
    format!("{}://{host}", served.scheme)
}

use super::*;
use crate::http::auth::passwords::hash_password;
use crate::process::clock::{Clock, ManualClock};
use crate::settings::{AuthSettings, BasicUserSettings, Secret};
use crate::stock::AsOf;
use actix_web::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::SocketAddr;
use std::time::Duration;

fn access(pattern: Option<&str>) -> Access {
    match pattern {
        Some("/own") => Access::OwnKey,
        Some("/order") => Access::Role(RoleName::Order),
        _ => Access::Caller,
    }
}

fn guard(settings: &AuthSettings, clock: &Arc<ManualClock>) -> AuthGuard {
    let clock: Arc<dyn Clock> = clock.clone();
    let authenticator = Authenticator::new(settings, &clock).unwrap();
    AuthGuard::new(Arc::new(authenticator), access)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(AsOf::EPOCH))
}

fn one_user() -> AuthSettings {
    let hash = hash_password(&Secret::new("correct horse")).unwrap();
    AuthSettings {
        basic: vec![BasicUserSettings {
            name: "icm".to_owned(),
            password_hash: Some(Secret::new(hash)),
            password_hash_file: None,
            roles: vec![RoleName::Browse],
            channels: None,
            tenants: None,
        }],
        ..AuthSettings::default()
    }
}

async fn who(request: HttpRequest) -> HttpResponse {
    let caller = Caller::of(&request).map_or("nobody".to_owned(), |caller| caller.id().to_owned());
    HttpResponse::Ok().body(caller)
}

#[derive(Debug, PartialEq)]
struct Reply {
    status: u16,
    /// The caller, or the code.
    says: String,
    challenges: usize,
    come_again: Option<String>,
}

async fn ask_from(
    address: &str,
    guard: Option<&AuthGuard>,
    path: &str,
    credentials: &[&str],
) -> Reply {
    let app = App::new().wrap(from_fn(pass));
    let app = match guard {
        Some(guard) => app.app_data(Data::new(guard.clone())),
        None => app,
    };
    let app = ["/own", "/order", "/any"]
        .into_iter()
        .fold(app, |app, path| app.route(path, web::get().to(who)));
    let app = init_service(app).await;
    let peer = SocketAddr::new(address.parse().unwrap(), 1);
    let mut request = TestRequest::get().uri(path).peer_addr(peer);
    for shown in credentials {
        request = request.append_header((AUTHORIZATION, *shown));
    }
    let reply = call_service(&app, request.to_request()).await;
    let come_again = reply.headers().get(RETRY_AFTER);
    let come_again = come_again.map(|seconds| seconds.to_str().unwrap().to_owned());
    let (status, challenges) = (
        reply.status().as_u16(),
        reply.headers().get_all(WWW_AUTHENTICATE).count(),
    );
    let body = read_body(reply).await;
    let code = serde_json::from_slice::<serde_json::Value>(&body)
        .map(|body| body["errors"][0]["code"].as_str().unwrap().to_owned());
    Reply {
        status,
        says: code.unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned()),
        challenges,
        come_again,
    }
}

async fn ask(guard: &AuthGuard, path: &str, credentials: &[&str]) -> (u16, String, usize) {
    let reply = ask_from("10.0.0.1", Some(guard), path, credentials).await;
    (reply.status, reply.says, reply.challenges)
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

#[actix_web::test]
async fn known_callers_are_let_in_by_their_roles_and_others_are_told_what_is_taken() {
    let guard = guard(&one_user(), &clock());
    let (right, wrong) = (basic("icm:correct horse"), basic("icm:wrong horse!!"));
    let (lower, unknown) = (right.replace("Basic", "basic"), basic("icn:correct horse"));
    let long = format!("Basic {}", "A".repeat(10_000));
    let (right, wrong) = (right.as_str(), wrong.as_str());
    let (missing, role) = (
        "inventory.authentication.error",
        "inventory.authorization.error",
    );
    for (path, credentials, expected) in [
        ("/any", &[right][..], (200, "basic:icm", 0)),
        ("/any", &[right], (200, "basic:icm", 0)),
        ("/any", &[&lower], (200, "basic:icm", 0)),
        ("/own", &[], (200, "nobody", 0)),
        ("/order", &[right], (403, role, 0)),
        ("/%6frder", &[right], (403, role, 0)),
        ("/orde%72", &[right], (403, role, 0)),
        ("/order", &[], (401, missing, 1)),
        // Only known callers learn what exists.
        ("/nowhere", &[], (401, missing, 1)),
        ("/any", &[], (401, missing, 1)),
        ("/any", &[wrong], (401, missing, 1)),
        ("/any", &[&unknown], (401, missing, 1)),
        ("/any", &["Basic"], (401, missing, 1)),
        ("/any", &["Basic !!!"], (401, missing, 1)),
        ("/any", &[""], (401, missing, 1)),
        ("/any", &["Bearer x.y.z"], (401, missing, 1)),
        ("/any", &["Negotiate AAAA"], (401, missing, 1)),
        ("/any", &[&long], (401, missing, 1)),
        ("/any", &[right, right], (401, missing, 1)),
        ("/any", &[right, wrong], (401, missing, 1)),
        ("/any", &[&right[6..]], (401, missing, 1)),
    ] {
        let (status, says, challenges) = ask(&guard, path, credentials).await;
        let reply = (status, says.as_str(), challenges);
        assert_eq!(reply, expected, "{path} {credentials:.40?}");
    }
}

#[actix_web::test]
async fn without_authentication_everybody_is_let_in_and_without_a_guard_nobody() {
    let open = AuthSettings {
        insecure_no_authentication: true,
        ..AuthSettings::default()
    };
    let reply = ask(&guard(&open, &clock()), "/order", &[]).await;
    assert_eq!(reply, (200, "everybody".to_owned(), 0));
    assert_eq!(ask_from("10.0.0.1", None, "/any", &[]).await.status, 401);
}

#[actix_web::test]
async fn an_address_that_guesses_is_made_to_wait_and_known_callers_are_not() {
    let clock = clock();
    let guard = guard(&one_user(), &clock);
    let from = async |address, credentials: &str| {
        let reply = ask_from(address, Some(&guard), "/any", &[credentials]).await;
        (reply.status, reply.come_again.is_some())
    };
    let (right, wrong) = (basic("icm:correct horse"), basic("icm:wrong horse!!"));
    // In another spelling it is the same password, and not remembered.
    let fresh = right.replace("Basic", "BASIC");
    assert_eq!(from("10.0.0.1", &right).await, (200, false));
    for _ in 0..60 {
        assert_eq!(from("10.0.0.1", &wrong).await, (401, false));
    }
    for (address, credentials, expected) in [
        ("10.0.0.1", &wrong, (429, true)),
        ("10.0.0.1", &fresh, (429, true)),
        ("10.0.0.1", &right, (200, false)),
        ("10.0.0.2", &wrong, (401, false)),
    ] {
        assert_eq!(from(address, credentials).await, expected, "{address}");
    }
    clock.advance(Duration::from_millis(500));
    assert_eq!(from("10.0.0.1", &fresh).await, (200, false));
    // A right one took nothing.
    assert_eq!(from("10.0.0.1", &wrong).await, (401, false));
    assert_eq!(from("10.0.0.1", &wrong).await, (429, true));
}

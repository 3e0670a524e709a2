use super::super::hash_password;
use super::*;
use crate::process::clock::{Clock, ManualClock, SystemClock};
use crate::settings::{AuthSettings, BasicUserSettings, Secret};
use crate::stock::AsOf;
use actix_web::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::SocketAddr;
use std::time::Duration;

fn need(pattern: Option<&str>) -> Need {
    match pattern {
        Some("/own") => Need::OwnDoor,
        Some("/order") => Need::Role(RoleName::Order),
        _ => Need::Caller,
    }
}

fn door(settings: &AuthSettings) -> Door {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    door_at(settings, &clock)
}

fn door_at(settings: &AuthSettings, clock: &Arc<dyn Clock>) -> Door {
    let authenticator = Authenticator::new(settings, clock).unwrap();
    Door::new(Arc::new(authenticator), need)
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

/// Status, code or caller, and what the reply says is taken.
async fn ask(door: Option<Door>, path: &str, credentials: &[&str]) -> (u16, String, usize) {
    let (status, told, challenges, _) = ask_from("10.0.0.1", door, path, credentials).await;
    (status, told, challenges)
}

/// The same from another address, and when the reply says to come again.
async fn ask_from(
    address: &str,
    door: Option<Door>,
    path: &str,
    credentials: &[&str],
) -> (u16, String, usize, Option<u64>) {
    let app = App::new().wrap(from_fn(pass));
    let app = match door {
        Some(door) => app.app_data(Data::new(door)),
        None => app,
    };
    let app = app
        .route("/own", web::get().to(who))
        .route("/order", web::get().to(who))
        .route("/any", web::get().to(who));
    let app = init_service(app).await;
    let peer = SocketAddr::new(address.parse().unwrap(), 1);
    let mut request = TestRequest::get().uri(path).peer_addr(peer);
    for shown in credentials {
        request = request.append_header((AUTHORIZATION, *shown));
    }
    let reply = call_service(&app, request.to_request()).await;
    let status = reply.status().as_u16();
    let challenges = reply.headers().get_all(WWW_AUTHENTICATE).count();
    let again = reply.headers().get(RETRY_AFTER).cloned();
    let again = again.map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    let body = actix_web::test::read_body(reply).await;
    let told = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|body| Some(body["errors"][0]["code"].as_str()?.to_owned()));
    let told = told.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    (status, told, challenges, again)
}

fn shown(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

#[actix_web::test]
async fn a_known_caller_is_let_in_and_named() {
    let door = door(&one_user());
    let right = shown("icm:correct horse");
    let lower = right.replace("Basic", "basic");
    for credentials in [&right, &right, &lower] {
        let told = ask(Some(door.clone()), "/any", &[credentials]).await;
        assert_eq!(told, (200, "basic:icm".to_owned(), 0));
    }
}

#[actix_web::test]
async fn everybody_else_is_told_what_is_taken() {
    let door = door(&one_user());
    let (right, wrong) = (shown("icm:correct horse"), shown("icm:wrong horse!!"));
    let unknown = shown("icn:correct horse");
    let long = format!("Basic {}", "A".repeat(10_000));
    let [right, wrong, unknown, long] = [&right, &wrong, &unknown, &long].map(String::as_str);
    for credentials in [
        &[][..],
        &[wrong],
        &[unknown],
        &["Basic"],
        &["Basic "],
        &["Basic !!!"],
        &[""],
        &["Bearer x.y.z"],
        &["Negotiate AAAA"],
        &[long],
        &[right, right],
        &[right, wrong],
        &[&right[6..]],
    ] {
        let (status, code, challenges) = ask(Some(door.clone()), "/any", credentials).await;
        assert_eq!(
            (status, code.as_str(), challenges),
            (401, "inventory.authentication.error", 1),
            "{credentials:?}"
        );
    }
}

#[actix_web::test]
async fn a_role_that_is_missing_is_another_matter_than_a_caller_that_is() {
    let door = door(&one_user());
    let right = shown("icm:correct horse");
    let told = ask(Some(door.clone()), "/order", &[&right]).await;
    assert_eq!(told, (403, "inventory.authorization.error".to_owned(), 0));
    let told = ask(Some(door.clone()), "/order", &[]).await;
    assert_eq!(told.0, 401);
    for disguised in ["/%6frder", "/orde%72", "/%6F%72%64%65%72"] {
        let told = ask(Some(door.clone()), disguised, &[&right]).await;
        assert_eq!(told.0, 403, "{disguised}");
    }
    let told = ask(Some(door), "/nowhere", &[]).await;
    assert_eq!(told.0, 401, "what exists is told to known callers only");
}

#[actix_web::test]
async fn a_route_with_a_door_of_its_own_is_passed_without_a_caller() {
    let told = ask(Some(door(&one_user())), "/own", &[]).await;
    assert_eq!(told, (200, "nobody".to_owned(), 0));
}

#[actix_web::test]
async fn an_open_door_lets_everybody_in_and_a_forgotten_one_nobody() {
    let open = AuthSettings {
        insecure_no_authentication: true,
        ..AuthSettings::default()
    };
    let told = ask(Some(door(&open)), "/order", &[]).await;
    assert_eq!(told, (200, "everybody".to_owned(), 0));
    assert_eq!(ask(None, "/any", &[]).await.0, 401);
}

#[actix_web::test]
async fn an_address_that_guesses_is_made_to_wait_and_known_callers_are_not() {
    let clock = Arc::new(ManualClock::at(AsOf::EPOCH));
    let telling: Arc<dyn Clock> = clock.clone();
    let door = door_at(&one_user(), &telling);
    let from = async |address, credentials: &str| {
        let (status, _, _, again) =
            ask_from(address, Some(door.clone()), "/any", &[credentials]).await;
        (status, again)
    };
    let (right, wrong) = (shown("icm:correct horse"), shown("icm:wrong horse!!"));
    // In another spelling it is the same password, and not remembered.
    let fresh = right.replace("Basic", "BASIC");
    assert_eq!(from("10.0.0.1", &right).await, (200, None));
    for _ in 0..60 {
        assert_eq!(from("10.0.0.1", &wrong).await, (401, None));
    }
    assert_eq!(from("10.0.0.1", &wrong).await, (429, Some(1)));
    assert_eq!(from("10.0.0.1", &fresh).await, (429, Some(1)));
    assert_eq!(from("10.0.0.1", &right).await, (200, None), "remembered");
    assert_eq!(
        from("10.0.0.2", &wrong).await,
        (401, None),
        "another address"
    );
    clock.advance(Duration::from_millis(500));
    assert_eq!(from("10.0.0.1", &fresh).await, (200, None));
    // A right one took nothing.
    assert_eq!(from("10.0.0.1", &wrong).await, (401, None));
    assert_eq!(from("10.0.0.1", &wrong).await, (429, Some(1)));
}

use crate::erp::{Erp, world_of};
use d365_simulator::{Action, AppRegistration, Config, FaultSpec, Kind, Secret};
use futures_util::future::join_all;
use shared::d365::{D365Client, D365Error, OnHandSource, Purpose};
use shared::process::clock::{Clock, ManualClock, SystemClock};
use std::sync::Arc;
use std::time::Duration;

fn small_world() -> Config {
    world_of(10)
}

fn with_app(change: impl FnOnce(&mut AppRegistration)) -> Config {
    let mut app = AppRegistration::with_secret(Config::CLIENT_ID, Config::CLIENT_SECRET);
    app.client_secret = None;
    change(&mut app);
    Config {
        apps: vec![app],
        ..small_world()
    }
}

/// A client whose clock is moved by the test, with its clock.
fn timed(config: Config) -> (Erp, D365Client, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(SystemClock::default().now()));
    let erp = Erp::with(config).with_clock(clock.clone());
    let client = erp.client(Purpose::Prefetch);
    (erp, client, clock)
}

async fn token_requests(erp: &Erp, count: usize) {
    erp.wait_for(Kind::Token, count).await;
    assert_eq!(erp.asked(Kind::Token).len(), count);
}

#[tokio::test]
async fn either_endpoint_or_a_whole_address_gives_a_token_that_d365_takes() {
    for (version, is_whole) in [("v1", false), ("v2", false), ("v1", true)] {
        let mut erp = Erp::with(small_world());
        erp.entra = format!("token_endpoint_version = \"{version}\"");
        if is_whole {
            let (host, directory) = (erp.host(), Config::ENTRA_TENANT);
            let url = format!("\ntoken_url = \"http://{host}/{directory}/oauth2/token\"");
            erp.entra.push_str(&url);
        }
        erp.client(Purpose::Live).warehouses().await.unwrap();
        let address = &erp.asked(Kind::Token)[0].address;
        assert_eq!(address.contains("v2.0"), version == "v2", "{address}");
    }
}

#[tokio::test]
async fn a_certificate_signs_in_with_either_algorithm() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new())
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.pem");
    std::fs::write(&file, certificate.pem() + &key.serialize_pem()).unwrap();
    for algorithm in ["PS256", "RS256"] {
        let pem = certificate.pem();
        let mut erp = Erp::with(with_app(|app| app.certificates = vec![pem]));
        erp.credential =
            format!("client_certificate_file = {file:?}\nassertion_algorithm = \"{algorithm}\"");
        erp.client(Purpose::Live).warehouses().await.unwrap();
    }
}

#[tokio::test]
async fn a_rotated_federated_token_is_picked_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let config = with_app(|app| {
        app.federated_tokens = vec![Secret::new("first.token.x"), Secret::new("second.token.x")];
    });
    let clock = Arc::new(ManualClock::at(SystemClock::default().now()));
    let mut erp = Erp::with(config).with_clock(clock.clone());
    erp.credential = format!("federated_token_file = {file:?}");
    let client = erp.client(Purpose::Live);
    std::fs::write(&file, "first.token.x\n").unwrap();
    client.warehouses().await.unwrap();
    clock.advance(Duration::from_hours(2));
    std::fs::write(&file, "second.token.x").unwrap();
    client.warehouses().await.unwrap();
    clock.advance(Duration::from_hours(2));
    std::fs::write(&file, "revoked").unwrap();
    let error = client.warehouses().await.unwrap_err();
    assert!(matches!(error, D365Error::Token { .. }));
    assert!(!error.to_string().contains("revoked"));
}

#[tokio::test]
async fn calls_of_one_moment_share_one_token_request() {
    let erp = Erp::with(small_world());
    let client = erp.client(Purpose::Live);
    let calls = join_all((0..30).map(|_| client.warehouses())).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(erp.asked(Kind::Token).len(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_early_while_the_old_one_serves() {
    let (erp, client, clock) = timed(small_world());
    client.warehouses().await.unwrap();
    clock.advance(Duration::from_secs(2_870));
    client.warehouses().await.unwrap();
    assert_eq!(
        erp.asked(Kind::Token).len(),
        1,
        "80 % of 3599 s are not over"
    );

    // The renewal gets no answer; nobody waits for it.
    erp.break_all(Kind::Token, Action::BlackHole);
    clock.advance(Duration::from_secs(20));
    let calls = join_all((0..5).map(|_| client.warehouses()));
    let calls = tokio::time::timeout(Duration::from_secs(5), calls)
        .await
        .unwrap();
    assert!(calls.iter().all(Result::is_ok));
    token_requests(&erp, 2).await;
    erp.simulator().clear_faults();
}

#[tokio::test]
async fn a_failing_renewal_is_tried_at_most_twice_a_minute_and_the_old_token_serves() {
    let (erp, client, clock) = timed(small_world());
    client.warehouses().await.unwrap();
    erp.break_all(Kind::Token, Action::ServerError);
    clock.advance(Duration::from_mins(50));
    for _ in 0..120 {
        client.warehouses().await.unwrap();
        // Lets a renewal that has just begun come to its end before the clock moves on.
        while erp.simulator().counters().in_flight > 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(1));
    }
    let tries = erp.asked(Kind::Token).len() - 1;
    assert!((3..=5).contains(&tries), "{tries} in two minutes");

    clock.advance(Duration::from_mins(10));
    let error = client.warehouses().await.unwrap_err();
    let D365Error::Token {
        is_configuration, ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(!is_configuration);

    erp.simulator().clear_faults();
    clock.advance(Duration::from_secs(61));
    client.warehouses().await.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_not_hammered() {
    let clock = Arc::new(ManualClock::at(SystemClock::default().now()));
    let mut erp = Erp::with(small_world()).with_clock(clock.clone());
    erp.credential = "client_secret = \"canary-secret\"".to_owned();
    let client = erp.client(Purpose::Prefetch);
    for _ in 0..20 {
        let error = client.warehouses().await.unwrap_err();
        assert!(!error.may_be_tried_again());
        let said = format!("{error} {error:?} {client:?}");
        assert!(said.contains("AADSTS7000215"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
    assert_eq!(erp.asked(Kind::Token).len(), 1);
    clock.advance(Duration::from_secs(31));
    client.warehouses().await.unwrap_err();
    client.warehouses().await.unwrap_err();
    assert_eq!(erp.asked(Kind::Token).len(), 2);
}

#[tokio::test]
async fn a_token_d365_refuses_is_replaced_once_unless_it_is_new() {
    let (erp, client, clock) = timed(small_world());
    client.warehouses().await.unwrap();
    let refused = || FaultSpec::on(Kind::Warehouses, Action::Unauthorized).times(1);
    erp.simulator().add_fault(refused());
    let error = client.warehouses().await.unwrap_err();
    assert!(error.to_string().contains("Entra applications"), "{error}");
    assert_eq!(erp.asked(Kind::Token).len(), 1, "a new token is not better");

    clock.advance(Duration::from_mins(1));
    erp.simulator().add_fault(refused());
    client.warehouses().await.unwrap();
    assert_eq!(erp.asked(Kind::Token).len(), 2);

    clock.advance(Duration::from_mins(1));
    erp.break_all(Kind::Warehouses, Action::Unauthorized);
    let before = erp.asked(Kind::Warehouses).len();
    client.warehouses().await.unwrap_err();
    assert_eq!(erp.asked(Kind::Warehouses).len(), before + 2);
}

#[tokio::test]
async fn a_short_lived_token_is_not_renewed_with_every_call() {
    let (erp, client, clock) = timed(Config {
        token_life_seconds: 100,
        ..small_world()
    });
    for _ in 0..79 {
        client.warehouses().await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(erp.asked(Kind::Token).len(), 1);
    clock.advance(Duration::from_secs(2));
    client.warehouses().await.unwrap();
    token_requests(&erp, 2).await;
}

#[tokio::test]
async fn a_token_endpoint_that_redirects_is_not_followed() {
    let (erp, elsewhere) = (Erp::with(small_world()), Erp::with(small_world()));
    let location = format!("http://127.0.0.1:{}/", elsewhere.port());
    erp.break_all(Kind::Token, Action::Redirect { location });
    let error = erp.client(Purpose::Live).warehouses().await.unwrap_err();
    assert!(error.to_string().contains("302"), "{error}");
    assert_eq!(elsewhere.simulator().counters().requests, 0);
}

//! Who gets in.

use d365_simulator::{
    Action, AppRegistration, Config, FaultSpec, Kind, LoadModel, Priority, Switches, TlsFiles,
};
use serde_json::Value;

use crate::client::{Client, warehouse_page};

#[tokio::test]
async fn data_wants_a_token_for_this_environment() {
    let mut client = Client::start(Config::default()).await;
    assert_eq!(client.get("/data/").await.status(), 200);
    let good = client.token.clone();
    let foreign = client
        .ask_token("https://other.operations.dynamics.com")
        .await;
    assert_eq!(foreign.status(), 200);
    let foreign: Value = foreign.json().await.unwrap();
    let half = good[..good.len() - 4].to_owned();
    for token in [
        foreign["access_token"].as_str().unwrap(),
        "",
        "x",
        half.as_str(),
    ] {
        client.token = token.to_owned();
        let answer = client.get("/data/").await;
        assert_eq!(answer.status(), 401, "{token}");
        assert!(answer.headers().contains_key("p3p"));
    }
    let bare = client
        .http
        .get(format!("{}/data/", client.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(bare.status(), 401);
}

#[tokio::test]
async fn an_unknown_environment_gets_no_token() {
    let client = Client::start(Config::default()).await;
    let answer = client
        .ask_token("https://unknown.operations.dynamics.com")
        .await;
    assert_eq!(answer.status(), 400);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "invalid_resource");
}

#[tokio::test]
async fn a_slash_behind_the_audience_is_forgiven_unless_strict() {
    let mut client = Client::start(Config::default()).await;
    let body: Value = client
        .ask_token(&format!("{}/", client.url()))
        .await
        .json()
        .await
        .unwrap();
    client.token = body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(client.get("/data/").await.status(), 200);
    client.handle.simulator().set_switches(Switches {
        strict_audience: true,
        ..Switches::default()
    });
    assert_eq!(client.get("/data/").await.status(), 401);
}

#[tokio::test]
async fn an_app_that_d365_does_not_list_gets_a_token_and_401() {
    let app = AppRegistration {
        listed_in_d365: false,
        ..AppRegistration::with_secret(Config::CLIENT_ID, Config::CLIENT_SECRET)
    };
    let client = Client::start(Config {
        apps: vec![app],
        ..Config::default()
    })
    .await;
    assert_eq!(client.get("/data/").await.status(), 401);
}

#[tokio::test]
async fn tokens_run_out() {
    let client = Client::start(Config {
        token_life_seconds: 1,
        ..Config::default()
    })
    .await;
    let simulator = client.handle.simulator();
    let issued = simulator.now().unix_millis();
    // A life in whole seconds from a started one: over after two at the latest.
    while simulator.now().unix_millis() < issued + 2000 {
        if client.get("/data/").await.status() == 401 {
            return;
        }
    }
    panic!("a token of one second is still good after two");
}

#[tokio::test]
async fn a_fault_shortens_the_next_token() {
    let client = Client::start(Config::default()).await;
    let fault = FaultSpec::on(Kind::Token, Action::ShortToken { seconds: 60 }).times(1);
    client.handle.simulator().add_fault(fault);
    for expected in [60, 3599] {
        let body: Value = client.ask_token(&client.url()).await.json().await.unwrap();
        assert_eq!(body["expires_in"], expected);
    }
}

#[tokio::test]
async fn low_priority_is_throttled_first() {
    let app = AppRegistration::with_secret(Config::CLIENT_ID, Config::CLIENT_SECRET);
    let load = LoadModel {
        capacity: 100,
        background_level: 80,
        low_from: 50,
        medium_from: 90,
        high_from: 100,
        retry_after: 9,
        ..LoadModel::default()
    };
    for (priority, status) in [
        (Priority::Low, 429),
        (Priority::Medium, 200),
        (Priority::High, 200),
    ] {
        let apps = vec![app.clone().priority(priority)];
        let client = Client::start(Config {
            apps,
            load,
            ..Config::default()
        })
        .await;
        let answer = client.get(&warehouse_page("11")).await;
        assert_eq!(answer.status(), status, "{priority:?}");
        if status == 429 {
            assert_eq!(answer.headers()["retry-after"], "9");
            assert_eq!(client.handle.simulator().load_report().refused, 1);
        }
    }
}

#[tokio::test]
async fn https_is_served_with_a_certificate() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
            .unwrap()
            .self_signed(&pair)
            .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificates: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&files.certificates, certificate.pem()).unwrap();
    std::fs::write(&files.key, pair.serialize_pem()).unwrap();
    let handle = d365_simulator::start(Config {
        tls: Some(files),
        ..Config::default()
    })
    .unwrap();
    assert!(handle.url().starts_with("https://"));
    let root = reqwest::Certificate::from_pem(certificate.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only([root])
        .build()
        .unwrap();
    let answer = http
        .get(format!("{}/data/", handle.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    handle.stop().await;
}

//! The built program, without Redis and without D365.

use std::process::{Command, Output};

fn worker(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_prefetch-worker"))
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program was built with this test")
}

fn with_config(config: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("connector.toml");
    std::fs::write(&path, config).expect("a file");
    let path = path.to_str().expect("a path of this test's own");
    worker(&[arguments, &["--config", path]].concat())
}

const TENANT: &str = r#"
[api.auth]
insecure_no_authentication = true
[[tenants]]
id = "contoso"
environment_url = "https://contoso.operations.dynamics.com"
legal_entity = "usmf"
warehouses = ["24"]
[tenants.entra]
tenant_id = "directory"
client_id = "app"
client_secret = "c4n4ry"
"#;

#[test]
fn check_shows_the_effective_settings_and_no_secret() {
    let shown = with_config(TENANT, &["--check"]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{text}");
    assert!(
        text.contains("client_secret = \"***\"") && text.contains("line_ttl"),
        "{text}"
    );
    assert!(!text.contains("c4n4ry"), "{text}");
}

#[test]
fn a_worker_without_a_tenant_says_what_it_needs() {
    let ended = worker(&["run"]);
    assert_eq!(ended.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("[[tenants]]"));
}

#[test]
fn a_redis_that_is_away_is_named_and_is_no_mistake_of_the_settings() {
    // Nobody listens on port 1.
    let url = ["--redis-url", "redis://127.0.0.1:1"];
    for command in [vec!["once"], vec!["explain", "D0001"]] {
        let ended = with_config(TENANT, &[command, url.to_vec()].concat());
        let message = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{message}");
        assert!(message.contains("Redis"), "{message}");
    }
    let report = with_config(TENANT, &[&["check"], url.as_slice()].concat());
    let text = String::from_utf8_lossy(&report.stdout);
    assert!(
        text.contains("BAD      redis") && text.contains("redis.url"),
        "{text}"
    );
    assert_eq!(report.status.code(), Some(1));
}

#[test]
fn the_document_is_printed_as_json() {
    let printed = worker(&["openapi"]);
    assert!(printed.status.success());
    let document: serde_json::Value =
        serde_json::from_slice(&printed.stdout).expect("the document is JSON");
    assert_eq!(document["openapi"], "3.1.0");
}

//! Mistakes in the configuration stop the start with one message that names the key.

use crate::house::{House, world};
use integration_tests::binaries::Program;
use std::process::{Command, Output};

fn start(program: Program, config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.toml");
    std::fs::write(&path, config).unwrap();
    Command::new(program.path().unwrap())
        .arg("--config")
        .arg(&path)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_ends_the_start_with_one_message_that_names_the_key() {
    let house = House::with(world(10), &["24"]).await;
    let good = house.config.to_toml().unwrap();
    let tenants = good.find("[[tenants]]").unwrap();
    let url = format!("environment_url = \"{}\"", house.d365.url());
    assert!(good.contains(&url));
    let cases: Vec<(&str, String, &str)> = vec![
        (
            "unknown key",
            good.replace("legal_entity", "legal_entty"),
            "legal_entty",
        ),
        (
            "missing secret",
            good.replace("client_secret", "# client_secret"),
            "client_secret",
        ),
        (
            "bad URL",
            good.replace(&url, "environment_url = \"what?\""),
            "environment_url",
        ),
        (
            "two tenants with one id",
            format!("{good}\n{}", &good[tenants..]),
            "tenants[1].id",
        ),
        (
            "http to the world",
            good.replace(
                &url,
                "environment_url = \"http://contoso.operations.dynamics.com\"",
            ),
            "environment_url",
        ),
        ("not TOML", "[[tenants".to_owned(), "connector.toml"),
    ];
    for program in [Program::PrefetchWorker, Program::InventoryApi] {
        for (name, config, key) in &cases {
            let ended = start(program, config);
            let message = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(78), "{program} {name}: {message}");
            assert_eq!(
                message.trim().lines().count(),
                1,
                "{program} {name}: {message}"
            );
            assert!(message.contains(key), "{program} {name}: {message}");
            assert!(
                !message.contains(d365_simulator::Config::CLIENT_SECRET),
                "{message}"
            );
        }
    }
}

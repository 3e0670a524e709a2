//! Mistakes in the configuration stop the start with one message that names the key.

use integration_tests::binaries::Program;
use integration_tests::connector_config::ConnectorConfig;
use integration_tests::test_bed::Failure;
use std::process::Command;

#[test]
fn a_mistake_ends_the_start_with_one_message_that_names_the_key() -> Result<(), Failure> {
    let d365 = "http://127.0.0.1:1";
    let warehouses = vec!["24".to_owned()];
    let good = ConnectorConfig::new("redis://127.0.0.1:1", d365, warehouses).to_toml()?;
    let url = format!("environment_url = \"{d365}\"");
    let url_is = |url_now: &str| good.replace(&url, &format!("environment_url = \"{url_now}\""));
    let tenants = good.find("[[tenants]]").ok_or("no tenants")?;
    let cases = [
        (good.replace("legal_entity", "legal_entty"), "legal_entty"),
        (
            good.replace("client_secret", "# client_secret"),
            "client_secret",
        ),
        (url_is("what?"), "environment_url"),
        (
            url_is("http://contoso.operations.dynamics.com"),
            "environment_url",
        ),
        (format!("{good}\n{}", &good[tenants..]), "tenants[1].id"),
        ("[[tenants".to_owned(), "connector.toml"),
    ];
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("connector.toml");
    for program in [Program::PrefetchWorker, Program::InventoryApi] {
        for (config, key) in &cases {
            std::fs::write(&path, config)?;
            let mut command = Command::new(program.path()?);
            let ended = command.arg("--config").arg(&path).output()?;
            let message = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(78), "{program} {key}: {message}");
            assert_eq!(message.trim().lines().count(), 1, "{program}: {message}");
            assert!(message.contains(key), "{program} {key}: {message}");
            let secret = d365_simulator::Config::CLIENT_SECRET;
            assert!(!message.contains(secret), "{message}");
        }
    }
    Ok(())
}

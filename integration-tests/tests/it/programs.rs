//! The built programs start on free ports, answer their probes, and end kindly with a clean log.

use integration_tests::binaries::{Launch, Program, Simulator, SimulatorFlags};
use integration_tests::connector_config::ConnectorConfig;
use integration_tests::eventually::eventually;
use integration_tests::redis_fixture::RedisFixture;

#[tokio::test]
async fn the_programs_start_on_free_ports_become_ready_and_end_kindly() {
    let redis = RedisFixture::start().await.unwrap();
    let mut d365 = Simulator::start(SimulatorFlags {
        port: 0,
        items: 20,
        warehouses: 1,
    })
    .await
    .unwrap();
    let config = ConnectorConfig::new(&redis.url(), d365.url(), vec!["11".to_owned()]);
    let config = config.write().unwrap();
    for program in [Program::PrefetchWorker, Program::InventoryApi] {
        let launch = Launch::new(program, config.path()).unwrap();
        let mut service = launch.start().await.unwrap();
        assert_ne!(service.url(), service.management_url());
        let probe = format!("{}/health/ready", service.management_url());
        eventually(&format!("{program} to be ready"), || async {
            let reply = reqwest::get(&probe).await.ok()?;
            reply.status().is_success().then_some(())
        })
        .await
        .unwrap();
        service.stop().await.unwrap();
        service.assert_log_clean(&[]).unwrap();
    }
    d365.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_setting_ends_a_program_and_is_quoted() {
    let mut config = ConnectorConfig::new(
        "redis://127.0.0.1:1",
        "http://127.0.0.1:1",
        vec!["11".to_owned()],
    );
    config.more = "[api]\nlistn = \"127.0.0.1:0\"\n".to_owned();
    let config = config.write().unwrap();
    for program in [Program::PrefetchWorker, Program::InventoryApi] {
        let launch = Launch::new(program, config.path()).unwrap();
        let refused = launch.start().await.unwrap_err().to_string();
        assert!(refused.contains("listn"), "{refused}");
    }
}

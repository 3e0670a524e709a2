//! What benchmarks of full size begin with.

use d365_simulator::{Config, WorldConfig};
use integration_tests::connector_config::ConnectorConfig;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::test_bed::{Failure, TestBed};

/// Calls at once after a while of good ones, where live look-ups share the registration.
const LEARNED: &str = "12";

/// A private Redis beside a D365 with so many items; the connector reads so many of its warehouses at most.
pub(crate) async fn bed(
    items: usize,
    warehouses: usize,
    d365: Config,
    configure: impl FnOnce(&mut ConnectorConfig),
) -> Result<TestBed, Failure> {
    let world = WorldConfig {
        items,
        warehouses,
        ..WorldConfig::default()
    };
    let d365 = Config {
        world: Some(world),
        ..d365
    };
    let redis = RedisFixture::start_process().await?;
    let mut bed = TestBed::on(redis, d365, &[], |_| {})?;
    let selling = selling_warehouses(&bed, warehouses);
    bed.reconfigure(|config| {
        config.warehouses = selling;
        configure(config);
    })?;
    Ok(bed)
}

/// Warehouses that sell, at most so many.
fn selling_warehouses(bed: &TestBed, most: usize) -> Vec<String> {
    bed.d365()
        .warehouses()
        .into_iter()
        .filter(|line| line.company == "usmf")
        .map(|line| line.warehouse)
        .filter(|id| !["", "QUAR", "TRANSIT"].contains(&id.as_str()))
        .take(most)
        .collect()
}

/// Sets the budget of calls as it is after a while: how it is learned is not what is measured.
pub(crate) async fn set_budget(bed: &TestBed) -> Result<(), Failure> {
    let budget = format!("inv:budget:{}", Config::CLIENT_ID);
    bed.redis(&["HSET", &budget, "limit", LEARNED]).await
}

//! What benchmarks of full size begin with.

use d365_simulator::{Config, Simulator};
use redis::aio::MultiplexedConnection;

/// Calls at once after a while of good ones, where live look-ups share the registration.
const LEARNED: u32 = 12;

/// Warehouses that sell, at most so many.
pub fn warehouses(simulator: &Simulator, most: usize) -> Vec<String> {
    simulator
        .warehouses()
        .into_iter()
        .filter(|line| line.company == "usmf")
        .map(|line| line.warehouse)
        .filter(|id| !id.is_empty() && id != "QUAR" && id != "TRANSIT")
        .take(most)
        .collect()
}

/// Sets the budget of calls as it is after a while: how it is learned is not what is measured.
pub async fn learn_budget(connection: &mut MultiplexedConnection) -> redis::RedisResult<()> {
    redis::cmd("HSET")
        .arg(format!("inv:budget:{}", Config::CLIENT_ID))
        .arg("limit")
        .arg(LEARNED)
        .exec_async(connection)
        .await
}

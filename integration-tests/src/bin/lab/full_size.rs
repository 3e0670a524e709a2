//! What benchmarks of full size begin with.

use d365_simulator::Config;
use integration_tests::test_bed::{Failure, TestBed};

/// Calls at once after a while of good ones, where live look-ups share the registration.
const LEARNED: &str = "12";

/// Warehouses that sell, at most so many.
pub(crate) fn warehouses(bed: &TestBed, most: usize) -> Vec<String> {
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

//! Which seeds a run takes, from the environment.

use std::ops::Range;

/// Seeds of a run of all tests; about 40 s on two cores.
const SEEDS: u64 = 3_000;

#[expect(
    clippy::disallowed_methods,
    reason = "a test's own switches are not settings of the product"
)]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

/// The one of `SIMULATION_SEED`, or as many as `SIMULATION_SEEDS` says.
pub(crate) fn asked_for() -> Range<u64> {
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS),
    }
}

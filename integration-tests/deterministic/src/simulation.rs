//! The simulated world, and runs of it.

mod callers;
mod faults;
mod kill;
mod kill_plan;
mod part;
mod play;
mod polling;
mod strikes;
mod trace;
mod warehouse;
mod worker;
mod world;
mod writing;

pub use faults::{Fault, Weather};
pub use kill::{RESUMED_WITHIN_MS, run_with_kill};
pub use kill_plan::{Kill, KillRun, KillWorld};
pub use play::{record, run};
pub use trace::Failure;
pub use world::Seen;

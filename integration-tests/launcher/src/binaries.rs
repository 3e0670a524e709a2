//! The built programs: found, started on free ports, their addresses read from what they say.

mod program;
mod service;
mod simulator;

pub use program::{NotBuilt, Program};
pub use service::{Launch, Service, ServiceError};
pub use simulator::{Simulator, SimulatorFlags};

//! The built programs: found, started on free ports, their addresses read from what they say.

mod program;
mod service;

pub use program::{NotBuilt, Program};
pub use service::{Launch, Service, ServiceError};

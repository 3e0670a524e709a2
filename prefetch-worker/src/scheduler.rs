//! Which work is due, and who has it.

pub(crate) mod heartbeat;
pub(crate) mod lease;
pub(crate) mod log_limit;
pub mod plan;
pub(crate) mod poller;
pub(crate) mod settings_change;

//! The scheduler and the store's rules under virtual time.
//!
//! The real Lua scripts run in an embedded Lua 5.1 over a Redis made of maps (`redis_model`,
//! `script_engine`); calls are the store's own values (`store`); lines are judged, parts read and cycles sealed by
//! the services' own pure functions. Everything around them, D365, the workers' loops and the faults, is modelled.
//! Nothing in here may read a clock, wait, or draw chance from anywhere but a seed.

pub mod chance;
pub mod evidence;
pub mod redis_model;
pub mod script_engine;
pub mod simulation;
pub mod store;
pub mod truth;

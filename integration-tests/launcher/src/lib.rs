//! Starts what a demo, a test or a benchmark runs against.
//!
//! - [`binaries`]: the built services and the simulator, on free ports, their log captured.
//! - [`redis_process`]: a `redis-server` of one's own.
//! - [`connector_config`]: the configuration file both services read.
//! - [`api_client`]: the inventory API in named calls.
//! - [`eventually`]: waiting for a condition; never a bare sleep.
//!
//! Everything that is started here is stopped when its value is dropped. Nothing here knows the
//! services' code: they are used as an operator uses them, by file, flag and port.

pub mod api_client;
pub mod binaries;
pub mod connector_config;
pub mod environment;
pub mod eventually;
pub mod free_port;
pub mod log;
pub mod redis_process;
pub mod server_process;
pub mod stopwatch;

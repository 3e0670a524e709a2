//! The harness: what a test, the demo or a benchmark needs to run the whole house.
//!
//! - [`redis_fixture`]: a Redis of one's own, as a process or as a container.
//! - [`guarded_redis`], [`certificates`]: the same behind TLS and users, and who signs for it.
//! - [`binaries`]: the built services and the simulator, started on free ports, their log captured.
//! - [`connector_config`]: the configuration file both services read.
//! - [`api_client`]: the inventory API in named calls.
//! - [`tcp_proxy`], [`open_loop`], [`oracle`]: faults on the way, load at a fixed rate, and who finds
//!   what was said that was not true.
//! - [`token_issuer`], [`token_attacks`]: an issuer of tokens with keys of its own, and what should not
//!   get in with one; [`oidc_server`]: an issuer somebody else wrote.
//! - [`order_histories`]: random histories of orders, and who knows what may be told of each.
//! - [`password_hash`]: the hash of a caller's password.
//! - [`canary`]: who finds a secret that shows.
//! - [`chance`]: numbers that follow from a seed; [`full_size`]: what large benchmarks begin with.
//! - [`eventually`]: waiting for a condition with one patience; never a bare sleep.
//!
//! Everything that is started here is stopped when its value is dropped. Nothing here knows the
//! services' code: they are used as an operator uses them, by file, flag and port.

pub mod api_client;
pub mod binaries;
pub mod canary;
pub mod certificates;
pub mod chance;
pub mod connector_config;
pub mod environment;
pub mod eventually;
pub mod free_port;
pub mod full_size;
pub mod guarded_redis;
pub mod log;
pub mod oidc_server;
pub mod open_loop;
pub mod oracle;
pub mod order_histories;
pub mod password_hash;
pub mod redis_fixture;
pub mod server_process;
pub mod stopwatch;
pub mod tcp_proxy;
pub mod token_attacks;
pub mod token_issuer;

//! The harness: what a test or a benchmark needs beside what `launcher` starts.
//!
//! - `launcher`'s modules, under their own names: programs, configuration, client.
//! - [`test_bed`]: a Redis, the simulator, a configuration and the services, for one test.
//! - [`redis_fixture`]: a Redis of one's own, as a process or as a container.
//! - [`guarded_redis`], [`certificates`]: the same behind TLS and users, and who signs for it.
//! - [`tcp_proxy`], [`open_loop`], [`oracle`]: faults on the way, load at a fixed rate, and who finds
//!   what was said that was not true.
//! - [`token_issuer`]: an issuer of tokens with keys of its own; [`oidc_server`]: one somebody else wrote.
//! - [`order_histories`]: random histories of orders, and a judge of each reply.
//! - [`password_hash`]: the hash of a caller's password.
//! - [`chance`]: numbers that follow from a seed; [`usage`]: what a process uses.
//!
//! Everything that is started here is stopped when its value is dropped. Nothing here knows the
//! services' code: they are used as an operator uses them, by file, flag and port.

pub use launcher::{
    api_client, binaries, connector_config, environment, eventually, free_port, log, redis_process,
    server_process, stopwatch,
};

pub mod certificates;
pub mod chance;
pub mod guarded_redis;
pub mod oidc_server;
pub mod open_loop;
pub mod oracle;
pub mod order_histories;
pub mod password_hash;
pub mod redis_fixture;
pub mod tcp_proxy;
pub mod test_bed;
pub mod token_issuer;
pub mod usage;

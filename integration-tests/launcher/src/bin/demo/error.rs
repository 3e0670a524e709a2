//! Why the demo failed.

use launcher::binaries::{NotBuilt, ServiceError};
use launcher::connector_config::ConnectorConfigError;
use launcher::redis_process::RedisProcessError;
use launcher::server_process::ServerProcessError;
use std::io;

/// Something did not work, or was not as promised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("port {port}, asked for with {flag}, is taken by another program; choose another one")]
    PortTaken { port: u16, flag: &'static str },
    #[error("no private Redis")]
    Redis(#[from] RedisProcessError),
    #[error("the Redis of CONNECTOR__REDIS__URL ({address}) cannot be used")]
    GivenRedis {
        address: String,
        source: redis::RedisError,
    },
    #[error("a Redis command failed")]
    RedisCommand(#[from] redis::RedisError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
    #[error(transparent)]
    Process(#[from] ServerProcessError),
    #[error("the configuration file")]
    Config(#[from] ConnectorConfigError),
    #[error("{name} ended while it was needed; its last lines:\n{tail}")]
    Ended { name: String, tail: String },
    #[error("a request to {what} failed")]
    Http {
        what: &'static str,
        source: reqwest::Error,
    },
    #[error("the simulator answered {what} in an unexpected way: {answer}")]
    Simulator { what: &'static str, answer: String },
    #[error("warehouse {warehouse} has no item with a simple stock of ten or more to show")]
    NothingToShow { warehouse: String },
    #[error("the first snapshot was not complete after {seconds} s: {state}")]
    NoSnapshot { seconds: u64, state: String },
    #[error("not as promised: {what}\n  expected: {expected}\n  got:      {got}")]
    NotAsPromised {
        what: String,
        expected: String,
        got: String,
    },
    #[error("{program} could not be run")]
    Run { program: String, source: io::Error },
}

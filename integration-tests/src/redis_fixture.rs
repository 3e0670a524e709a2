//! A Redis of one's own: empty, without persistence, gone when dropped.
//!
//! Two ways behind one type. A container is started where a Docker engine answers and holds the image
//! that `make redis-image` provides; else a `redis-server` of this machine is started on a free port.
//! `CONNECTOR_TEST_REDIS=process` or `=container` decides otherwise.

mod container;

use crate::environment;
use crate::eventually::{NotInTime, eventually};
use crate::redis_process::{RedisProcess, RedisProcessError};
use container::{ContainerError, RedisContainer};
use std::fmt;

pub use crate::redis_process::RedisClockControl;

pub use container::{IMAGE, NoContainers, containers_can_run};

/// A running Redis.
#[derive(Debug)]
pub struct RedisFixture(Server);

#[derive(Debug)]
enum Server {
    Process(RedisProcess),
    Container(Box<RedisContainer>),
}

/// Why there is no Redis.
#[derive(Debug, thiserror::Error)]
pub enum RedisFixtureError {
    /// As a process.
    #[error(transparent)]
    Process(#[from] RedisProcessError),
    /// It was started again and does not answer.
    #[error(transparent)]
    NotBack(#[from] NotInTime),
    /// As a container.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The server runs, but a command failed.
    #[error("a command to the Redis fixture failed")]
    Command(#[from] redis::RedisError),
    /// The environment asks for something unknown.
    #[error("CONNECTOR_TEST_REDIS is {0:?}: it can be \"process\" or \"container\"")]
    UnknownWish(String),
}

impl RedisFixture {
    /// Starts one: as a container where that works, else as a process.
    pub async fn start() -> Result<Self, RedisFixtureError> {
        match environment::wanted_redis().as_deref() {
            Some("process") => Self::start_process().await,
            Some("container") => Self::start_container().await,
            Some(other) => Err(RedisFixtureError::UnknownWish(other.to_owned())),
            None => match containers_can_run().await {
                Ok(()) => Self::start_container().await,
                Err(_) => Self::start_process().await,
            },
        }
    }

    /// Starts a `redis-server` of this machine: some 30 ms.
    pub async fn start_process() -> Result<Self, RedisFixtureError> {
        Ok(Self(Server::Process(RedisProcess::start().await?)))
    }

    /// A `redis-server` of this machine whose clock can be set.
    pub async fn start_with_clock() -> Result<(Self, RedisClockControl), RedisFixtureError> {
        let (process, clock) = RedisProcess::start_with_clock().await?;
        Ok((Self(Server::Process(process)), clock))
    }

    /// Starts a container: about a second.
    pub async fn start_container() -> Result<Self, RedisFixtureError> {
        let container = RedisContainer::start().await?;
        Ok(Self(Server::Container(Box::new(container))))
    }

    /// Its address, for the services' `redis.url`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// Its port on the loopback interface; the same after [`RedisFixture::restart`].
    pub fn port(&self) -> u16 {
        match &self.0 {
            Server::Process(process) => process.port(),
            Server::Container(container) => container.port(),
        }
    }

    /// A connection to look inside with.
    pub async fn connection(&self) -> Result<redis::aio::MultiplexedConnection, RedisFixtureError> {
        let client = redis::Client::open(self.url())?;
        Ok(client.get_multiplexed_async_connection().await?)
    }

    /// Version of the server, as it says itself.
    pub async fn version(&self) -> Result<String, RedisFixtureError> {
        let info: String = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut self.connection().await?)
            .await?;
        let version = info
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"));
        Ok(version.unwrap_or("unknown").trim().to_owned())
    }

    /// Empties it.
    pub async fn flush(&self) -> Result<(), RedisFixtureError> {
        redis::cmd("FLUSHALL")
            .exec_async(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// Ends the server; its address refuses connections until [`RedisFixture::start_again`].
    pub async fn stop(&mut self) -> Result<(), RedisFixtureError> {
        match &mut self.0 {
            Server::Process(process) => Ok(process.stop().await?),
            Server::Container(container) => Ok(container.stop().await?),
        }
    }

    /// Starts a stopped server again, empty, at the same address.
    pub async fn start_again(&mut self) -> Result<(), RedisFixtureError> {
        match &mut self.0 {
            Server::Process(process) => process.start_again().await?,
            Server::Container(container) => container.start_again().await?,
        }
        eventually("a restarted Redis to answer", || async {
            self.connection().await.ok()
        })
        .await?;
        Ok(())
    }

    /// Stops it and starts it again: data and scripts are gone, connections are cut.
    pub async fn restart(&mut self) -> Result<(), RedisFixtureError> {
        self.stop().await?;
        self.start_again().await
    }
}

impl fmt::Display for RedisFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Server::Process(process) => write!(f, "process {} (redis-server)", process.id()),
            Server::Container(container) => write!(f, "container {} ({IMAGE})", container.id()),
        }?;
        write!(f, " at {}", self.url())
    }
}

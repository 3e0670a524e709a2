//! A Redis in a container of the local Docker engine.

use crate::free_port::free_port;
use crate::redis_process::{OPTIONS, READY};
use std::io;
use std::time::Duration;
use testcontainers::core::{IntoContainerPort, WaitFor, client};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt, TestcontainersError};

/// The image, provided by `make redis-image`; it is never pulled under this name.
pub const IMAGE: &str = "inventory-connector-redis:test";

const REDIS_PORT: u16 = 6379;

/// How long the engine may take to answer before it counts as absent.
const ENGINE_WITHIN: Duration = Duration::from_secs(10);

const READY_WITHIN: Duration = Duration::from_mins(1);

const TRIES: usize = 5;

/// Why no container can be started here.
#[derive(Debug, thiserror::Error)]
pub enum NoContainers {
    /// No engine, or one that does not answer.
    #[error("no Docker engine answers: {0}")]
    NoEngine(String),
    /// The engine answers, but the image was not provided.
    #[error("the Docker engine has no image {IMAGE}: run `make redis-image`")]
    NoImage,
}

/// Why a container does not run.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// None can be started here.
    #[error(transparent)]
    NoContainers(#[from] NoContainers),
    /// No port for it.
    #[error("no free port for a Redis container")]
    Port(#[from] io::Error),
    /// It failed.
    #[error("the Redis container failed")]
    Failed(#[from] TestcontainersError),
}

/// Whether a Docker engine answers and holds the image.
pub async fn containers_can_run() -> Result<(), NoContainers> {
    let engine = client::docker_client_instance()
        .await
        .map_err(|error| NoContainers::NoEngine(error.to_string()))?;
    match tokio::time::timeout(ENGINE_WITHIN, engine.ping()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(NoContainers::NoEngine(error.to_string())),
        Err(_) => {
            let silence = format!("silent for {ENGINE_WITHIN:?}");
            return Err(NoContainers::NoEngine(silence));
        }
    }
    match engine.inspect_image(IMAGE).await {
        Ok(_) => Ok(()),
        Err(_) => Err(NoContainers::NoImage),
    }
}

#[derive(Debug)]
pub(super) struct RedisContainer {
    container: ContainerAsync<GenericImage>,
    port: u16,
}

impl RedisContainer {
    pub(super) async fn start() -> Result<Self, ContainerError> {
        containers_can_run().await?;
        for _ in 0..TRIES {
            // A port the engine chooses would change with every restart.
            let port = free_port()?;
            match serve(port).await {
                Ok(container) => return Ok(Self { container, port }),
                Err(error) if is_port_taken(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::from(io::ErrorKind::AddrInUse).into())
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The first twelve characters, as `docker ps` shows them.
    pub(super) fn id(&self) -> &str {
        let id = self.container.id();
        id.get(..12).unwrap_or(id)
    }

    pub(super) async fn stop(&self) -> Result<(), ContainerError> {
        Ok(self.container.stop_with_timeout(Some(5)).await?)
    }

    pub(super) async fn start_again(&self) -> Result<(), ContainerError> {
        Ok(self.container.start().await?)
    }
}

async fn serve(port: u16) -> Result<ContainerAsync<GenericImage>, TestcontainersError> {
    let (name, tag) = IMAGE.split_once(':').unwrap_or((IMAGE, "latest"));
    GenericImage::new(name, tag)
        .with_exposed_port(REDIS_PORT.tcp())
        .with_wait_for(WaitFor::message_on_stdout(READY))
        .with_startup_timeout(READY_WITHIN)
        .with_mapped_port(port, REDIS_PORT.tcp())
        .with_cmd(OPTIONS.into_iter().chain(["--protected-mode", "no"]))
        .start()
        .await
}

fn is_port_taken(error: &TestcontainersError) -> bool {
    let text = error.to_string();
    text.contains("port is already allocated") || text.contains("address already in use")
}

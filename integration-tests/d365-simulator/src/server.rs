//! Starting and stopping: one listener for Entra, `/data` and the control API, and the task that sells.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use thiserror::Error;

use crate::config::{Config, ConfigError, TlsFiles};
use crate::control;
use crate::endpoints::{self, Served};
use crate::simulator::Simulator;
use crate::world::WorldError;

/// Largest request body taken, in bytes.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// Why the simulator does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A row of the configuration cannot be put into the world.
    #[error("a row of the configured stock cannot be used: {0}")]
    Stock(#[from] WorldError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another simulator running there?")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use the TLS file {file}: {reason}")]
    Tls {
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running simulator. Dropped, it stops without waiting.
#[derive(Debug)]
pub struct Handle {
    simulator: Arc<Simulator>,
    address: SocketAddr,
    scheme: &'static str,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The environment URL to configure, e.g. `http://127.0.0.1:41234`. It is the authority of the token endpoints as well.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The world and its control.
    pub fn simulator(&self) -> &Arc<Simulator> {
        &self.simulator
    }

    /// Takes no more requests, lets those under way finish, and returns when everything has stopped.
    pub async fn stop(mut self) {
        self.simulator.stopping().cancel();
        self.server.stop(true).await;
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the simulator's thread has panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.simulator.stopping().cancel();
        // The command is sent when the future is made; nobody waits for the end here.
        drop(self.server.stop(false));
    }
}

/// Builds the world and starts serving it. Returns once connections are accepted.
pub fn start(config: Config) -> Result<Handle, StartError> {
    config.check()?;
    let tls = config.tls.as_ref().map(tls_settings).transpose()?;
    let wanted = config.listen;
    let listen_error = |source| StartError::Listen {
        address: wanted,
        source,
    };
    let listener = TcpListener::bind(wanted).map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let simulator = Arc::new(Simulator::new(config)?);
    let (ready, started) = mpsc::channel();
    let shown = Arc::clone(&simulator);
    let thread = std::thread::Builder::new()
        .name("d365-simulator".to_owned())
        .spawn(move || serve(listener, tls, scheme, &shown, &ready))
        .map_err(StartError::Thread)?;
    let ended = |_closed| StartError::Thread(std::io::Error::other("the server has ended"));
    let server = started.recv().map_err(ended)?.map_err(listen_error)?;
    Ok(Handle {
        simulator,
        address,
        scheme,
        server,
        thread: Some(thread),
    })
}

fn serve(
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
    scheme: &'static str,
    simulator: &Arc<Simulator>,
    ready: &mpsc::Sender<std::io::Result<ServerHandle>>,
) {
    let state = Served {
        simulator: Arc::clone(simulator),
        scheme,
    };
    let selling = Arc::clone(simulator);
    let loopback = listener
        .local_addr()
        .is_ok_and(|address| address.ip().is_loopback());
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(state.clone()))
                .app_data(web::PayloadConfig::new(LARGEST_BODY))
                .configure(|routes| control::routes(routes, &state.simulator, loopback))
                .configure(endpoints::routes)
        })
        .workers(2)
        .disable_signals()
        .shutdown_timeout(2);
        let bound = match tls {
            Some(tls) => server.listen_rustls_0_23(listener, tls),
            None => server.listen(listener),
        };
        match bound {
            Ok(bound) => {
                let running = bound.run();
                actix_web::rt::spawn(async move { selling.sell().await });
                if ready.send(Ok(running.handle())).is_ok()
                    && let Err(error) = running.await
                {
                    tracing::error!(%error, "the server has ended");
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
}

fn tls_settings(files: &TlsFiles) -> Result<rustls::ServerConfig, StartError> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let trouble = |file: &std::path::Path, reason: &dyn std::fmt::Display| StartError::Tls {
        file: file.display().to_string(),
        reason: reason.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| trouble(&files.certificates, &error))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| trouble(&files.key, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| trouble(&files.certificates, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| trouble(&files.key, &error))
}

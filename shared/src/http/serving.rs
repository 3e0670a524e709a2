//! A listener's HTTP server: actix-web's own, with each connection watched from its first byte.

use super::connections::{Connections, WatchedStream};
use super::tls::{ServedCertificate, TlsError};
use actix_http::{HttpService, Request, Response};
use actix_server::Server;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service};
use actix_tls::accept::TlsError as Handshake;
use actix_tls::accept::max_concurrent_tls_connect;
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use std::fmt::Debug;
use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection that ends may take for it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a listener is served.
#[derive(Debug)]
pub struct Serving {
    /// Its connections; [`Connections::watch`] must be running, and [`Connections::drain`] comes before the
    /// server is stopped.
    pub connections: Arc<Connections>,
    /// Open connections of each thread.
    pub most_connections: usize,
    /// Threads; 0 means one per core.
    pub threads: usize,
    /// Whether a caller that has sent all it wants to send still gets its answer; otherwise its work is
    /// cancelled.
    pub answers_half_closed: bool,
    /// How long open requests may take when it is stopped.
    pub stop_within: Duration,
    /// TLS.
    pub certificate: Option<Arc<ServedCertificate>>,
}

/// Why a listener cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// The system refused.
    #[error(transparent)]
    Listener(#[from] io::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Serving {
    /// Serves the app on this listener. The server must be awaited; its handle stops it.
    pub fn serve<F, I, S, B>(self, listener: TcpListener, app: F) -> Result<Server, ServingError>
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<actix_web::Error>,
        S::InitError: Debug,
        S::Response: Into<Response<B>> + 'static,
        S::Service: 'static,
        <S::Service as Service<Request>>::Future: 'static,
        B: MessageBody + 'static,
    {
        let seconds = self.stop_within.as_secs() + u64::from(self.stop_within.subsec_nanos() > 0);
        let mut server = Server::build()
            .max_concurrent_connections(self.most_connections)
            .shutdown_timeout(seconds)
            .disable_signals();
        if self.threads > 0 {
            server = server.workers(self.threads);
        }
        let address = listener.local_addr()?;
        let name = format!("http-{address}");
        let connections = self.connections;
        let limits = connections.limits();
        // A macro, since the type of what it makes cannot be written and depends on the stream's.
        macro_rules! http {
            () => {{
                let app = app()
                    .into_factory()
                    .map_err(|error| error.into().error_response());
                HttpService::build()
                    .keep_alive(limits.keep_alive)
                    .client_request_timeout(limits.header_timeout)
                    .client_disconnect_timeout(LAST_WORDS)
                    .h1_allow_half_closed(self.answers_half_closed)
                    .local_addr(address)
                    .on_connect_ext(|stream: &WatchedStream<_>, data| {
                        data.insert(stream.data());
                    })
                    .h1(actix_service::map_config(app, |()| AppConfig::default()))
            }};
        }
        let server = match self.certificate.clone() {
            None => server.listen(name, listener, move || {
                let connections = Arc::clone(&connections);
                fn_service(move |stream: TcpStream| {
                    ready(Ok(WatchedStream::new(stream, &connections)))
                })
                .and_then(http!())
            })?,
            Some(certificate) => {
                // Otherwise 256 silent callers keep all others from shaking hands.
                max_concurrent_tls_connect(self.most_connections);
                let mut acceptor = Acceptor::new(certificate.server_config()?);
                acceptor.set_handshake_timeout(limits.header_timeout);
                server.listen(name, listener, move || {
                    let connections = Arc::clone(&connections);
                    acceptor
                        .clone()
                        .map_err(Handshake::into_service_error)
                        .map(move |stream: TlsStream<TcpStream>| {
                            WatchedStream::new(stream, &connections)
                        })
                        .and_then(http!().map_err(Handshake::Service))
                })?
            }
        };
        Ok(server.run())
    }
}

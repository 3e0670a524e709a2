//! The management port: liveness, readiness, metrics. Never on the port callers use.

use super::closing;
use super::connections::{self, ConnectionLimits, Connections};
use super::cross_site::{self, AllowedHosts};
use super::read_route::{get, options};
use super::serving::{Serving, ServingError};
use crate::process::clock::Clock;
use crate::process::metrics::MetricsHandle;
use crate::process::shutdown::Shutdown;
use actix_web::dev::Server;
use actix_web::http::header::{ALLOW, CACHE_CONTROL};
use actix_web::middleware::from_fn;
use actix_web::web::{Data, resource, to};
use actix_web::{App, HttpRequest, HttpResponse};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for the detail of readiness: probes of Kubernetes wait for a second.
const DETAIL_LIMIT: Duration = Duration::from_millis(700);
/// Longest wait for Redis to say a word, inside of that.
pub const REDIS_LIMIT: Duration = Duration::from_millis(300);
/// Open connections: probes and scrapers of several addresses, and nobody else.
const CONNECTIONS: usize = 256;
const LIMITS: ConnectionLimits = ConnectionLimits {
    per_address: 32,
    quiet: 64,
    keep_alive: Duration::from_secs(5),
    header_timeout: Duration::from_secs(5),
};

/// Says whether the process can answer anything.
pub trait Readiness: Send + Sync {
    /// Whether requests should be sent here. Asks nobody: all replicas would fall together with what
    /// they ask.
    fn is_ready(&self) -> bool;

    /// What is well and what is not, a JSON object for people and dashboards. May ask Redis; must not
    /// depend on D365.
    fn detail(&self) -> BoxFuture<'_, Value>;
}

/// The connections of a management port, for [`serve`]; [`Connections::watch`] must be running.
pub fn connections(clock: Arc<dyn Clock>) -> Arc<Connections> {
    Connections::new("management", LIMITS, clock)
}

/// Serves `/health/live`, `/health/ready` and `/metrics` on this listener. The returned server must
/// be awaited; its handle stops it.
pub fn serve(
    listener: TcpListener,
    metrics: MetricsHandle,
    readiness: Arc<dyn Readiness>,
    connections: Arc<Connections>,
    allowed_hosts: &[String],
    shutdown: Shutdown,
) -> Result<Server, ServingError> {
    let metrics = Data::new(metrics);
    let shutdown = Data::new(shutdown);
    let readiness: Data<dyn Readiness> = Data::from(readiness);
    let hosts = AllowedHosts::of(listener.local_addr()?, allowed_hosts);
    let hosts = Data::new(hosts);
    let app = move || {
        App::new()
            .app_data(hosts.clone())
            .app_data(metrics.clone())
            .app_data(readiness.clone())
            .app_data(shutdown.clone())
            .service(
                resource("/health/live")
                    .route(get().to(live))
                    .default_service(to(other)),
            )
            .service(
                resource("/health/ready")
                    .route(get().to(ready))
                    .default_service(to(other)),
            )
            .service(
                resource("/metrics")
                    .route(get().to(render))
                    .default_service(to(other)),
            )
            .wrap(from_fn(cross_site::refuse))
            .wrap(from_fn(closing::close_when_stopping))
            .wrap(from_fn(connections::note_request))
    };
    Serving {
        connections,
        most_connections: CONNECTIONS,
        threads: 1,
        answers_half_closed: true,
        stop_within: Duration::from_secs(1),
        certificate: None,
    }
    .serve(listener, app)
}

/// Answers as long as the process can answer at all: a liveness probe that asked Redis or D365
/// would have every replica restarted when one of them is away.
async fn live() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({ "live": true }))
}

async fn ready(readiness: Data<dyn Readiness>) -> HttpResponse {
    let is_ready = readiness.is_ready();
    let mut detail = tokio::time::timeout(DETAIL_LIMIT, readiness.detail())
        .await
        .unwrap_or_else(|_| json!({ "problem": "Redis has not answered in time" }));
    detail["ready"] = json!(is_ready);
    let mut reply = if is_ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    reply
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(detail)
}

async fn other(request: HttpRequest) -> HttpResponse {
    const ALLOWED: &str = "GET, HEAD";
    options(&request, ALLOWED).unwrap_or_else(|| {
        let mut reply = HttpResponse::MethodNotAllowed();
        reply.insert_header((ALLOW, ALLOWED)).finish()
    })
}

async fn render(metrics: Data<MetricsHandle>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::clock::SystemClock;
    use actix_web::dev::ServerHandle;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    struct Switch(AtomicBool);

    impl Readiness for Switch {
        fn is_ready(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }

        /// As if Redis were frozen.
        fn detail(&self) -> BoxFuture<'_, Value> {
            Box::pin(std::future::pending())
        }
    }

    struct TestBed {
        address: SocketAddr,
        switch: Arc<Switch>,
        handle: ServerHandle,
        shutdown: Shutdown,
    }

    fn start() -> TestBed {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let switch = Arc::new(Switch(AtomicBool::new(false)));
        let metrics = crate::process::metrics::install().unwrap();
        let (connections, shutdown) = (
            connections(Arc::new(SystemClock::default())),
            Shutdown::new(),
        );
        let readiness = switch.clone();
        let server = serve(
            listener,
            metrics,
            readiness,
            connections,
            &[],
            shutdown.clone(),
        );
        let server = server.unwrap();
        let handle = server.handle();
        let tasks = crate::process::tasks::Tasks::new();
        tasks.spawn("management", async { server.await.unwrap() });
        TestBed {
            address,
            switch,
            handle,
            shutdown,
        }
    }

    #[actix_web::test]
    async fn readiness_decides_the_status_and_liveness_does_not_care() {
        let bed = start();
        let get = async |path: &str| {
            let reply = reqwest::get(format!("http://{}{path}", bed.address));
            let reply = reply.await.unwrap();
            (
                reply.status().as_u16(),
                !reply.headers().contains_key("connection"),
            )
        };
        assert_eq!(get("/health/ready").await, (503, true));
        bed.switch.0.store(true, Ordering::SeqCst);
        for (path, status) in [
            ("/health/ready", 200),
            ("/health/live", 200),
            ("/metrics", 200),
            ("/anything", 404),
        ] {
            assert_eq!(get(path).await, (status, true), "{path}");
        }
        bed.shutdown.begin_and_close_after(Duration::ZERO).await;
        assert_eq!(get("/metrics").await, (200, false));
        bed.handle.stop(true).await;
    }

    #[actix_web::test]
    async fn one_address_does_not_take_all_connections() {
        let bed = start();
        let mut open = Vec::new();
        for _ in 0..=LIMITS.per_address {
            open.push(TcpStream::connect(bed.address).await.unwrap());
        }
        let mut last = open.pop().unwrap();
        // Sooner than the library gives a silent connection up.
        let mut byte = [0; 1];
        let end = tokio::time::timeout(LIMITS.header_timeout / 2, last.read(&mut byte)).await;
        assert!(matches!(end.unwrap(), Ok(0) | Err(_)));
        let request = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
        open[0].write_all(request).await.unwrap();
        assert!(open[0].read(&mut byte).await.unwrap() > 0);
        bed.handle.stop(false).await;
    }
}

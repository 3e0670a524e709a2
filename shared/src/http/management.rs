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
use actix_web::http::header::{ALLOW, CACHE_CONTROL, ContentType};
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
        .content_type(ContentType(
            "text/plain; version=0.0.4; charset=utf-8"
                .parse()
                .unwrap_or(actix_web::mime::TEXT_PLAIN_UTF_8),
        ))
        .body(metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::clock::SystemClock;
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

    #[actix_web::test]
    async fn readiness_decides_the_status_and_liveness_does_not_care() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let switch = Arc::new(Switch(AtomicBool::new(false)));
        let metrics = crate::process::metrics::install().unwrap();
        let connections = connections(Arc::new(SystemClock::default()));
        let shutdown = Shutdown::new();
        let server = serve(
            listener,
            metrics,
            switch.clone(),
            connections,
            &[],
            shutdown.clone(),
        )
        .unwrap();
        let handle = server.handle();
        let tasks = crate::process::tasks::Tasks::new();
        tasks.spawn("management", async { server.await.unwrap() });
        let status = async |path: &str| {
            reqwest::get(format!("http://{address}{path}"))
                .await
                .unwrap()
                .status()
                .as_u16()
        };
        assert_eq!(status("/health/ready").await, 503);
        assert_eq!(status("/health/live").await, 200);
        switch.0.store(true, Ordering::SeqCst);
        assert_eq!(status("/health/ready").await, 200);
        assert_eq!(status("/metrics").await, 200);
        assert_eq!(status("/anything").await, 404);
        let kept = async |path: &str| {
            let reply = reqwest::get(format!("http://{address}{path}")).await;
            !reply.unwrap().headers().contains_key("connection")
        };
        assert!(kept("/health/live").await);
        shutdown.begin_and_close_after(Duration::ZERO).await;
        assert!(!kept("/health/live").await && !kept("/metrics").await);
        handle.stop(true).await;
    }

    #[actix_web::test]
    async fn one_address_does_not_take_all_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let switch = Arc::new(Switch(AtomicBool::new(true)));
        let metrics = crate::process::metrics::install().unwrap();
        let connections = connections(Arc::new(SystemClock::default()));
        let server = serve(listener, metrics, switch, connections, &[], Shutdown::new()).unwrap();
        let handle = server.handle();
        let tasks = crate::process::tasks::Tasks::new();
        tasks.spawn("management", async { server.await.unwrap() });
        let mut open = Vec::new();
        for _ in 0..=LIMITS.per_address {
            open.push(TcpStream::connect(address).await.unwrap());
        }
        let mut last = open.pop().unwrap();
        let mut end = [0; 1];
        let end = last.read(&mut end);
        // Sooner than the library gives a silent connection up.
        let end = tokio::time::timeout(LIMITS.header_timeout / 2, end).await;
        assert!(matches!(end.unwrap(), Ok(0) | Err(_)));
        let mut first = open.swap_remove(0);
        first
            .write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        assert!(first.read(&mut [0; 1]).await.unwrap() > 0);
        handle.stop(false).await;
    }
}

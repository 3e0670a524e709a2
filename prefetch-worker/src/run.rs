//! The running worker: pollers, heartbeat, refreshes and two ports.

use crate::error::WorkerError;
use crate::http::routes;
use crate::ops::{first_read, status};
use crate::refresh::demand_passes;
use crate::refresh::events::Hints;
use crate::refresh::requests::Refreshes;
use crate::scheduler::heartbeat;
use crate::scheduler::poller::Poller;
use crate::worker::Worker;
use actix_web::dev::ServerHandle;
use shared::http::auth::Authenticator;
use shared::http::auth::guard::AuthGuard;
use shared::http::connections::Connections;
use shared::http::tls::ServedCertificate;
use shared::http::{listener, management};
use shared::process::clock::{Clock, SystemClock};
use shared::process::shutdown::Shutdown;
use shared::process::{metrics, open_files};
use shared::settings::Settings;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Runs until a stop is asked for, then lets pages under way finish.
pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<ExitCode, WorkerError> {
    let metrics = metrics::install()?;
    let certificate = settings
        .worker
        .tls
        .as_ref()
        .map(|files| ServedCertificate::load("worker", files))
        .transpose()?;
    let worker = Worker::build(&settings, shutdown)?;
    settings.check_authentication()?;
    // Tokens are judged by this machine's clock: Redis' may be put back.
    let wall_clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let authenticator = Arc::new(Authenticator::new(&settings.api.auth, &wall_clock)?);
    let api = listen(settings.worker.listen)?;
    let management = listen(settings.worker.management_listen)?;
    (worker.shutdown).watch_signals(&worker.tasks, worker.settings.drain_delay)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), worker.id = %worker.id, "starting");

    let clock = Arc::clone(worker.clock());
    // What requests need lives until the listeners close.
    let stop_clock = worker.shutdown.closing().clone();
    worker
        .tasks
        .spawn("clock", async move { clock.run(stop_clock).await });
    // Until a heartbeat has looked which settings count.
    for feed in worker.feeds.iter() {
        feed.set_yielded(true);
    }
    worker
        .tasks
        .spawn("heartbeat", heartbeat::run(worker.clone()));
    for number in 0..worker.settings.parallel_shards {
        worker
            .tasks
            .spawn("poller", Poller::new(worker.clone(), number).run());
    }
    for tenant in 0..worker.feeds.len() {
        worker.tasks.spawn(
            "first-read",
            first_read::keep_telling(worker.clone(), tenant),
        );
    }
    if let Some(certificate) = certificate.clone() {
        let stop = worker.shutdown.closing().clone();
        worker
            .tasks
            .spawn("certificate", certificate.keep_fresh(stop));
    }
    start_demand(&worker);
    let refreshes = Refreshes::start(&worker);
    let hints = Hints::start(&worker);

    let (keeping, stop) = (
        Arc::clone(&authenticator),
        worker.shutdown.closing().clone(),
    );
    worker
        .tasks
        .spawn("authentication", async move { keeping.run(stop).await });
    authenticator.settled().await;
    let auth_guard = AuthGuard::new(authenticator, routes::access);

    say_listening("api", &api)?;
    say_listening("management", &management)?;
    let readiness = Arc::new(status::WorkerReadiness::new(worker.clone()));
    open_files::make_room(routes::CONNECTIONS);
    let clock: Arc<dyn Clock> = Arc::clone(worker.clock()) as Arc<dyn Clock>;
    let probes = management::connections(Arc::clone(&clock));
    let connections = Connections::new("worker", routes::LIMITS, clock);
    for (name, watched) in [("probes", &probes), ("connections", &connections)] {
        let stop = worker.shutdown.closing().clone();
        worker.tasks.spawn(name, Arc::clone(watched).watch(stop));
    }
    let names = &settings.api.auth.allowed_hosts;
    let management_server = management::serve(
        management,
        metrics,
        readiness,
        probes,
        names,
        worker.shutdown.clone(),
    )?;
    let draining = Arc::clone(&connections);
    let parts = routes::Parts {
        auth: &settings.api.auth,
        worker: worker.clone(),
        refreshes,
        hints,
        auth_guard,
        connections,
    };
    let api_server = routes::serve(api, parts, certificate.as_ref())?;
    let (api_handle, management_handle) = (api_server.handle(), management_server.handle());
    let ending = stopped(worker, &draining, api_handle, management_handle);
    let (served, managed, ()) = futures_util::join!(api_server, management_server, ending);
    served?;
    managed?;
    Ok(ExitCode::SUCCESS)
}

/// Waits until the listeners close, then for what is under way.
async fn stopped(
    worker: Worker,
    connections: &Connections,
    api: ServerHandle,
    management: ServerHandle,
) {
    let (closing, hard) = (worker.shutdown.closing(), worker.shutdown.hard());
    closing.cancelled().await;
    let begun = worker.clock().monotonic();
    connections.drain();
    tokio::select! {
        () = api.stop(true) => {}
        () = hard.cancelled() => api.stop(false).await,
    }
    let drained = tokio::select! {
        drained = worker.tasks.close_and_wait(worker.settings.drain_timeout) => drained,
        () = hard.cancelled() => worker.tasks.close_and_wait(Duration::ZERO).await,
    };
    worker.shutdown.force();
    let took = worker.clock().monotonic().saturating_sub(begun);
    tracing::info!(
        finished = drained.finished,
        still_running = drained.still_running,
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "stopped"
    );
    management.stop(false).await;
}

fn start_demand(worker: &Worker) {
    if worker.settings.demand_share == 0 {
        return;
    }
    for tenant in 0..worker.feeds.len() {
        let passing = demand_passes::keep_passing(worker.clone(), tenant);
        worker.tasks.spawn("demand", passing);
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, WorkerError> {
    listener::listen(address).map_err(|cause| WorkerError::Listen { address, cause })
}

fn say_listening(surface: &'static str, listener: &TcpListener) -> Result<(), WorkerError> {
    let address = listener.local_addr()?;
    tracing::info!(surface, %address, "listening");
    Ok(())
}

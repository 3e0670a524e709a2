//! Start, serve, drain, end.

use crate::drift::DriftMeter;
use crate::http::admission::{self, Admission};
use crate::live::tenant_look_ups::LiveTools;
use crate::orders::expire::keep_expiring;
use crate::orders::sku_locks::SkuLocks;
use crate::readiness::ApiReadiness;
use crate::routes;
use crate::state::AppState;
use crate::stock::popularity::AskedRecorder;
use crate::tenants::directory::{Directory, Tenant};
use crate::tenants::refresh::{keep_fresh, settle_names};
use crate::tenants::sources::{LiveSources, OpenSource};
use actix_web::App;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use arc_swap::ArcSwap;
use shared::d365::{D365Client, OnHandSource, Purpose};
use shared::http::auth::guard::{self, AuthGuard};
use shared::http::auth::{AuthSetupError, Authenticator};
use shared::http::connections::{self, ConnectionLimits, Connections};
use shared::http::cross_site::{self, AllowedHosts};
use shared::http::serving::{Serving, ServingError};
use shared::http::tls::{ServedCertificate, TlsError};
use shared::http::{closing, listener, management, request_id};
use shared::process::clock::{Clock, SystemClock};
use shared::process::metrics::MetricsError;
use shared::process::open_files;
use shared::process::shutdown::Shutdown;
use shared::process::tasks::Tasks;
use shared::redis_store::{SharedThrottleGate, StockStore, StoreError};
use shared::settings::{ApiSettings, Settings, SettingsError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

impl From<ServingError> for StartError {
    fn from(error: ServingError) -> Self {
        match error {
            ServingError::Listener(cause) => Self::Server(cause),
            ServingError::Tls(cause) => Self::Tls(cause),
        }
    }
}

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("setting api.{key}: {address} cannot be listened on: {cause}")]
    Listen {
        /// The key below `[api]`.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        cause: io::Error,
    },
    /// The Redis settings cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tenant's D365 settings cannot be used.
    #[error("tenant {tenant}: {problem}")]
    Tenant {
        /// Its id.
        tenant: String,
        /// What is wrong.
        problem: String,
    },
    /// Nothing says who may call.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What says who may call cannot be used.
    #[error(transparent)]
    Authentication(#[from] AuthSetupError),
    /// The certificate cannot be served.
    #[error("setting api.tls: {0}")]
    Tls(#[from] TlsError),
    /// The metrics cannot be recorded.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A server could not be started, or broke.
    #[error("the HTTP server failed: {0}")]
    Server(#[from] io::Error),
}

impl StartError {
    /// Whether somebody must change the settings before another start can succeed.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Store(_)
                | Self::Tenant { .. }
                | Self::Settings(_)
                | Self::Authentication(_)
                | Self::Tls(_)
        )
    }
}

/// The two ports, bound.
#[derive(Debug)]
pub struct Listeners {
    /// For callers.
    pub api: TcpListener,
    /// For health and metrics.
    pub management: TcpListener,
}

impl Listeners {
    /// Binds the addresses of the settings.
    pub fn bind(settings: &ApiSettings) -> Result<Self, StartError> {
        let bind = |key, address: SocketAddr| {
            listener::listen(address).map_err(|cause| StartError::Listen {
                key,
                address,
                cause,
            })
        };
        Ok(Self {
            api: bind("listen", settings.listen)?,
            management: bind("management_listen", settings.management_listen)?,
        })
    }

    fn announce(&self) -> io::Result<()> {
        for (surface, listener) in [("api", &self.api), ("management", &self.management)] {
            let address = listener.local_addr()?;
            tracing::info!(surface, %address, "listening");
        }
        Ok(())
    }
}

/// How the service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Requests that were still in work when the drain limit was reached.
    pub dropped_requests: usize,
    /// Background tasks that did not end.
    pub unfinished_tasks: usize,
}

/// Opens D365 with the shared clock and the gate of all replicas.
pub fn open_d365(store: &StockStore) -> OpenSource {
    let store = store.clone();
    Arc::new(move |tenant| {
        let clock: Arc<dyn Clock> = store.clock().clone();
        let gate = Arc::new(SharedThrottleGate::new(store.clone(), tenant.id.clone()));
        let client = D365Client::new(tenant, Purpose::Live, clock, gate)?;
        Ok(Arc::new(client) as Arc<dyn OnHandSource>)
    })
}

/// Serves until `shutdown` begins, then drains. `open` opens a tenant's ERP ([`open_d365`]).
pub async fn run(
    settings: Settings,
    listeners: Listeners,
    store: StockStore,
    open: OpenSource,
    shutdown: Shutdown,
) -> Result<Ended, StartError> {
    settings.check_authentication()?;
    let authenticator = authenticator_of(&settings.api)?;
    let metrics = shared::process::metrics::install()?;
    let certificate = settings
        .api
        .tls
        .as_ref()
        .map(|files| ServedCertificate::load("api", files))
        .transpose()?;
    let tasks = Tasks::new();
    let drift = Arc::new(DriftMeter::default());
    let tools = LiveTools {
        store: store.clone(),
        drift: Arc::clone(&drift),
        tasks: tasks.clone(),
        clock: store.clock().clone(),
    };
    let sources = LiveSources::new(open, settings.api.live.concurrency, tools);
    let state = Arc::new(state_of(&settings, store, &sources, &shutdown)?);
    // Background work outlives the drain: open requests still need the clock.
    let background = CancellationToken::new();
    let clock = Arc::clone(state.store.clock());
    let stop = background.clone();
    tasks.spawn("clock", async move { clock.run(stop).await });
    let (asking, stop) = (Arc::clone(&state), background.clone());
    tasks.spawn("asked", async move {
        asking.asked.keep_flushing(&asking.store, stop).await;
    });
    let (store, stop) = (state.store.clone(), background.clone());
    tasks.spawn("drift", async move {
        drift.keep_flushing(&store, stop).await;
    });
    let (cleaning, stop) = (Arc::clone(&state), background.clone());
    tasks.spawn("ended-holds", async move {
        keep_expiring(&cleaning, stop).await;
    });
    settle_names(&state).await;
    tasks.spawn(
        "tenant-directory",
        keep_fresh(Arc::clone(&state), sources, background.clone()),
    );

    let (keeping, stop) = (Arc::clone(&authenticator), background.clone());
    tasks.spawn("authentication", async move { keeping.run(stop).await });
    authenticator.settled().await;
    if let Some(certificate) = certificate.clone() {
        tasks.spawn("certificate", certificate.keep_fresh(background.clone()));
    }

    listeners.announce()?;
    let guard = AuthGuard::new(authenticator, routes::access);
    open_files::make_room(most_connections(&state.settings));
    let connections = connections_of(&state);
    let probes = management::connections(Arc::clone(&state.clock));
    for (name, watched) in [("connections", &connections), ("probes", &probes)] {
        tasks.spawn(name, Arc::clone(watched).watch(background.clone()));
    }
    let readiness = Arc::new(ApiReadiness(Arc::clone(&state)));
    let names = &state.settings.auth.allowed_hosts;
    let management = management::serve(
        listeners.management,
        metrics,
        readiness,
        Arc::clone(&probes),
        names,
        shutdown.clone(),
    )?;
    let api = serve(
        Arc::clone(&state),
        guard,
        listeners.api,
        Arc::clone(&connections),
        certificate,
        shutdown.clone(),
    )?;
    let (api_handle, management_handle) = (api.handle(), management.handle());
    tasks.spawn("management", async move {
        if let Err(cause) = management.await {
            tracing::error!(%cause, "the management port failed");
        }
    });
    // Nobody waits any more if the process was told to end at once.
    let (api_ended, mut api_end) = tokio::sync::oneshot::channel();
    tasks.spawn("api", async move { drop(api_ended.send(api.await)) });

    tokio::select! {
        () = shutdown.closing().cancelled() => {}
        ended = &mut api_end => {
            return Err(StartError::Server(early_end(ended)));
        }
    }
    connections.drain();
    tokio::select! {
        () = api_handle.stop(true) => {}
        () = shutdown.hard().cancelled() => api_handle.stop(false).await,
    }
    let dropped_requests = state.admission.in_flight();
    probes.drain();
    management_handle.stop(true).await;
    background.cancel();
    Ok(ended(&tasks, dropped_requests).await)
}

async fn ended(tasks: &Tasks, dropped_requests: usize) -> Ended {
    let drained = tasks.close_and_wait(Duration::from_secs(2)).await;
    let unfinished_tasks = drained.still_running;
    tracing::info!(dropped_requests, unfinished_tasks, "stopped");
    Ended {
        dropped_requests,
        unfinished_tasks,
    }
}

fn early_end(ended: Result<io::Result<()>, tokio::sync::oneshot::error::RecvError>) -> io::Error {
    match ended {
        Ok(Err(cause)) => cause,
        Ok(Ok(())) | Err(_) => io::Error::other("it ended without being asked to"),
    }
}

fn state_of(
    settings: &Settings,
    store: StockStore,
    sources: &LiveSources,
    shutdown: &Shutdown,
) -> Result<AppState, StartError> {
    let tenants = settings
        .tenants
        .iter()
        .map(|tenant| {
            let known: Result<Tenant, String> = sources.tenant(tenant);
            known.map(Arc::new).map_err(|problem| StartError::Tenant {
                tenant: tenant.id.to_string(),
                problem,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let directory = Directory::of_settings(tenants, &settings.channels);
    let clock: Arc<dyn Clock> = store.clock().clone();
    let admission = Admission::new(&settings.api.limits, Arc::clone(&clock));
    Ok(AppState {
        settings: settings.api.clone(),
        store,
        clock,
        directory: ArcSwap::from_pointee(directory),
        asked: AskedRecorder::default(),
        sku_locks: SkuLocks::default(),
        admission: Arc::new(admission),
        stopping: shutdown.soft().clone(),
    })
}

/// Tokens are judged by this machine's clock: Redis' may be put back.
fn authenticator_of(settings: &ApiSettings) -> Result<Arc<Authenticator>, AuthSetupError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    Authenticator::new(&settings.auth, &clock).map(Arc::new)
}

/// Open connections of all threads together.
fn most_connections(settings: &ApiSettings) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = match settings.workers {
        0 => cores(),
        threads => threads,
    };
    threads.saturating_mul(settings.limits.connections)
}

fn connections_of(state: &AppState) -> Arc<Connections> {
    let limits = &state.settings.limits;
    let limits = ConnectionLimits {
        per_address: limits.connections_per_address,
        quiet: limits.quiet_connections,
        keep_alive: limits.keep_alive,
        header_timeout: limits.header_timeout,
    };
    Connections::new("api", limits, Arc::clone(&state.clock))
}

fn serve(
    state: Arc<AppState>,
    auth_guard: AuthGuard,
    listener: TcpListener,
    connections: Arc<Connections>,
    certificate: Option<Arc<ServedCertificate>>,
    shutdown: Shutdown,
) -> Result<Server, StartError> {
    let shutdown = Data::new(shutdown);
    let settings = state.settings.clone();
    let document = Data::new(crate::http::openapi::Served::of(&settings));
    let store = state.store.clone();
    let auth_guard = Data::new(auth_guard);
    let admission = Data::from(Arc::clone(&state.admission));
    let state = Data::from(state);
    let hosts = AllowedHosts::where_open(&settings.auth, listener.local_addr()?);
    let hosts = Data::new(hosts);
    let app = move || {
        // Made per thread: each keeps one connection to Redis of its own.
        let reader = Data::new(store.reader());
        App::new()
            .app_data(state.clone())
            .app_data(admission.clone())
            .app_data(document.clone())
            .app_data(reader)
            .app_data(auth_guard.clone())
            .app_data(shutdown.clone())
            .app_data(hosts.clone())
            // Runs after authentication, so unauthenticated requests use no slots.
            .wrap(from_fn(admission::admit))
            .wrap(from_fn(guard::pass))
            .wrap(from_fn(cross_site::refuse))
            .wrap(from_fn(admission::measure))
            .wrap(from_fn(request_id::echo))
            .wrap(from_fn(closing::close_when_stopping))
            .wrap(from_fn(connections::note_request))
            .configure(routes::configure)
    };
    let serving = Serving {
        connections,
        most_connections: settings.limits.connections,
        threads: settings.workers,
        // A caller that goes away cancels its work.
        answers_half_closed: false,
        stop_within: settings.drain_timeout,
        certificate,
    };
    Ok(serving.serve(listener, app)?)
}

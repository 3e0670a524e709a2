//! Connections that are thrown away when they have gone bad.
//!
//! A connection that answers READONLY after a demotion, or that only times out, would otherwise be
//! kept for ever. Connecting is single-flight and backs off, so that a dead Redis is not hammered
//! and callers fail fast meanwhile.

use super::error::{StoreError, spoils_the_connection};
use super::metrics;
use crate::process::clock::{Clock, SystemClock};
use crate::process::crypto;
use crate::process::tasks::Tasks;
use crate::settings::{RedisSettings, read_file};
use arc_swap::ArcSwapOption;
use deadpool_redis::{Connection, Manager, Pool, Runtime, Timeouts};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates,
};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const TIMEOUTS_UNTIL_THROWN_AWAY: u32 = 3;

/// How to reach the server.
fn connection_info(settings: &RedisSettings) -> Result<ConnectionInfo, StoreError> {
    if settings.url.scheme() == "rediss" {
        crypto::install_provider();
    }
    let wrong = |key, cause: &RedisError| StoreError::Settings {
        key,
        problem: cause.to_string(),
    };
    let info = settings
        .url
        .as_str()
        .into_connection_info()
        .map_err(|e| wrong("url", &e))?;
    // A user with the rights it needs may not name its library, and needs no name to work.
    let mut login = info.redis_settings().clone().set_skip_set_lib_name();
    if let Some(username) = &settings.username {
        login = login.set_username(username);
    }
    if let Some(password) = &settings.password {
        login = login.set_password(password.expose());
    }
    let info = info.set_redis_settings(login);
    let Some(path) = &settings.ca_file else {
        return Ok(info);
    };
    let pem = read_file(path).map_err(|cause| StoreError::Settings {
        key: "ca_file",
        problem: format!("{} cannot be read: {cause}", path.display()),
    })?;
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(pem),
    };
    let client = Client::build_with_tls(info, certificates).map_err(|e| wrong("ca_file", &e))?;
    Ok(client.get_connection_info().clone())
}

/// A pool whose connections wait this long for an answer.
pub(super) fn pool(
    settings: &RedisSettings,
    size: usize,
    answer_limit: Duration,
) -> Result<Pool, StoreError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.connect_timeout))
        .set_response_timeout(Some(answer_limit));
    let manager = Manager::new_with_config(connection_info(settings)?, config)?;
    let timeouts = Timeouts {
        wait: Some(answer_limit),
        create: Some(settings.connect_timeout),
        recycle: Some(settings.command_timeout),
    };
    Pool::builder(manager)
        .max_size(size)
        .timeouts(timeouts)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|cause| StoreError::Settings {
            key: "pool_size",
            problem: cause.to_string(),
        })
}

/// Lends the connections of a pool. They are made on the runtime the store was opened on: a
/// connection lives on the runtime that made it, and those of a web server's threads end one by one
/// while others still work.
#[derive(Debug)]
pub(super) struct Lender {
    pool: Pool,
    home: Tasks,
}

impl Lender {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            home: Tasks::new(),
        }
    }

    async fn connection(&self) -> Result<Connection, StoreError> {
        let (lend, borrowed) = oneshot::channel();
        let pool = self.pool.clone();
        self.home.spawn_unawaited("redis-connection", async move {
            // A borrower that left gives its connection back to the pool.
            drop(lend.send(pool.get().await));
        });
        match borrowed.await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(cause)) => Err(StoreError::Unavailable {
                cause: cause.to_string(),
            }),
            Err(_nobody_left) => Err(StoreError::Unavailable {
                cause: "the process is about to end".to_owned(),
            }),
        }
    }
}

/// Lends a connection for one piece of work and takes it back only if it is still good.
pub(super) async fn with_lent<T, F>(
    lender: &Lender,
    limit: Duration,
    work: impl FnOnce(Lent) -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = (Lent, Result<T, RedisError>)>,
{
    // The pool tries one old connection after the other; together they get one limit.
    let connection = tokio::time::timeout(limit, lender.connection())
        .await
        .or(Err(StoreError::TimedOut))??;
    let (Lent(connection), result) = work(Lent(connection)).await;
    result.map_err(|error| {
        if spoils_the_connection(&error) || error.is_timeout() {
            drop(Connection::take(connection));
        }
        metrics::command_failed();
        error.into()
    })
}

/// A lent connection. Dropped half-way through an answer (a cancelled caller), the connection is
/// still sound: answers are matched to questions by the multiplexer.
pub(super) struct Lent(pub(super) Connection);

/// One connection kept by one reader.
pub(super) struct Link {
    pool: Pool,
    connect_limit: Duration,
    current: ArcSwapOption<MultiplexedConnection>,
    connecting: tokio::sync::Mutex<Pause>,
    timeouts_in_a_row: AtomicU32,
    paused_until_ms: AtomicU64,
    time: SystemClock,
}

struct Pause(Duration);

impl Link {
    pub(super) fn new(pool: Pool, connect_limit: Duration) -> Self {
        Self {
            pool,
            connect_limit,
            current: ArcSwapOption::empty(),
            connecting: tokio::sync::Mutex::new(Pause(FIRST_PAUSE)),
            timeouts_in_a_row: AtomicU32::new(0),
            paused_until_ms: AtomicU64::new(0),
            time: SystemClock::default(),
        }
    }

    /// The connection, made if there is none.
    pub(super) async fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        if let Some(connection) = &*self.current.load() {
            return Ok(MultiplexedConnection::clone(connection));
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let resting = || StoreError::Unavailable {
            cause: "waiting before the next try".to_owned(),
        };
        if self.now_ms() < self.paused_until_ms.load(Ordering::Relaxed) {
            return Err(resting());
        }
        let mut pause = tokio::time::timeout(self.connect_limit, self.connecting.lock())
            .await
            .or(Err(StoreError::TimedOut))?;
        if let Some(connection) = &*self.current.load() {
            return Ok(MultiplexedConnection::clone(connection));
        }
        if self.now_ms() < self.paused_until_ms.load(Ordering::Relaxed) {
            return Err(resting());
        }
        let made = tokio::time::timeout(self.connect_limit, self.pool.get()).await;
        let made = match made {
            Ok(Ok(connection)) => Ok(Connection::take(connection)),
            Ok(Err(cause)) => Err(StoreError::Unavailable {
                cause: cause.to_string(),
            }),
            Err(_) => Err(StoreError::TimedOut),
        };
        match made {
            Ok(connection) => {
                pause.0 = FIRST_PAUSE;
                self.timeouts_in_a_row.store(0, Ordering::Relaxed);
                self.current.store(Some(Arc::new(connection.clone())));
                metrics::connected();
                Ok(connection)
            }
            Err(error) => {
                let until = self.now_ms().saturating_add(ms(pause.0));
                self.paused_until_ms.store(until, Ordering::Relaxed);
                pause.0 = (pause.0 * 2).min(LONGEST_PAUSE);
                Err(error)
            }
        }
    }

    /// Judges an answer: a connection gone bad is thrown away, the next caller makes a new one.
    pub(super) fn judge<T>(&self, answer: Result<T, RedisError>) -> Result<T, StoreError> {
        let error = match answer {
            Ok(value) => {
                self.timeouts_in_a_row.store(0, Ordering::Relaxed);
                return Ok(value);
            }
            Err(error) => error,
        };
        metrics::command_failed();
        let timeouts = if error.is_timeout() {
            self.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed) + 1
        } else {
            0
        };
        let timed_out_too_often = timeouts >= TIMEOUTS_UNTIL_THROWN_AWAY;
        if timed_out_too_often || (!error.is_timeout() && spoils_the_connection(&error)) {
            self.current.store(None);
            metrics::thrown_away();
        }
        Err(error.into())
    }

    fn now_ms(&self) -> u64 {
        ms(self.time.monotonic())
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("connected", &self.current.load().is_some())
            .finish_non_exhaustive()
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

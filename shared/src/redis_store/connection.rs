//! Connections that are thrown away when they have gone bad.
//!
//! A connection that answers READONLY after a demotion, or that only times out, would otherwise be
//! kept for ever. Connecting is single-flight and backs off, so that a dead Redis is not hammered
//! and callers fail fast meanwhile.
//!
//! A firewall on the way may have forgotten a connection that was quiet: it is closed as a question
//! goes out, or swallows it. That is no failure: what may be asked twice is asked once more over a new
//! connection. A borrowed connection is tried by a PING before it is lent.

use super::error::{StoreError, is_dead, spoils_the_connection};
use super::metrics;
use crate::process::clock::{Clock, SystemClock};
use crate::process::crypto;
use crate::process::tasks::Tasks;
use crate::settings::{RedisSettings, read_file};
use arc_swap::ArcSwapOption;
use deadpool_redis::{Connection, Manager, Pool, Runtime, Timeouts};
use futures_util::future::{BoxFuture, Either, select};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisError,
    TlsCertificates,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const TIMEOUTS_UNTIL_THROWN_AWAY: u32 = 3;
/// A quiet connection shows itself so often, and is given up after as many times unanswered.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVES: u32 = 3;

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
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 2)
        .with_retries(KEEPALIVES);
    let info = info
        .set_redis_settings(login)
        .set_tcp_settings(TcpSettings::default().set_keepalive(keepalive));
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
    /// How long a PING may take before no connection is trusted that lies idle.
    silence: Duration,
}

impl Lender {
    pub(super) fn new(pool: Pool, silence: Duration) -> Self {
        Self {
            pool,
            home: Tasks::new(),
            silence,
        }
    }

    async fn connection(&self) -> Result<Connection, StoreError> {
        let (lend, borrowed) = oneshot::channel();
        let (pool, silence) = (self.pool.clone(), self.silence);
        self.home.spawn_unawaited("redis-connection", async move {
            let connection = match tokio::time::timeout(silence, pool.get()).await {
                Ok(connection) => connection,
                // Where one is dead the others are: trying each would take too long.
                Err(_elapsed) => {
                    drop(pool.retain(|_, _| false));
                    pool.get().await
                }
            };
            // A borrower that left gives its connection back to the pool.
            drop(lend.send(connection));
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

/// Whether work may be done again that may have been done already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It reads, or does the same twice as once.
    Harmless,
    /// Done twice it would do something else.
    Never,
}

/// Lends a connection for one piece of work and takes it back only if it is still good. Work whose
/// connection dies is done once more over another one, if that is harmless.
///
/// Dropped half-way through an answer (a cancelled caller), the connection is still sound: answers are
/// matched to questions by the multiplexer.
pub(super) async fn with_lent<T>(
    lender: &Lender,
    limit: Duration,
    repeat: Repeat,
    work: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError> + Clone,
) -> Result<T, StoreError> {
    let mut may_repeat = repeat == Repeat::Harmless;
    loop {
        // The pool tries one old connection after the other; together they get one limit.
        let mut connection = tokio::time::timeout(limit, lender.connection())
            .await
            .or(Err(StoreError::TimedOut))??;
        let error = match work.clone()(&mut connection).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if spoils_the_connection(&error) || error.is_timeout() {
            drop(Connection::take(connection));
        }
        metrics::command_failed();
        if !(std::mem::take(&mut may_repeat) && is_dead(&error)) {
            return Err(error.into());
        }
    }
}

/// One connection kept by one reader.
pub(super) struct Link {
    pool: Pool,
    connect_limit: Duration,
    /// How long an answer may take.
    answer_limit: Duration,
    current: ArcSwapOption<MultiplexedConnection>,
    connecting: tokio::sync::Mutex<Pause>,
    timeouts_in_a_row: AtomicU32,
    paused_until_ms: AtomicU64,
    time: SystemClock,
}

struct Pause(Duration);

impl Link {
    pub(super) fn new(pool: Pool, connect_limit: Duration, answer_limit: Duration) -> Self {
        Self {
            pool,
            connect_limit,
            answer_limit,
            current: ArcSwapOption::empty(),
            connecting: tokio::sync::Mutex::new(Pause(FIRST_PAUSE)),
            timeouts_in_a_row: AtomicU32::new(0),
            paused_until_ms: AtomicU64::new(0),
            time: SystemClock::default(),
        }
    }

    /// Asks, over the kept connection if there is one. If that dies, or is silent for half of the time
    /// an answer may take, the question is asked once more over a new one: it must only read.
    pub(super) async fn ask<T: FromRedisValue + Send>(
        &self,
        question: &redis::Pipeline,
    ) -> Result<T, StoreError> {
        let Some(kept) = self.current.load_full() else {
            return self.ask_instead_of(None, question).await;
        };
        let mut first = std::pin::pin!(query(&kept, question));
        match tokio::time::timeout(self.answer_limit / 2, &mut first).await {
            Ok(Err(error)) if is_dead(&error) => {
                let _dead = self.judge::<T>(&kept, Err(error));
                self.ask_instead_of(Some(&kept), question).await
            }
            Ok(answer) => self.judge(&kept, answer),
            Err(_elapsed) => {
                let again = self.ask_instead_of(Some(&kept), question);
                match select(first, again).await {
                    Either::Left((Err(error), again)) => {
                        let failed = self.judge(&kept, Err(error));
                        again.await.or(failed)
                    }
                    Either::Left((answer, _)) => self.judge(&kept, answer),
                    Either::Right((Err(_failed), first)) => self.judge(&kept, first.await),
                    Either::Right((answer, _)) => answer,
                }
            }
        }
    }

    /// Asks over another connection than this one, for as long as an answer may take. On the heap: it
    /// is rare, and large.
    fn ask_instead_of<'a, T: FromRedisValue + Send + 'a>(
        &'a self,
        bad: Option<&'a Arc<MultiplexedConnection>>,
        question: &'a redis::Pipeline,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let asking = async move {
            let new = self.connection_instead_of(bad).await?;
            self.judge(&new, query(&new, question).await)
        };
        let limit = self.connect_limit + self.answer_limit;
        let limit = bad.map_or(limit, |_| self.answer_limit);
        Box::pin(async move {
            tokio::time::timeout(limit, asking)
                .await
                .unwrap_or(Err(StoreError::TimedOut))
        })
    }

    /// The connection, made if there is none but this one.
    async fn connection_instead_of(
        &self,
        bad: Option<&Arc<MultiplexedConnection>>,
    ) -> Result<Arc<MultiplexedConnection>, StoreError> {
        let another = || {
            let current = self.current.load_full();
            current.filter(|current| bad.is_none_or(|bad| !Arc::ptr_eq(bad, current)))
        };
        let resting = || StoreError::Unavailable {
            cause: "waiting before the next try".to_owned(),
        };
        if self.now_ms() < self.paused_until_ms.load(Ordering::Relaxed) {
            return Err(resting());
        }
        let mut pause = tokio::time::timeout(self.connect_limit, self.connecting.lock())
            .await
            .or(Err(StoreError::TimedOut))?;
        if let Some(connection) = another() {
            return Ok(connection);
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
                let connection = Arc::new(connection);
                self.current.store(Some(Arc::clone(&connection)));
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
    fn judge<T>(
        &self,
        used: &Arc<MultiplexedConnection>,
        answer: Result<T, RedisError>,
    ) -> Result<T, StoreError> {
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
            // Others may have made a new one meanwhile.
            let current = self.current.load_full();
            if current.is_some_and(|current| Arc::ptr_eq(&current, used)) {
                self.current.store(None);
                metrics::thrown_away();
            }
        }
        Err(error.into())
    }

    fn now_ms(&self) -> u64 {
        ms(self.time.monotonic())
    }
}

async fn query<T: FromRedisValue>(
    connection: &MultiplexedConnection,
    question: &redis::Pipeline,
) -> Result<T, RedisError> {
    question.query_async(&mut connection.clone()).await
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

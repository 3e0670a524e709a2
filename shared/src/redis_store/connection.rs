//! Multiplexed connections that are thrown away when they have gone bad.
//!
//! A connection that answers READONLY after a demotion, or that only times out, would otherwise be
//! kept for ever: redis-rs' own `ConnectionManager` stays on a demoted or frozen server (measured).
//! Connecting is single-flight and backs off, so that a dead Redis is not hammered and callers fail
//! fast meanwhile.
//!
//! A firewall on the way may have forgotten a connection that was quiet: it is closed as a request
//! goes out, or swallows it. That is no failure. What may be asked twice is asked once more over a new
//! connection. What may not is sent over a connection that was in use a moment ago, or has answered a
//! PING.

use super::error::{StoreError, is_dead, is_no_script, spoils_the_connection};
use super::metrics;
use crate::process::clock::{Clock, SystemClock};
use crate::process::crypto;
use crate::process::tasks::Tasks;
use crate::settings::{RedisSettings, read_file};
use arc_swap::ArcSwapOption;
use futures_util::future::{BoxFuture, Either, select};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    TlsCertificates,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const TIMEOUTS_UNTIL_THROWN_AWAY: u32 = 3;
/// A quiet connection shows itself so often, and is given up after as many times unanswered.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVES: u32 = 3;
/// A connection that was not used for this long is tried before it is trusted with what may not be
/// sent twice.
const QUIET: Duration = Duration::from_millis(250);

/// How to reach the server.
pub(super) fn client(settings: &RedisSettings) -> Result<Client, StoreError> {
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
        return Client::open(info).map_err(|e| wrong("url", &e));
    };
    let pem = read_file(path).map_err(|cause| StoreError::Settings {
        key: "ca_file",
        problem: format!("{} cannot be read: {cause}", path.display()),
    })?;
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(pem),
    };
    Client::build_with_tls(info, certificates).map_err(|e| wrong("ca_file", &e))
}

#[derive(Debug, Clone)]
pub(super) enum Use {
    /// Questions of the thread that asks, over a connection of that thread's runtime.
    Reading,
    /// Scripts and records of the whole process. The connection lives on these tasks' runtime: those of
    /// a web server's threads end one by one while others still work. A quiet connection is tried by a
    /// PING that may take this long.
    Scripts(Tasks, Duration),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connect: Duration,
    pub(super) answer: Duration,
}

/// One connection, made when it is needed and made again when it has gone bad.
pub(super) struct Link {
    client: Client,
    used_for: Use,
    limits: Limits,
    current: ArcSwapOption<Kept>,
    /// The pause after the next failure to connect.
    connecting: Mutex<Duration>,
    timeouts_in_a_row: AtomicU32,
    paused_until_ms: AtomicU64,
    time: SystemClock,
}

struct Kept {
    connection: MultiplexedConnection,
    used_ms: AtomicU64,
}

impl Link {
    pub(super) fn new(client: Client, used_for: Use, limits: Limits) -> Self {
        Self {
            client,
            used_for,
            limits,
            current: ArcSwapOption::empty(),
            connecting: Mutex::new(FIRST_PAUSE),
            timeouts_in_a_row: AtomicU32::new(0),
            paused_until_ms: AtomicU64::new(0),
            time: SystemClock::default(),
        }
    }

    /// Sends what does something else when it is done twice: once. What the connection's death leaves
    /// open, the caller finds out by reading.
    pub(super) async fn send_once<T: FromRedisValue + Send>(
        &self,
        request: &Pipeline,
    ) -> Result<T, StoreError> {
        let connection = match self.trusted().await {
            Ok(connection) => connection,
            Err(bad) => self.connection_instead_of(bad.as_ref()).await?,
        };
        self.judge(&connection, self.query(&connection, request).await)
    }

    /// Asks what reads, or does the same twice as once. If the connection dies, or is silent for half of
    /// the time an answer may take, it is asked once more over a new one.
    pub(super) async fn ask<T: FromRedisValue + Send>(
        &self,
        question: &Pipeline,
    ) -> Result<T, StoreError> {
        let kept = match self.trusted().await {
            Ok(connection) => connection,
            Err(bad) => return self.ask_instead_of(bad.as_ref(), question).await,
        };
        let mut first = std::pin::pin!(self.query(&kept, question));
        match tokio::time::timeout(self.limits.answer / 2, &mut first).await {
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
        bad: Option<&'a Arc<Kept>>,
        question: &'a Pipeline,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let asking = async move {
            let new = self.connection_instead_of(bad).await?;
            self.judge(&new, self.query(&new, question).await)
        };
        let limit = bad.map_or(self.limits.connect + self.limits.answer, |_| {
            self.limits.answer
        });
        Box::pin(async move {
            tokio::time::timeout(limit, asking)
                .await
                .unwrap_or(Err(StoreError::TimedOut))
        })
    }

    /// The connection there is. The error is the one that must not be used, if any.
    async fn trusted(&self) -> Result<Arc<Kept>, Option<Arc<Kept>>> {
        let kept = self.current.load_full().ok_or(None)?;
        let Use::Scripts(_, silence) = self.used_for else {
            return Ok(kept);
        };
        let quiet_for = self
            .now_ms()
            .saturating_sub(kept.used_ms.load(Ordering::Relaxed));
        if quiet_for < ms(QUIET) {
            return Ok(kept);
        }
        let mut ping = redis::pipe();
        ping.cmd("PING");
        let answer = tokio::time::timeout(silence, self.query::<[String; 1]>(&kept, &ping));
        match answer.await {
            Ok(Ok(_pong)) => Ok(kept),
            Ok(Err(_)) | Err(_) => Err(Some(kept)),
        }
    }

    /// The connection, made if there is none but this one.
    async fn connection_instead_of(
        &self,
        bad: Option<&Arc<Kept>>,
    ) -> Result<Arc<Kept>, StoreError> {
        self.check_pause()?;
        let mut pause = tokio::time::timeout(self.limits.connect, self.connecting.lock())
            .await
            .or(Err(StoreError::TimedOut))?;
        let current = self.current.load_full();
        let is_another = |current: &Arc<Kept>| bad.is_none_or(|bad| !Arc::ptr_eq(bad, current));
        if let Some(another) = current.filter(is_another) {
            return Ok(another);
        }
        self.check_pause()?;
        let made = tokio::time::timeout(self.limits.connect, self.connect())
            .await
            .unwrap_or(Err(StoreError::TimedOut));
        match made {
            Ok(connection) => {
                *pause = FIRST_PAUSE;
                self.timeouts_in_a_row.store(0, Ordering::Relaxed);
                let kept = Arc::new(Kept {
                    connection,
                    used_ms: AtomicU64::new(self.now_ms()),
                });
                self.current.store(Some(Arc::clone(&kept)));
                metrics::connected();
                Ok(kept)
            }
            Err(error) => {
                let until = self.now_ms().saturating_add(ms(*pause));
                self.paused_until_ms.store(until, Ordering::Relaxed);
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                Err(error)
            }
        }
    }

    fn check_pause(&self) -> Result<(), StoreError> {
        if self.now_ms() < self.paused_until_ms.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable {
                cause: "waiting before the next try".to_owned(),
            });
        }
        Ok(())
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limits.connect))
            .set_response_timeout(Some(self.limits.answer));
        let client = self.client.clone();
        let connecting = async move {
            client
                .get_multiplexed_async_connection_with_config(&config)
                .await
        };
        let made = match &self.used_for {
            Use::Reading => connecting.await,
            Use::Scripts(tasks, _) => {
                let (give, made) = oneshot::channel();
                tasks.spawn_unawaited("redis-connection", async move {
                    drop(give.send(connecting.await));
                });
                let ending = |_dropped| StoreError::Unavailable {
                    cause: "the process is about to end".to_owned(),
                };
                made.await.map_err(ending)?
            }
        };
        made.map_err(|cause| match StoreError::from(cause) {
            StoreError::TimedOut => StoreError::TimedOut,
            other => StoreError::Unavailable {
                cause: other.to_string(),
            },
        })
    }

    /// Judges an answer: a connection gone bad is thrown away, the next caller makes a new one.
    fn judge<T>(&self, used: &Arc<Kept>, answer: Result<T, RedisError>) -> Result<T, StoreError> {
        let error = match answer {
            Ok(value) => {
                self.timeouts_in_a_row.store(0, Ordering::Relaxed);
                return Ok(value);
            }
            // It is loaded and called again.
            Err(error) if is_no_script(&error) => return Err(error.into()),
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

    async fn query<T: FromRedisValue>(
        &self,
        kept: &Kept,
        request: &Pipeline,
    ) -> Result<T, RedisError> {
        let answer = request.query_async(&mut kept.connection.clone()).await;
        kept.used_ms.store(self.now_ms(), Ordering::Relaxed);
        answer
    }

    fn now_ms(&self) -> u64 {
        ms(self.time.monotonic())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("connected", &self.current.load().is_some())
            .finish_non_exhaustive()
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

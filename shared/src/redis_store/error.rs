//! What can go wrong between us and Redis.

use redis::{ErrorKind, RedisError};

/// Longest explanation that is kept, in characters.
const LONGEST_DETAIL: usize = 200;

/// A failed exchange with Redis. Never carries a value or a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nobody answers, or the connection broke.
    #[error("Redis cannot be reached: {cause}")]
    Unavailable { cause: String },
    /// No answer inside the time allowed.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// Redis is there and will not do it (full, read-only, loading, no permission).
    #[error("Redis refused: {code} {detail}")]
    Refused {
        /// Redis' error code, for example `OOM`, `READONLY`, `NOPERM`.
        code: String,
        detail: String,
    },
    /// Redis came to a call only after its caller's time was over; it granted and changed nothing.
    #[error("Redis came to it too late; nothing was granted")]
    TooLate,
    /// An answer of a shape that was not asked for.
    #[error("Redis answered {what} in an unexpected form")]
    Misbehaved { what: &'static str },
    /// Another server has taken over since the cycle was opened.
    #[error("Redis was replaced while the cycle was under way; lines may be lost with the old one")]
    Replaced,
    /// Lines were refused: their stamps lie ahead of Redis' clock, which was set back meanwhile.
    #[error("Redis' clock was set back; lines read before are stamped too far ahead of it")]
    ClockSetBack,
    /// The feed is read with other settings than the lines.
    #[error("the feed is read with other settings by now; lines read with these are not stored")]
    OtherSettings,
    /// The settings cannot be turned into a connection.
    #[error("setting redis.{key}: {problem}")]
    Settings {
        /// The key below `[redis]`.
        key: &'static str,
        problem: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::TimedOut | Self::TooLate => true,
            Self::Refused { code, .. } => code != "NOPERM" && code != "WRONGPASS",
            Self::Misbehaved { .. }
            | Self::Replaced
            | Self::ClockSetBack
            | Self::OtherSettings
            | Self::Settings { .. } => false,
        }
    }

    /// Whether this user may not do it.
    pub(super) fn is_no_right(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "NOPERM")
    }

    /// Whether something else stands under the key that was read than we write there. Other keys can
    /// be read.
    pub(super) fn is_about_this_key(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code == "WRONGTYPE",
            Self::Misbehaved { .. } => true,
            _ => false,
        }
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        if let Some((code, detail)) = server_error(&error) {
            let detail = detail.chars().take(LONGEST_DETAIL).collect();
            return Self::Refused { code, detail };
        }
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
                Self::Misbehaved { what: "a command" }
            }
            _ => Self::Unavailable {
                cause: error.category().to_owned(),
            },
        }
    }
}

/// The server's code and explanation; of several commands those of the first that failed.
fn server_error(error: &RedisError) -> Option<(String, String)> {
    let errors = error.clone().into_server_errors()?;
    Some(match errors.first() {
        Some((_, first)) => {
            let detail = first.details().unwrap_or_default();
            (first.code().to_owned(), detail.to_owned())
        }
        // A transaction that was given up.
        None => ("EXECABORT".to_owned(), error.to_string()),
    })
}

/// Whether a question's connection died, so that nobody knows whether it came through.
pub(super) fn is_dead(error: &RedisError) -> bool {
    !error.is_timeout() && (error.is_io_error() || error.is_connection_dropped())
}

/// Whether Redis has forgotten the script that was called.
pub(super) fn is_no_script(error: &RedisError) -> bool {
    server_error(error).is_some_and(|(code, _)| code == "NOSCRIPT")
}

/// Whether a connection that gave this error must not be used again.
pub(super) fn spoils_the_connection(error: &RedisError) -> bool {
    let says_so = |code: &str| matches!(code, "NOREPLICAS" | "READONLY" | "MASTERDOWN" | "LOADING");
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || server_error(error).is_some_and(|(code, _)| says_so(&code))
}

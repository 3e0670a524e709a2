//! Fields that both questions have.

use crate::error::ApiError;
use crate::http::asked_skus::AskedSkus;
use crate::http::question_body::{number, text};
use crate::live::failure::OnLiveFailure;
use serde_json::value::RawValue;
use shared::settings::{ApiSettings, LimitSettings};
use shared::stock::Quantity;
use std::time::Duration;

/// The longest age a caller may name: a year.
pub(crate) const LONGEST_MAX_AGE_SECONDS: i64 = 31_536_000;
/// The shortest deadline a caller may name: under it no ERP across a network could answer, and the
/// question would only cost it work.
pub(crate) const SHORTEST_TIMEOUT_MS: i64 = 200;

/// At most as many SKUs as one live question may name.
pub(crate) fn check_live_size(skus: &AskedSkus, limits: &LimitSettings) -> Result<(), ApiError> {
    if skus.all().len() > limits.live_skus {
        return Err(ApiError::TooLarge {
            path: skus.list_path().to_owned(),
            name: "liveSkus",
            limit: limits.live_skus,
        });
    }
    Ok(())
}

/// Reads `onLiveFailure`.
pub(crate) fn on_live_failure(raw: &RawValue) -> Result<OnLiveFailure, ApiError> {
    let word = text(raw, "$.onLiveFailure")?;
    match &*word {
        word if word.eq_ignore_ascii_case("FAIL") => Ok(OnLiveFailure::Fail),
        word if word.eq_ignore_ascii_case("CACHE") => Ok(OnLiveFailure::Cache),
        _ => Err(ApiError::invalid(
            "$.onLiveFailure",
            "must be FAIL or CACHE",
        )),
    }
}

/// Reads `timeoutMs`; the default deadline without it.
pub(crate) fn timeout(
    raw: Option<&RawValue>,
    settings: &ApiSettings,
) -> Result<Duration, ApiError> {
    const PATH: &str = "$.timeoutMs";
    let Some(raw) = raw else {
        return Ok(settings.live.default_deadline);
    };
    let longest = settings.live.longest_deadline;
    let asked = whole_number(number(raw, PATH)?);
    let is_short = asked.is_some_and(|ms| ms < SHORTEST_TIMEOUT_MS);
    let longest_ms = whole_ms(longest);
    asked
        .filter(|_| !is_short)
        .and_then(|ms| u64::try_from(ms).ok())
        .map(Duration::from_millis)
        .filter(|timeout| *timeout <= longest)
        .ok_or_else(|| {
            let (name, limit) = if is_short {
                ("shortestTimeoutMs", SHORTEST_TIMEOUT_MS.unsigned_abs())
            } else {
                ("longestTimeoutMs", longest_ms)
            };
            ApiError::OutOfRange {
                path: PATH.to_owned(),
                problem: format!(
                    "must be a whole number of milliseconds from {SHORTEST_TIMEOUT_MS} to {longest_ms}"
                ),
                name,
                limit,
            }
        })
}

/// `900`, also written `900.0` or `9e2`.
pub(crate) fn whole_number(text: &str) -> Option<i64> {
    Quantity::parse(text).ok()?.as_integer()
}

/// As limits are told.
pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

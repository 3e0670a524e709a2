//! Values of fields that both questions have, judged.

use crate::error::ApiError;
use crate::http::asked_skus::AskedSkus;
use crate::http::question_body::{LONGEST_LIST, Number, Text};
use crate::live::failure::OnLiveFailure;
use shared::settings::{ApiSettings, LimitSettings};
use shared::stock::Quantity;
use std::time::Duration;

/// The longest age a caller may name: a year.
pub(crate) const LONGEST_MAX_AGE_SECONDS: u64 = 31_536_000;
/// The shortest deadline a caller may name: under it no ERP across a network could answer, and the
/// question would only cost it work.
pub(crate) const SHORTEST_TIMEOUT_MS: u64 = 200;
/// SKUs of a GET: that many of legal length fit the longest address the server can read (128 KiB,
/// headers included) even when every character takes its longest escape.
const MOST_SKUS_IN_AN_ADDRESS: usize = 32;

/// How many SKUs a body may name.
pub(crate) fn body_skus(limits: &LimitSettings) -> usize {
    limits.skus.min(LONGEST_LIST)
}

/// How many SKUs a GET may name.
pub(crate) fn address_skus(limits: &LimitSettings) -> usize {
    limits.skus.min(MOST_SKUS_IN_AN_ADDRESS)
}

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

/// One of these words, whatever its case.
pub(crate) fn word<T: Copy>(
    text: &Text<'_>,
    path: &str,
    words: [(&str, T); 2],
) -> Result<T, ApiError> {
    let meant = words
        .iter()
        .find(|(word, _)| text.0.eq_ignore_ascii_case(word));
    let [(first, _), (second, _)] = words;
    meant
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| ApiError::invalid(path, format!("must be {first} or {second}")))
}

/// Reads `onLiveFailure`.
pub(crate) fn on_live_failure(text: &Text<'_>) -> Result<OnLiveFailure, ApiError> {
    let words = [
        ("FAIL", OnLiveFailure::Fail),
        ("CACHE", OnLiveFailure::Cache),
    ];
    word(text, "$.onLiveFailure", words)
}

/// Reads `timeoutMs`; the default deadline without it.
pub(crate) fn timeout(
    given: Option<Number<'_>>,
    settings: &ApiSettings,
) -> Result<Duration, ApiError> {
    let Some(Number(text)) = given else {
        return Ok(settings.live.default_deadline);
    };
    let (shortest, longest) = (
        SHORTEST_TIMEOUT_MS,
        whole_ms(settings.live.longest_deadline),
    );
    let asked = whole_number(text);
    if let Some(ms) = asked.and_then(|ms| u64::try_from(ms).ok())
        && (shortest..=longest).contains(&ms)
    {
        return Ok(Duration::from_millis(ms));
    }
    let is_short = asked.is_some_and(|ms| ms < shortest.cast_signed());
    let (name, limit) = if is_short {
        ("shortestTimeoutMs", shortest)
    } else {
        ("longestTimeoutMs", longest)
    };
    Err(ApiError::OutOfRange {
        path: "$.timeoutMs".to_owned(),
        problem: format!("must be a whole number of milliseconds from {shortest} to {longest}"),
        name,
        limit,
    })
}

/// A number of seconds, from `shortest` to a limit of this name.
pub(crate) fn seconds(
    text: &str,
    path: &str,
    shortest: u64,
    (name, longest): (&'static str, u64),
) -> Result<Duration, ApiError> {
    whole_number(text)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| (shortest..=longest).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| ApiError::OutOfRange {
            path: path.to_owned(),
            problem: format!("must be a whole number of seconds from {shortest} to {longest}"),
            name,
            limit: longest,
        })
}

/// `900`, also written `900.0` or `9e2`.
fn whole_number(text: &str) -> Option<i64> {
    Quantity::parse(text).ok()?.as_integer()
}

pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

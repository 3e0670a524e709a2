//! JSON or query string in -> a question, parsed, deduplicated and limited.

use crate::asked_skus::{AskedSkus, MentionedIn};
use crate::channel_scope::{AskedScope, Places};
use crate::error::ApiError;
use crate::live_look_up::OnLiveFailure;
use crate::question_body::{self, number, text};
use crate::service_limits::whole_ms;
use serde_json::value::RawValue;
use shared::settings::{ApiSettings, LimitSettings};
use shared::stock::Quantity;
use std::borrow::Cow;
use std::time::Duration;

/// The longest age a caller may name: a year.
pub(crate) const LONGEST_MAX_AGE_SECONDS: i64 = 31_536_000;
/// The shortest deadline a caller may name: under it no ERP across a network could answer, and the
/// question would only cost it work.
pub(crate) const SHORTEST_TIMEOUT_MS: i64 = 200;

/// How sure the answer must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Severity {
    /// From Redis.
    #[default]
    Fast,
    /// From D365, live.
    Exact,
}

/// "What can I show?"
#[derive(Debug)]
pub(crate) struct StockQuestion<'a> {
    /// Whose stock.
    pub scope: AskedScope<'a>,
    /// How sure.
    pub severity: Severity,
    /// How old a cached number may be.
    pub max_age: Option<Duration>,
    /// How long the caller waits.
    pub timeout: Duration,
    /// What an EXACT question without a live answer gets.
    pub on_live_failure: OnLiveFailure,
    /// Which SKUs.
    pub skus: AskedSkus,
}

impl<'a> StockQuestion<'a> {
    /// Reads a JSON body.
    pub(crate) fn of_body(body: &'a [u8], settings: &ApiSettings) -> Result<Self, ApiError> {
        let limits = &settings.limits;
        let body = question_body::read(body, limits.skus)?;
        let scope = AskedScope::of_body(&body, limits.warehouses)?;
        let severity = body.severity.map_or(Ok(Severity::Fast), severity)?;
        let max_age = body.max_age_seconds.map(max_age).transpose()?;
        let timeout = timeout(body.timeout_ms, settings)?;
        let on_live_failure = body
            .on_live_failure
            .map_or(Ok(OnLiveFailure::Fail), on_live_failure)?;
        let skus = match (&body.products, &body.skus) {
            (Some(products), None) => AskedSkus::read(
                products.iter().map(|product| product_sku(product)),
                MentionedIn::Products,
                limits.skus,
            )?,
            (None, Some(skus)) => AskedSkus::read(
                skus.iter().map(|sku| &*sku.0),
                MentionedIn::Skus,
                limits.skus,
            )?,
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid(
                    "$.skus",
                    "give products or skus, not both",
                ));
            }
            (None, None) => {
                return Err(ApiError::invalid("$.products", "name at least one SKU"));
            }
        }
        .0;
        if severity == Severity::Exact {
            check_live_size(&skus, limits)?;
        }
        Ok(Self {
            scope,
            severity,
            max_age,
            timeout,
            on_live_failure,
            skus,
        })
    }

    /// Reads a query string: `sku` (repeated), `warehouseId` (repeated), `organization`,
    /// `channel`, `maxAgeSeconds`. Other names are ignored.
    pub(crate) fn of_query(query: &'a str, settings: &ApiSettings) -> Result<Self, ApiError> {
        let limits = &settings.limits;
        let mut skus: Vec<Cow<'a, str>> = Vec::new();
        let mut warehouses: Vec<Cow<'a, str>> = Vec::new();
        let mut scope = AskedScope {
            places: Places::Query,
            ..AskedScope::default()
        };
        let mut age = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value)?;
            match &*decoded(name)? {
                "sku" => skus.push(value),
                "warehouseId" => warehouses.push(value),
                "organization" => set_once(&mut scope.organization, value, "organization")?,
                "channel" => set_once(&mut scope.channel, value, "channel")?,
                "maxAgeSeconds" => set_once(&mut age, value, "maxAgeSeconds")?,
                "severity" if !value.eq_ignore_ascii_case("FAST") => {
                    return Err(ApiError::invalid(
                        "severity",
                        "GET answers from the cache only; ask EXACT by POST",
                    ));
                }
                _ => {}
            }
        }
        if !warehouses.is_empty() {
            scope.warehouses = Some(warehouses);
        }
        let (skus, _) = AskedSkus::read(
            skus.iter().map(AsRef::as_ref),
            MentionedIn::Query,
            address_skus(limits),
        )?;
        Ok(Self {
            scope,
            severity: Severity::Fast,
            max_age: age.map(|text| age_of(&text, "maxAgeSeconds")).transpose()?,
            timeout: settings.live.default_deadline,
            on_live_failure: OnLiveFailure::Cache,
            skus,
        })
    }
}

/// SKUs of a GET: that many of legal length fit the longest address the server can read (128 KiB,
/// headers included) even when every character takes its longest escape.
const MOST_SKUS_IN_AN_ADDRESS: usize = 32;

/// How many SKUs a GET may name.
pub(crate) fn address_skus(limits: &LimitSettings) -> usize {
    limits.skus.min(MOST_SKUS_IN_AN_ADDRESS)
}

fn product_sku<'p>(product: &'p question_body::ProductEntry<'_>) -> &'p str {
    // A product without a SKU was refused while the body was read.
    product.sku.as_ref().map_or("", |sku| &*sku.0)
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

fn severity(raw: &RawValue) -> Result<Severity, ApiError> {
    let word = text(raw, "$.severity")?;
    match &*word {
        word if word.eq_ignore_ascii_case("FAST") => Ok(Severity::Fast),
        word if word.eq_ignore_ascii_case("EXACT") => Ok(Severity::Exact),
        _ => Err(ApiError::invalid("$.severity", "must be FAST or EXACT")),
    }
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

fn max_age(raw: &RawValue) -> Result<Duration, ApiError> {
    age_of(number(raw, "$.maxAgeSeconds")?, "$.maxAgeSeconds")
}

fn age_of(text: &str, path: &str) -> Result<Duration, ApiError> {
    let seconds = whole_number(text)
        .filter(|seconds| (0..=LONGEST_MAX_AGE_SECONDS).contains(seconds))
        .and_then(|seconds| u64::try_from(seconds).ok());
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| ApiError::OutOfRange {
            path: path.to_owned(),
            problem: format!(
                "must be a whole number of seconds from 0 to {LONGEST_MAX_AGE_SECONDS}"
            ),
            name: "maxAgeSeconds",
            limit: LONGEST_MAX_AGE_SECONDS.unsigned_abs(),
        })
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
fn whole_number(text: &str) -> Option<i64> {
    Quantity::parse(text).ok()?.as_integer()
}

pub(crate) fn set_once<'a>(
    place: &mut Option<Cow<'a, str>>,
    value: Cow<'a, str>,
    name: &str,
) -> Result<(), ApiError> {
    if place.replace(value).is_some() {
        return Err(ApiError::invalid(name, "may be given once"));
    }
    Ok(())
}

/// Decodes one side of a query pair. Bytes that are no UTF-8 are refused rather than replaced: a
/// replaced one would be another SKU.
pub(crate) fn decoded(text: &str) -> Result<Cow<'_, str>, ApiError> {
    if !text.contains('+') {
        return percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .or(Err(ApiError::UnreadableQuery));
    }
    let with_blanks = text.replace('+', " ");
    percent_encoding::percent_decode_str(&with_blanks)
        .decode_utf8()
        .map(|decoded| Cow::Owned(decoded.into_owned()))
        .or(Err(ApiError::UnreadableQuery))
}

#[cfg(test)]
mod tests;

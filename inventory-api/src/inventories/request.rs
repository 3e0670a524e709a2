//! JSON or query string in -> a question, parsed, deduplicated and limited.

use crate::error::ApiError;
use crate::http::asked_skus::{AskedSkus, MentionedIn};
use crate::http::query::{decoded, set_once};
use crate::http::question_body::{self, number, text};
use crate::http::question_fields::{
    LONGEST_MAX_AGE_SECONDS, check_live_size, on_live_failure, timeout, whole_number,
};
use crate::live::failure::OnLiveFailure;
use crate::tenants::scope::{AskedScope, Places};
use serde_json::value::RawValue;
use shared::settings::{ApiSettings, LimitSettings};
use std::borrow::Cow;
use std::time::Duration;

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

fn severity(raw: &RawValue) -> Result<Severity, ApiError> {
    let word = text(raw, "$.severity")?;
    match &*word {
        word if word.eq_ignore_ascii_case("FAST") => Ok(Severity::Fast),
        word if word.eq_ignore_ascii_case("EXACT") => Ok(Severity::Exact),
        _ => Err(ApiError::invalid("$.severity", "must be FAST or EXACT")),
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

#[cfg(test)]
mod tests;

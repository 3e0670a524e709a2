//! JSON or query string in -> a question, parsed, deduplicated and limited.

use crate::error::ApiError;
use crate::http::asked_skus::{AskedSkus, MentionedIn};
use crate::http::query;
use crate::http::question_body;
use crate::http::question_fields::{
    LONGEST_MAX_AGE_SECONDS, address_skus, body_skus, check_live_size, on_live_failure, seconds,
    timeout, word,
};
use crate::live::failure::OnLiveFailure;
use crate::tenants::scope::AskedScope;
use serde::Serialize;
use shared::settings::ApiSettings;
use std::borrow::Cow;
use std::time::Duration;
use utoipa::ToSchema;

/// `FAST`: from the cache; `EXACT`: from D365, live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Severity {
    #[default]
    Fast,
    Exact,
}

/// "What can I show?"
#[derive(Debug)]
pub(crate) struct StockQuestion<'a> {
    pub scope: AskedScope<'a>,
    pub severity: Severity,
    /// How old a cached number may be.
    pub max_age: Option<Duration>,
    /// How long the caller waits.
    pub timeout: Duration,
    /// What an EXACT question without a live answer gets.
    pub on_live_failure: OnLiveFailure,
    pub skus: AskedSkus,
}

impl<'a> StockQuestion<'a> {
    /// Reads a JSON body.
    pub(crate) fn of_body(body: &'a [u8], settings: &ApiSettings) -> Result<Self, ApiError> {
        let limits = &settings.limits;
        let mut body = question_body::read(body)?;
        let severity = match &body.severity.0 {
            None => Severity::Fast,
            Some(text) => {
                let words = [("FAST", Severity::Fast), ("EXACT", Severity::Exact)];
                word(text, "$.severity", words)?
            }
        };
        let max_age = body.max_age_seconds.0;
        let on_live_failure = body.on_live_failure.0.as_ref().map(on_live_failure);
        let question = Self {
            severity,
            max_age: max_age
                .map(|number| max_age_of(number.0, "$.maxAgeSeconds"))
                .transpose()?,
            timeout: timeout(body.timeout_ms.0, settings)?,
            on_live_failure: on_live_failure.unwrap_or(Ok(OnLiveFailure::Fail))?,
            skus: match (&body.products.0, &body.skus.0) {
                (Some(products), None) => {
                    let skus = products.0.iter().map(|product| &*product.0.sku.0);
                    AskedSkus::read(skus, MentionedIn::Products, body_skus(limits))?.0
                }
                (None, Some(skus)) => {
                    let skus = skus.0.iter().map(|sku| &*sku.0);
                    AskedSkus::read(skus, MentionedIn::Skus, body_skus(limits))?.0
                }
                (Some(_), Some(_)) => {
                    let problem = "give products or skus, not both";
                    return Err(ApiError::invalid("$.skus", problem));
                }
                (None, None) => {
                    return Err(ApiError::invalid("$.products", "name at least one SKU"));
                }
            },
            scope: AskedScope::of_body(&mut body)?,
        };
        if question.severity == Severity::Exact {
            check_live_size(&question.skus, limits)?;
        }
        Ok(question)
    }

    /// Reads a query string: `sku` (repeated), `warehouseId` (repeated), `organization`,
    /// `channel`, `maxAgeSeconds`. Other names are ignored.
    pub(crate) fn of_query(query: &'a str, settings: &ApiSettings) -> Result<Self, ApiError> {
        let mut skus: Vec<Cow<'a, str>> = Vec::new();
        let mut scope = AskedScope::of_query();
        let mut age = None;
        for pair in query::pairs(query) {
            let (name, value) = pair?;
            match &*name {
                "sku" => skus.push(value),
                "maxAgeSeconds" => query::set_once(&mut age, value, "maxAgeSeconds")?,
                "severity" if !value.eq_ignore_ascii_case("FAST") => {
                    return Err(ApiError::invalid(
                        "severity",
                        "GET answers from the cache only; ask EXACT by POST",
                    ));
                }
                name => scope.take(name, value)?,
            }
        }
        let most = address_skus(&settings.limits);
        let mentions = skus.iter().map(AsRef::as_ref);
        let (skus, _) = AskedSkus::read(mentions, MentionedIn::Query, most)?;
        Ok(Self {
            scope,
            severity: Severity::Fast,
            max_age: age
                .map(|text| max_age_of(&text, "maxAgeSeconds"))
                .transpose()?,
            timeout: settings.live.default_deadline,
            on_live_failure: OnLiveFailure::Cache,
            skus,
        })
    }
}

fn max_age_of(text: &str, path: &str) -> Result<Duration, ApiError> {
    seconds(text, path, 0, ("maxAgeSeconds", LONGEST_MAX_AGE_SECONDS))
}

#[cfg(test)]
mod tests;

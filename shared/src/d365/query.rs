//! The query part of a D365 address, percent-encoded once and here only.

use crate::d365::filter::Filter;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;

/// What stands for itself in a query value. A blank is written `%20` and a plus `%2B`: readers
/// disagree about what a bare `+` means.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b',')
    .remove(b'(')
    .remove(b')');

/// How long a text is once it stands in a query, in characters.
pub(super) fn encoded_length(text: &str) -> usize {
    utf8_percent_encode(text, ENCODED).map(str::len).sum()
}

/// Query options in the order they were added.
#[derive(Debug, Clone)]
pub(super) struct Query(String);

impl Query {
    /// All companies the service user may see, narrowed by a filter that must name one: without
    /// either part D365 silently answers for the user's default company.
    pub(super) fn cross_company(filter: &Filter) -> Self {
        Self("cross-company=true".to_owned()).with("$filter", &filter.to_string())
    }

    /// Adds an option.
    pub(super) fn with(mut self, option: &str, value: &str) -> Self {
        self.0.push('&');
        self.0.push_str(option);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, ENCODED));
        self
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

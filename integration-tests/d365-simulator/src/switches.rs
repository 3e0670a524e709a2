//! The quirks of the `OData` dialect that nobody has settled, as switches.

use serde::{Deserialize, Serialize};

/// How a continuation link says where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PagingStyle {
    /// `$skip=10000`: seen in the field.
    #[default]
    Skip,
    /// An opaque `$skiptoken`: allowed by `OData`, not seen with this product.
    SkipToken,
}

/// How a decimal is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberStyle {
    /// `15`, `0.5`: seen in the field.
    #[default]
    Plain,
    /// `15.0`, `0.5`.
    OneDecimal,
    /// `15.000000`, `0.500000`.
    SixDecimals,
    /// `1.5E1`, `5E-1`.
    Exponent,
}

/// How the simulated environment behaves where the facts leave room. All off by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Switches {
    /// How continuation links are made.
    pub paging: PagingStyle,
    /// Scheme, host and port put into continuation links instead of the one that was called,
    /// e.g. `https://other.operations.dynamics.com`.
    pub next_link_origin: Option<String>,
    /// Honour `Prefer: odata.maxpagesize=N` as one client reports it: the second answer carries no
    /// continuation although rows remain.
    pub prefer_max_page_size: bool,
    /// Without `$orderby` every request sees the rows in another order.
    pub unstable_order: bool,
    /// How decimals are written.
    pub numbers: NumberStyle,
    /// Compress answers when the caller accepts gzip.
    pub gzip: bool,
    /// Refuse tokens whose audience ends with a slash.
    pub strict_audience: bool,
    /// Longest accepted query in characters; a longer one is answered 404 as IIS does. `0` means no limit.
    pub max_query_chars: usize,
}

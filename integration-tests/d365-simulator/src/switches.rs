//! The quirks of the `OData` dialect that nobody has settled, as switches.

use serde::Deserialize;

/// How a decimal is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberStyle {
    /// `15`, `0.5`: seen in the field.
    #[default]
    Plain,
    OneDecimal,
    SixDecimals,
    /// `1.5E1`, `5E-1`.
    Exponent,
}

/// How the simulated environment behaves where the facts leave room. All off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// How decimals are written.
    pub numbers: NumberStyle,
    /// Compress answers when the caller accepts gzip.
    pub gzip: bool,
}

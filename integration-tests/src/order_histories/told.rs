//! What a reply says about the SKU.

use d365_simulator::UtcMillis;
use serde_json::Value;

/// One line of a browse reply or of a check's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// What is offered.
    pub(super) available: i64,
    /// What orders hold; left out in the reply if it is nothing.
    pub(super) held: i64,
    /// D365's own number; checks do not tell it.
    pub(super) number: Option<i64>,
    /// In ms since 1970.
    pub(super) as_of: i64,
    pub(super) is_live: bool,
    pub(super) is_in_stock: bool,
    /// Of a check.
    pub(super) granted: i64,
}

impl Told {
    /// Reads a line of `data[]`; the error says what is wrong with it.
    pub(super) fn of_line(line: &Value) -> Result<Self, String> {
        let whole = |name: &str| -> Result<Option<i64>, String> {
            match &line[name] {
                Value::Null => Ok(None),
                number => number
                    .as_i64()
                    .map(Some)
                    .ok_or_else(|| format!("{name} is {number}")),
            }
        };
        let as_of = line["asOf"].as_str().and_then(UtcMillis::parse);
        let number = match (whole("onHand")?, whole("reserved")?) {
            (Some(on_hand), Some(reserved)) => Some(on_hand - reserved),
            _ => None,
        };
        Ok(Self {
            available: whole("availableStock")?.ok_or("no availableStock")?,
            held: whole("held")?.unwrap_or_default(),
            number,
            as_of: as_of.ok_or("no as-of")?.unix_millis(),
            is_live: line["source"] == "LIVE",
            is_in_stock: line["inStock"] == true,
            granted: whole("granted")?.unwrap_or_default(),
        })
    }
}

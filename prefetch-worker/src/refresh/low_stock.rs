//! Lines of which there is little.

use shared::stock::{LineContent, Quantity, StockLine};

/// How much of a low line there is, in whole units, the next one up.
pub(crate) fn whole_units(line: &StockLine) -> u32 {
    let LineContent::Quantities(quantities) = &line.value.content else {
        return 0;
    };
    (0..u32::MAX)
        .find(|units| quantities.available <= Quantity::from(i64::from(*units)))
        .unwrap_or(u32::MAX)
}

/// Whether a line's stock is low: more than none, and no more than this many units.
pub(crate) fn is_low(line: &StockLine, low_stock: u32) -> bool {
    match &line.value.content {
        LineContent::Quantities(quantities) => {
            quantities.available.is_positive()
                && quantities.available <= Quantity::from(i64::from(low_stock))
        }
        LineContent::Absent => false,
    }
}

//! In which order SKUs are read again.

use shared::stock::Sku;
use std::collections::HashSet;

/// Asked for and low first (a wrong number there sells what is not there), then asked for, then low;
/// each by its own rank.
pub(super) fn in_order(asked: &[Sku], low: &[Sku]) -> Vec<Sku> {
    let is_low: HashSet<&Sku> = low.iter().collect();
    let is_asked: HashSet<&Sku> = asked.iter().collect();
    let both = asked.iter().filter(|sku| is_low.contains(sku));
    let only_asked = asked.iter().filter(|sku| !is_low.contains(sku));
    let only_low = low.iter().filter(|sku| !is_asked.contains(sku));
    both.chain(only_asked).chain(only_low).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skus(names: &[&str]) -> Vec<Sku> {
        names
            .iter()
            .map(|name| Sku::parse(*name).unwrap())
            .collect()
    }

    #[test]
    fn low_stock_that_is_asked_for_comes_first_and_nothing_comes_twice() {
        let order = in_order(&skus(&["A", "B", "C"]), &skus(&["X", "C", "B"]));
        assert_eq!(order, skus(&["B", "C", "A", "X"]));
    }
}

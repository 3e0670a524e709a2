//! In which order SKUs are read again.

use shared::stock::Sku;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

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

/// Whether a SKU is to be read again. One of which nothing is stored is.
pub(super) fn is_due(sku: &Sku, ages: &HashMap<Sku, Duration>, young_for: Duration) -> bool {
    ages.get(sku).is_none_or(|age| *age >= young_for)
}

/// The oldest first, so that each gets its turn before one gets a second; those due come before all
/// others. A SKU of which nothing is stored counts as just due: D365 may never have heard of it, and
/// those that are stored shall not wait for it.
pub(super) fn oldest_first(
    skus: &[Sku],
    ages: &HashMap<Sku, Duration>,
    young_for: Duration,
) -> Vec<Sku> {
    let mut skus = skus.to_vec();
    skus.sort_by_key(|sku| Reverse(ages.get(sku).copied().unwrap_or(young_for)));
    skus
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

    #[test]
    fn each_gets_its_turn_before_one_gets_a_second() {
        let young_for = Duration::from_secs(50);
        let ages: HashMap<Sku, Duration> = skus(&["A", "B", "C", "D"])
            .into_iter()
            .zip([51, 70, 20, 70].map(Duration::from_secs))
            .collect();
        let order = oldest_first(&skus(&["A", "B", "new", "C", "D"]), &ages, young_for);
        assert_eq!(order, skus(&["B", "D", "A", "new", "C"]));
        let due: Vec<&Sku> = order
            .iter()
            .filter(|sku| is_due(sku, &ages, young_for))
            .collect();
        assert_eq!(due.len(), 4, "all but the last");
    }
}

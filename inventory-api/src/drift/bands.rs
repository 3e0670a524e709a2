//! PURE: bands of ages and quantities, and what follows from how they are filled.

use shared::redis_store::DriftCounts;

/// Names of counts in Redis; the bands' names are made from these.
pub(crate) mod names {
    /// Lines compared.
    pub(crate) const COMPARED: &str = "compared";
    /// Lines the cache had no proof about.
    pub(crate) const UNKNOWN: &str = "unknown";
    /// Lines where the cache promised more than there was.
    pub(crate) const OVERSOLD: &str = "oversold";
    /// Lines where it promised less.
    pub(crate) const UNDERSOLD: &str = "undersold";
    /// By how much more, added up, in millionths.
    pub(crate) const OVERSOLD_MILLIONTHS: &str = "oversold_millionths";
    /// By how much less, added up, in millionths.
    pub(crate) const UNDERSOLD_MILLIONTHS: &str = "undersold_millionths";
}

/// Upper bounds, and how the counts between them are called in Redis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bands {
    /// Inclusive, ascending; beyond the last is one band more.
    pub(crate) bounds: &'static [i64],
    prefix: &'static str,
}

/// Ages of the cached number when the live answer was asked for, in seconds.
pub(crate) const AGES: Bands = Bands {
    bounds: &[60, 300, 900, 1_800, 3_600, 7_200, 21_600, 86_400],
    prefix: "age",
};

/// How much more the cache promised than there was, in whole units, rounded up.
pub(crate) const QUANTITIES: Bands = Bands {
    bounds: &[
        1, 2, 3, 5, 8, 12, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 2_000, 5_000,
        10_000, 100_000, 1_000_000,
    ],
    prefix: "over",
};

impl Bands {
    /// The name of a band's count: `over:8` up to eight, `over:more` beyond the last bound.
    pub(crate) fn name_of(&self, band: usize) -> String {
        match self.bounds.get(band) {
            Some(bound) => format!("{}:{bound}", self.prefix),
            None => format!("{}:more", self.prefix),
        }
    }
}

/// The band a value is in.
pub(crate) fn band_of(bounds: &[i64], value: i64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

/// The smallest bound that at least so many percent of the oversold lines do not exceed: held back as
/// a buffer it would have avoided that many. None if even the largest would not.
pub(crate) fn buffer_against(counts: &DriftCounts, percent: i64) -> Option<i64> {
    let oversold = counts.get(names::OVERSOLD).copied().unwrap_or(0);
    if oversold <= 0 {
        return Some(0);
    }
    let mut avoided: i64 = 0;
    for (band, bound) in QUANTITIES.bounds.iter().enumerate() {
        avoided += counts.get(&QUANTITIES.name_of(band)).copied().unwrap_or(0);
        if avoided.saturating_mul(100) >= oversold.saturating_mul(percent) {
            return Some(*bound);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(overshoots: &[i64]) -> DriftCounts {
        let mut counts = DriftCounts::new();
        for overshoot in overshoots {
            *counts.entry(names::OVERSOLD.to_owned()).or_default() += 1;
            let name = QUANTITIES.name_of(band_of(QUANTITIES.bounds, *overshoot));
            *counts.entry(name).or_default() += 1;
        }
        counts
    }

    #[test]
    fn a_bound_belongs_to_its_own_band() {
        assert_eq!(QUANTITIES.name_of(band_of(QUANTITIES.bounds, 1)), "over:1");
        assert_eq!(QUANTITIES.name_of(band_of(QUANTITIES.bounds, 4)), "over:5");
        assert_eq!(QUANTITIES.name_of(band_of(QUANTITIES.bounds, 5)), "over:5");
        let beyond = band_of(QUANTITIES.bounds, 1_000_001);
        assert_eq!(QUANTITIES.name_of(beyond), "over:more");
        assert_eq!(AGES.name_of(band_of(AGES.bounds, 0)), "age:60");
    }

    #[test]
    fn nothing_oversold_needs_no_buffer_and_the_endless_has_none() {
        assert_eq!(buffer_against(&DriftCounts::new(), 99), Some(0));
        assert_eq!(buffer_against(&counted(&[2_000_000]), 99), None);
    }

    proptest! {
        #[test]
        fn the_buffer_avoids_what_it_says_and_no_smaller_bound_does(
            overshoots in prop::collection::vec(1_i64..2_000, 1..400)
        ) {
            let buffer = buffer_against(&counted(&overshoots), 99).unwrap();
            let avoided = |buffer: i64| overshoots.iter().filter(|over| **over <= buffer).count();
            let enough = |buffer: i64| avoided(buffer) * 100 >= overshoots.len() * 99;
            prop_assert!(enough(buffer));
            for smaller in QUANTITIES.bounds.iter().filter(|bound| **bound < buffer) {
                prop_assert!(!enough(*smaller));
            }
        }
    }
}

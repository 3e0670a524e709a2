//! Chance that can be repeated: the same seed and number draw the same.

/// A stream of draws of one history.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// The stream of the history of this number.
    pub(super) fn of(seed: u64, number: u64) -> Self {
        let mut seeding = Self(seed);
        Self(seeding.next() ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// `SplitMix64`: short, and good enough for drawing events.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A place in a list of this length, which is not empty.
    pub(super) fn place(&mut self, length: usize) -> usize {
        let length = u64::try_from(length.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % length).unwrap_or_default()
    }

    /// A number from `least` to `most`.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        let span = u64::try_from(most - least + 1).unwrap_or(1);
        least + i64::try_from(self.next() % span).unwrap_or_default()
    }

    /// True in so many of a hundred draws.
    pub(super) fn percent(&mut self, of_hundred: u64) -> bool {
        self.next() % 100 < of_hundred
    }

    /// One of these, the heavier the likelier.
    pub(super) fn weighted<T: Copy>(&mut self, choices: &[(T, u64)]) -> Option<T> {
        let sum: u64 = choices.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.next() % sum.max(1);
        for (choice, weight) in choices {
            if drawn < *weight {
                return Some(*choice);
            }
            drawn -= weight;
        }
        None
    }
}

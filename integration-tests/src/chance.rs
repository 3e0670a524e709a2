//! Chance that can be repeated: the same seed, the same numbers.

/// A source of numbers (`SplitMix64`).
#[derive(Debug, Clone, Copy)]
pub struct Chance(u64);

impl Chance {
    /// All numbers follow from the seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// One of many streams of one seed, each with numbers of its own.
    pub fn stream(seed: u64, number: u64) -> Self {
        Self(Self(seed).next() ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one; 0 if there is none. The bias of the remainder is far below what
    /// anybody here measures.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// A place in a list of this length, which is not empty.
    pub fn place(&mut self, length: usize) -> usize {
        let length = u64::try_from(length.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.below(length)).unwrap_or_default()
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        let span = u64::try_from(most - least + 1).unwrap_or(1);
        least + i64::try_from(self.below(span)).unwrap_or_default()
    }

    /// True in so many of a hundred draws.
    pub fn percent(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    /// One of these, the heavier the likelier.
    pub fn weighted<T: Copy>(&mut self, choices: &[(T, u64)]) -> Option<T> {
        let sum: u64 = choices.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.below(sum);
        for (choice, weight) in choices {
            if drawn < *weight {
                return Some(*choice);
            }
            drawn -= weight;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn numbers_repeat_with_their_seed_and_stay_below_their_limit() {
        let draw = |seed| {
            let mut chance = Chance::of(seed);
            [0; 100].map(|_| chance.below(10))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(draw(7).iter().all(|number| *number < 10));
    }
}

//! Chance that can be repeated: the same seed, the same numbers.

/// A source of numbers (`SplitMix64`).
#[derive(Debug, Clone, Copy)]
pub struct Chance(u64);

impl Chance {
    /// All numbers follow from the seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below another one; 0 if there is none. The bias of the remainder is far below what
    /// anybody here measures.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
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

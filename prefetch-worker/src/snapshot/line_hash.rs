//! A hash over lines in no particular order, so that parts read by different workers add up.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::stock::{LineContent, StockLine};
use std::fmt::{self, Write as _};

/// The sum of the SHA-256 of each line, lane by lane: the same lines give the same hash, whichever worker
/// read them in whatever order and however the warehouse was split.
///
/// Two warehouses that differ by accident differ in it. It is no proof against somebody who makes up
/// lines on purpose: sums can be steered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineHash([u64; 4]);

impl LineHash {
    /// Adds a line: its SKU, in whatever spelling, and quantities.
    pub fn add_line(&mut self, line: &StockLine) {
        let mut text = String::with_capacity(96);
        text.push_str(line.sku.key());
        if let LineContent::Quantities(q) = &line.value.content {
            // A line break occurs in no SKU, so no two lines have one text.
            let _ = write!(
                text,
                "\n{}|{}|{}|{}",
                q.available, q.on_hand, q.reserved, q.ordered
            );
        }
        let digest = Sha256::digest(text);
        for (lane, bytes) in self.0.iter_mut().zip(digest.chunks_exact(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            *lane = lane.wrapping_add(u64::from_be_bytes(word));
        }
    }

    /// Adds the lines of another part.
    pub fn add(&mut self, other: Self) {
        for (lane, more) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_add(more);
        }
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|lane| write!(f, "{lane:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shared::stock::{
        AsOf, Generation, LineValue, Origin, Quantities, Quantity, Sku, WarehouseId,
    };

    fn line(sku: &str, available: i64) -> StockLine {
        StockLine {
            sku: Sku::parse(sku).unwrap(),
            warehouse: WarehouseId::parse("24").unwrap(),
            value: LineValue {
                content: LineContent::Quantities(Quantities {
                    available: Quantity::from(available),
                    ..Quantities::default()
                }),
                as_of: AsOf::EPOCH,
                origin: Origin::Snapshot(Generation(1)),
            },
        }
    }

    fn hash(lines: &[StockLine]) -> LineHash {
        let mut hash = LineHash::default();
        for line in lines {
            hash.add_line(line);
        }
        hash
    }

    proptest! {
        #[test]
        fn order_and_parts_do_not_count(
            numbers in prop::collection::vec((0_u8..40, -9_i64..9), 0..40),
            cut in 0_usize..40,
        ) {
            let lines: Vec<_> =
                numbers.iter().map(|(sku, available)| line(&format!("S{sku}"), *available)).collect();
            let whole = hash(&lines);
            let mut turned = lines.clone();
            turned.reverse();
            prop_assert_eq!(hash(&turned), whole);
            let (first, second) = lines.split_at(cut.min(lines.len()));
            let mut parts = hash(second);
            parts.add(hash(first));
            prop_assert_eq!(parts, whole);
        }
    }

    #[test]
    fn other_stock_has_another_hash() {
        let one = hash(&[line("A", 1), line("B", 2)]);
        assert_eq!(one.to_string().len(), 64);
        for other in [
            vec![line("A", 2), line("B", 1)],
            vec![line("A", 1)],
            vec![line("A", 1), line("B", 2), line("B", 2)],
            vec![line("A1", 1), line("B", 2)],
        ] {
            assert_ne!(hash(&other), one);
        }
    }
}

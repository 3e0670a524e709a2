//! Was it a snapshot? If not, which rule failed.

use super::part_facts::PartFacts;
use shared::process::guards::{self, Guard};
use shared::redis_store::{Doubt, Sealed};

/// What a cycle can tell about itself at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CycleFacts {
    /// Rows of complete items.
    pub(crate) rows: u64,
    /// Rows of another company or warehouse that came back and were dropped.
    pub(crate) dropped_rows: u64,
    /// Why reading broke off, if it did.
    pub(crate) broke_off: Option<String>,
    /// An item that came again after it was complete.
    pub(crate) item_seen_twice: Option<String>,
    /// Why lines could not be stored, if some could not.
    pub(crate) not_stored: Option<String>,
    /// Rows of the last complete snapshots.
    pub(crate) recent_rows: Vec<u64>,
    /// The least share of their median, in percent.
    pub(crate) guard_percent: u8,
    /// Hash over the lines, hexadecimal.
    pub(crate) hash: String,
}

impl CycleFacts {
    /// The facts of all parts together.
    pub(crate) fn of(whole: PartFacts, recent_rows: Vec<u64>, guard_percent: u8) -> Self {
        Self {
            rows: whole.rows,
            dropped_rows: whole.dropped_rows,
            broke_off: whole.broke_off,
            item_seen_twice: whole.item_seen_twice,
            not_stored: whole.not_stored,
            recent_rows,
            guard_percent,
            hash: whole.hash.to_string(),
        }
    }
}

/// Judges a cycle. Only a complete one moves the watermark, and only a watermark proves absence.
pub(crate) fn judge(facts: CycleFacts) -> Sealed {
    if guards::is_off(Guard::Completeness) {
        return Sealed::Complete { hash: facts.hash };
    }
    // Before what it may have led to: a page of foreign rows only also ends the reading.
    if facts.dropped_rows > 0 {
        let mut reason = format!(
            "{} rows of another company or warehouse came back; check legal_entity and the user's default company",
            facts.dropped_rows
        );
        if let Some(broke_off) = facts.broke_off {
            reason = format!("{reason}; reading broke off: {broke_off}");
        }
        let doubt = Doubt::ForeignRows;
        return Sealed::Quarantined { reason, doubt };
    }
    if let Some(reason) = facts.broke_off {
        return Sealed::Partial { reason };
    }
    if let Some(reason) = facts.not_stored {
        return Sealed::Partial {
            reason: format!("lines could not be stored: {reason}"),
        };
    }
    if let Some(item) = facts.item_seen_twice {
        let reason = format!("item {item:?} came again after it was complete; D365's order moved");
        return Sealed::Partial { reason };
    }
    if facts.rows == 0 {
        let reason = "no rows; a warehouse that was never empty is not believed to be".to_owned();
        let doubt = Doubt::Empty;
        return Sealed::Quarantined { reason, doubt };
    }
    if let Some(usual) = median(&facts.recent_rows) {
        let is_enough =
            u128::from(facts.rows) * 100 >= u128::from(usual) * u128::from(facts.guard_percent);
        if !is_enough {
            let reason = format!(
                "{} rows are below {} % of the usual {usual}",
                facts.rows, facts.guard_percent
            );
            let doubt = Doubt::BelowUsual;
            return Sealed::Quarantined { reason, doubt };
        }
    }
    Sealed::Complete { hash: facts.hash }
}

fn median(recent: &[u64]) -> Option<u64> {
    let mut sorted = recent.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> CycleFacts {
        CycleFacts {
            rows: 95,
            recent_rows: vec![100, 90, 110],
            guard_percent: 90,
            hash: "abc".to_owned(),
            ..CycleFacts::default()
        }
    }

    #[test]
    fn a_whole_read_is_complete() {
        assert_eq!(
            judge(good()),
            Sealed::Complete {
                hash: "abc".to_owned()
            }
        );
        let first = CycleFacts {
            recent_rows: Vec::new(),
            rows: 1,
            ..good()
        };
        assert!(matches!(judge(first), Sealed::Complete { .. }));
    }

    #[test]
    fn every_rule_can_fail_and_says_so() {
        let some = |text: &str| Some(text.to_owned());
        for (facts, partial, words) in [
            (
                CycleFacts {
                    broke_off: some("page 3: HTML"),
                    ..good()
                },
                true,
                "page 3: HTML",
            ),
            (
                CycleFacts {
                    not_stored: some("full"),
                    ..good()
                },
                true,
                "full",
            ),
            (
                CycleFacts {
                    item_seen_twice: some("A"),
                    ..good()
                },
                true,
                "\"A\"",
            ),
            (
                CycleFacts {
                    dropped_rows: 2,
                    ..good()
                },
                false,
                "another company",
            ),
            (
                CycleFacts {
                    dropped_rows: 2,
                    broke_off: some("a page held no row that was asked for"),
                    ..good()
                },
                false,
                "another company or warehouse came back; check legal_entity and the user's default \
                 company; reading broke off: a page held no row",
            ),
            (
                CycleFacts {
                    rows: 0,
                    recent_rows: Vec::new(),
                    ..good()
                },
                false,
                "no rows",
            ),
            (
                CycleFacts { rows: 89, ..good() },
                false,
                "89 rows are below 90 % of the usual 100",
            ),
        ] {
            match judge(facts.clone()) {
                Sealed::Partial { reason } => {
                    assert!(partial && reason.contains(words), "{reason}");
                }
                Sealed::Quarantined { reason, .. } => {
                    assert!(!partial && reason.contains(words), "{reason}");
                }
                Sealed::Complete { .. } => panic!("{facts:?}"),
            }
        }
    }

    #[test]
    fn the_border_of_the_guard_is_inside() {
        assert!(matches!(
            judge(CycleFacts { rows: 90, ..good() }),
            Sealed::Complete { .. }
        ));
        let off = CycleFacts {
            rows: 1,
            guard_percent: 0,
            ..good()
        };
        assert!(matches!(judge(off), Sealed::Complete { .. }));
    }
}

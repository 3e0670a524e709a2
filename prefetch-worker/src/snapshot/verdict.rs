//! Was it a snapshot? If not, which rule failed. And when the next cycle is due.

use super::part_facts::PartFacts;
use crate::scheduler::plan;
use shared::redis_store::{CycleEnd, Doubt, OpenCycle, Sealed, StoreError};
use shared::stock::AsOf;
use std::time::Duration;

/// What a cycle's end is judged and the next one planned by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Rows of the last complete snapshots.
    pub recent_rows: Vec<u64>,
    /// The least share of their median, in percent.
    pub guard_percent: u8,
    /// From the start of a cycle to that of the next.
    pub interval: Duration,
    /// How long reading one part should take.
    pub part_time: Duration,
    /// 0 to 999.
    pub chance: u32,
}

/// The end of a cycle, from the facts of all its parts together.
pub fn end_of(cycle: &OpenCycle, whole: &PartFacts, now: AsOf, rules: &Rules) -> CycleEnd {
    let since_start = cycle.started.age_at(now);
    let until_next = plan::until_next_cycle(rules.interval, since_start, rules.chance);
    CycleEnd {
        generation: cycle.generation,
        started: cycle.started,
        completed: now,
        rows: whole.rows,
        pages: whole.pages,
        borders: plan::borders(&whole.marks, rules.part_time),
        next_due: now.plus(until_next),
        sealed: judge(whole, &rules.recent_rows, rules.guard_percent),
    }
}

/// A cycle that cannot be complete whatever its parts say.
pub fn as_partial(error: &StoreError) -> Sealed {
    Sealed::Partial {
        reason: error.to_string(),
    }
}

/// Only a complete cycle moves the watermark, and only a watermark proves absence.
fn judge(whole: &PartFacts, recent_rows: &[u64], guard_percent: u8) -> Sealed {
    let quarantined = |reason: String, doubt| Sealed::Quarantined { reason, doubt };
    let partial = |reason: String| Sealed::Partial { reason };
    // Before what it may have led to: a page of foreign rows only also ends the reading.
    if whole.dropped_rows > 0 {
        let mut reason = format!(
            "{} rows of another company or warehouse came back; check legal_entity and the user's default company",
            whole.dropped_rows
        );
        if let Some(broke_off) = &whole.broke_off {
            reason = format!("{reason}; reading broke off: {broke_off}");
        }
        return quarantined(reason, Doubt::ForeignRows);
    }
    if let Some(reason) = &whole.broke_off {
        return partial(reason.clone());
    }
    if let Some(reason) = &whole.not_stored {
        return partial(format!("lines could not be stored: {reason}"));
    }
    if let Some(item) = &whole.item_seen_twice {
        return partial(format!(
            "item {item:?} came again after it was complete; D365's order moved"
        ));
    }
    if whole.rows == 0 {
        let reason = "no rows; a warehouse that was never empty is not believed to be";
        return quarantined(reason.to_owned(), Doubt::Empty);
    }
    if let Some(usual) = median(recent_rows)
        && u128::from(whole.rows) * 100 < u128::from(usual) * u128::from(guard_percent)
    {
        let rows = whole.rows;
        let reason = format!("{rows} rows are below {guard_percent} % of the usual {usual}");
        return quarantined(reason, Doubt::BelowUsual);
    }
    Sealed::Complete {
        hash: whole.hash.to_string(),
    }
}

fn median(recent: &[u64]) -> Option<u64> {
    let mut sorted = recent.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> PartFacts {
        PartFacts {
            rows: 90,
            ..PartFacts::default()
        }
    }

    fn judged(facts: &PartFacts) -> (&'static str, String) {
        match judge(facts, &[100, 90, 110], 90) {
            Sealed::Complete { hash } => ("complete", hash),
            Sealed::Partial { reason } => ("partial", reason),
            Sealed::Quarantined { reason, .. } => ("quarantined", reason),
        }
    }

    #[test]
    fn a_whole_read_is_complete_up_to_the_border_of_the_guard() {
        assert_eq!(judged(&good()), ("complete", "0".repeat(64)));
        let one = PartFacts { rows: 1, ..good() };
        for (recent, percent) in [(&[][..], 90), (&[100], 0), (&[1, 1, 100], 90)] {
            let sealed = judge(&one, recent, percent);
            assert!(matches!(sealed, Sealed::Complete { .. }), "{recent:?}");
        }
    }

    #[test]
    fn every_rule_can_fail_and_says_so() {
        let some = |text: &str| Some(text.to_owned());
        let broke_off = |reason| PartFacts {
            broke_off: some(reason),
            ..good()
        };
        let foreign = "2 rows of another company or warehouse came back; check legal_entity and the \
                       user's default company";
        let foreign_and_broken = format!("{foreign}; reading broke off: nothing asked for");
        let dropped = |facts| PartFacts {
            dropped_rows: 2,
            ..facts
        };
        for (facts, state, reason) in [
            (broke_off("page 3: HTML"), "partial", "page 3: HTML"),
            (
                PartFacts {
                    not_stored: some("full"),
                    ..good()
                },
                "partial",
                "lines could not be stored: full",
            ),
            (
                PartFacts {
                    item_seen_twice: some("A"),
                    ..good()
                },
                "partial",
                "item \"A\" came again after it was complete; D365's order moved",
            ),
            (dropped(good()), "quarantined", foreign),
            (
                dropped(broke_off("nothing asked for")),
                "quarantined",
                &foreign_and_broken,
            ),
            (
                PartFacts { rows: 0, ..good() },
                "quarantined",
                "no rows; a warehouse that was never empty is not believed to be",
            ),
            (
                PartFacts { rows: 89, ..good() },
                "quarantined",
                "89 rows are below 90 % of the usual 100",
            ),
        ] {
            assert_eq!(judged(&facts), (state, reason.to_owned()));
        }
    }
}

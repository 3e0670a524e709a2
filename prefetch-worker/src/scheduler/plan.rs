//! What is read when: decisions only.

use crate::snapshot::part_facts::Mark;
use shared::settings::TenantSettings;
use shared::stock::ItemNumber;
use std::time::Duration;

/// Parts of one warehouse: more would make its cycle's record large and win nothing.
const MOST_PARTS: usize = 256;

/// The shard of a tenant's passes over what is asked for.
pub(crate) const DEMAND_SHARD: &str = "~asked";

const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_hours(1);

/// The shards of a tenant that are always scheduled: one a warehouse.
pub(crate) fn shards_of(tenant: &TenantSettings) -> Vec<String> {
    tenant
        .warehouses
        .iter()
        .map(|warehouse| warehouse.key().to_owned())
        .collect()
}

/// Time from now to a warehouse's next cycle: an interval after the last one's start, up to a tenth
/// earlier or later (`chance` is 0 to 999), so that warehouses do not fall due together. Missed
/// beats are not replayed.
pub(crate) fn until_next_cycle(interval: Duration, since_start: Duration, chance: u32) -> Duration {
    let share = 900 + chance.min(999) / 5;
    (interval * share / 1_000).saturating_sub(since_start)
}

/// Time to the next try of a warehouse that has failed this often in a row (1 or more).
///
/// Never more than half an interval: once D365 is back, a feed must be in its bounds within two
/// cycles, and at that pace a warehouse that cannot be read costs no more than two that can.
pub fn backoff(failures: u32, interval: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let longest = LONGEST_BACKOFF.min((interval / 2).max(FIRST_BACKOFF));
    FIRST_BACKOFF.saturating_mul(1 << doublings).min(longest)
}

/// Where the next cycle is split, so that reading a part takes about `part_time`: after the first
/// mark at which the part is long enough. The rest after the last border is a part of its own only
/// if it is long enough too; else it goes with the one before.
pub(crate) fn borders(marks: &[Mark], part_time: Duration) -> Vec<ItemNumber> {
    let total: u64 = marks.iter().map(|mark| mark.ms).sum();
    let wanted = u64::try_from(part_time.as_millis()).unwrap_or(u64::MAX);
    let per_part = wanted.max(total / MOST_PARTS as u64 + 1);
    let mut borders = Vec::new();
    let (mut in_part, mut left) = (0, total);
    for mark in marks {
        in_part += mark.ms;
        left -= mark.ms;
        if in_part >= per_part && left >= per_part / 2 {
            borders.extend(ItemNumber::parse(mark.item.as_str()).ok());
            in_part = 0;
        }
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_cycle_starts_an_interval_after_the_last_one_give_or_take_a_tenth() {
        let interval = Duration::from_mins(15);
        let at = |chance| until_next_cycle(interval, Duration::from_mins(1), chance).as_secs();
        assert_eq!((at(0), at(500), at(999)), (750, 840, 929));
        assert_eq!(
            until_next_cycle(interval, Duration::from_hours(2), 500),
            Duration::ZERO
        );
    }

    fn marks(ms: impl IntoIterator<Item = u64>) -> Vec<Mark> {
        ms.into_iter()
            .enumerate()
            .map(|(n, ms)| Mark {
                item: format!("I{n}"),
                ms,
            })
            .collect()
    }

    fn items(numbers: &[&str]) -> Vec<ItemNumber> {
        numbers
            .iter()
            .map(|number| ItemNumber::parse(*number).unwrap())
            .collect()
    }

    #[test]
    fn a_warehouse_is_split_by_the_time_it_took() {
        let minute = Duration::from_mins(1);
        assert_eq!(borders(&[], minute), []);
        assert_eq!(borders(&marks([50_000]), minute), []);
        assert_eq!(
            borders(&marks([30_000; 6]), minute),
            items(&["I1", "I3"]),
            "three parts of a minute"
        );
        // A slow page is a part of its own; a short rest goes with the part before.
        assert_eq!(
            borders(&marks([200_000, 20_000, 45_000, 10_000]), minute),
            items(&["I0"])
        );
    }

    #[test]
    fn however_long_it_takes_the_parts_are_not_countless() {
        let many = borders(&marks(vec![60_000; 5_000]), Duration::from_mins(1));
        assert!(many.len() < MOST_PARTS, "{}", many.len());
        assert!(many.len() > MOST_PARTS / 2, "{}", many.len());
    }

    #[test]
    fn a_failing_warehouse_waits_longer_each_time_up_to_half_an_interval() {
        let seconds = |minutes| {
            let interval = Duration::from_mins(minutes);
            [0, 1, 2, 3, 4, 5, 40].map(|failures| backoff(failures, interval).as_secs())
        };
        assert_eq!(seconds(15), [5, 5, 10, 20, 40, 80, 450]);
        assert_eq!(seconds(1), [5, 5, 10, 20, 30, 30, 30]);
        assert_eq!(seconds(24 * 60), [5, 5, 10, 20, 40, 80, 3_600]);
        assert_eq!(seconds(0), [5; 7]);
    }
}

//! Whether snapshots keep their pace: each begins when it is due, and is sealed.

use crate::bench_demand::Fallible;
use crate::bench_demand::house::House;
use d365_simulator::UtcMillis;
use std::collections::BTreeMap;

/// What was seen of the snapshots.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    sealed_at_first: Option<u64>,
    /// Cycles sealed since the first look.
    pub(crate) sealed: u64,
    /// The most a cycle was overdue and had not begun, in milliseconds.
    pub(crate) latest_ms: i64,
    /// The longest a cycle was under way, in milliseconds.
    pub(crate) longest_ms: i64,
    /// Warehouses whose last cycle was not a complete snapshot.
    pub(crate) incomplete: usize,
    /// Milliseconds until the next cycle is due; at the last look.
    pub(crate) next_in_ms: i64,
    /// Pages of the last snapshots of all warehouses.
    pub(crate) pages: u64,
}

impl Pace {
    pub(crate) async fn look(
        &mut self,
        house: &House,
        warehouses: &[String],
        now: i64,
    ) -> Fallible<()> {
        let (mut sealed, mut pages, mut incomplete, mut next) = (0, 0, 0, i64::MAX);
        for warehouse in warehouses {
            let feed = house.feed(warehouse).await?;
            let number = |field: &str| feed.get(field).and_then(|text| text.parse::<u64>().ok());
            sealed += number("sealed").unwrap_or_default();
            pages += number("pages").unwrap_or_default();
            let state = feed.get("state").map_or("", String::as_str);
            incomplete += usize::from(state != "complete");
            let (started, due) = (instant(&feed, "started"), instant(&feed, "next_due"));
            let completed = instant(&feed, "completed");
            if completed.is_none_or(|completed| completed < started.unwrap_or_default()) {
                self.longest_ms = self.longest_ms.max(now - started.unwrap_or(now));
            } else if let (Some(started), Some(completed)) = (started, completed) {
                self.longest_ms = self.longest_ms.max(completed - started);
            }
            if let (Some(started), Some(due)) = (started, due)
                && started < due
            {
                self.latest_ms = self.latest_ms.max(now - due);
                next = next.min(due - now);
            }
        }
        let first = *self.sealed_at_first.get_or_insert(sealed);
        self.sealed = sealed.saturating_sub(first);
        (self.pages, self.incomplete, self.next_in_ms) = (pages, incomplete, next);
        Ok(())
    }

    /// Whether nothing was late by more than this, and nothing broke off.
    pub(crate) fn is_kept(&self, most_late_ms: i64) -> bool {
        self.latest_ms <= most_late_ms && self.incomplete == 0
    }
}

fn instant(feed: &BTreeMap<String, String>, field: &str) -> Option<i64> {
    Some(UtcMillis::parse(feed.get(field)?)?.unix_millis())
}

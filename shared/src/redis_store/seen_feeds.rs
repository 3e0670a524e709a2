//! Which settings feeds were seen to be read with, so that it is looked up once a page.

use crate::stock::{AsOf, Fingerprint, TenantId, WarehouseId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A look counts this long by the local clock: Redis' own may be set back meanwhile.
const LONGEST: Duration = Duration::from_secs(5);

type Feed = (Fingerprint, TenantId, WarehouseId);

/// Feeds and when they were last seen to be read with certain settings.
#[derive(Debug, Default)]
pub(super) struct SeenFeeds(Mutex<HashMap<Feed, Seen>>);

/// A look at a feed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// By Redis' clock, before the look.
    pub(super) at: AsOf,
    /// By the local clock.
    pub(super) monotonic: Duration,
}

impl SeenFeeds {
    /// Whether a line of this as-of may be stored without another look now. Whatever changes a feed's
    /// settings after a look says that they hold since a later instant than the look.
    pub(super) fn covers(&self, feed: &Feed, as_of: AsOf, monotonic: Duration) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(feed).is_some_and(|seen| {
            as_of <= seen.at && monotonic.saturating_sub(seen.monotonic) < LONGEST
        })
    }

    /// Notes a look that found these settings.
    pub(super) fn note(&self, feed: Feed, look: Seen) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, seen| look.monotonic.saturating_sub(seen.monotonic) < LONGEST);
        seen.insert(feed, look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_covers_older_lines_for_some_seconds() {
        let feed = |of: u8| {
            let tenant = TenantId::parse("t").unwrap();
            let warehouse = WarehouseId::parse("24").unwrap();
            (Fingerprint::of_bytes([of; 8]), tenant, warehouse)
        };
        let at = |ms| AsOf::from_unix_ms(ms).unwrap();
        let second = Duration::from_secs;
        let seen = SeenFeeds::default();
        seen.note(
            feed(1),
            Seen {
                at: at(100),
                monotonic: second(10),
            },
        );
        for (of, as_of, monotonic, covers) in [
            (1, 100, 14, true),
            (1, 101, 14, false),
            (1, 100, 15, false),
            (2, 100, 14, false),
        ] {
            assert_eq!(seen.covers(&feed(of), at(as_of), second(monotonic)), covers);
        }
    }
}

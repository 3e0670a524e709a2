//! What all histories of a run share.

use super::browsing::Browsing;
use super::house::House;
use super::snapshots::Snapshots;
use super::tally::Tally;
use crate::api_client::Reply;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Calls under way at the same time, fewer than two replicas take.
const CALLS_AT_ONCE: usize = 256;

/// The house, those who ask for many, and the counts.
#[derive(Debug)]
pub(super) struct Scene<'h> {
    pub(super) house: &'h House,
    pub(super) seed: u64,
    pub(super) hold: Duration,
    pub(super) places: Semaphore,
    pub(super) browsing: Browsing,
    pub(super) snapshots: &'h Snapshots,
    pub(super) tally: &'h Tally,
    /// Why calls were sent again.
    pub(super) reasons: RefCell<BTreeMap<String, u64>>,
}

impl<'h> Scene<'h> {
    pub(super) fn new(
        house: &'h House,
        (seed, hold): (u64, Duration),
        browsing: Browsing,
        snapshots: &'h Snapshots,
        tally: &'h Tally,
    ) -> Self {
        Self {
            house,
            seed,
            hold,
            places: Semaphore::new(CALLS_AT_ONCE),
            browsing,
            snapshots,
            tally,
            reasons: RefCell::default(),
        }
    }

    /// Notes why a call is sent again.
    pub(super) fn retried(&self, reply: Option<&Reply>) {
        self.tally.retries.add(1);
        let reason = reply.map_or_else(
            || "no reply".to_owned(),
            |reply| {
                let code = reply.error_code().unwrap_or("not-stored");
                format!("{} {code}", reply.status.as_u16())
            },
        );
        *self.reasons.borrow_mut().entry(reason).or_default() += 1;
    }
}

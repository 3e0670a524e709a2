//! Headers by which caches in between keep a reply and ask whether it still holds.

use super::reply::StockReply;
use crate::stock::evidence::Source;
use crate::stock::feed::FeedState;
use crate::stock::wire::FeedSummary;
use actix_web::HttpResponseBuilder;
use actix_web::http::header::{
    AGE, CACHE_CONTROL, ETAG, HeaderMap, HttpDate, IF_NONE_MATCH, LAST_MODIFIED, VARY,
};
use sha2::{Digest, Sha256};
use shared::stock::AsOf;
use std::time::{Duration, UNIX_EPOCH};

/// A reply may be kept until the next cycle is due, and no longer than this: a live look-up may
/// have learned something newer meanwhile.
const LONGEST_KEPT: Duration = Duration::from_mins(1);

/// What a reply is recognised by, and how long it holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Validators {
    etag: String,
    last_modified: Option<AsOf>,
    age: u64,
    max_age: u64,
}

impl Validators {
    /// Over the content without its ages: the same stock has the same tag, however old it is.
    pub(super) fn of(
        content_without_ages: &[u8],
        reply: &StockReply<'_>,
        feeds: Option<FeedSummary>,
        now: AsOf,
        is_compressed: bool,
    ) -> Self {
        let digest = Sha256::digest(content_without_ages);
        let tag = (digest.iter().take(16)).fold(0_u128, |tag, byte| tag << 8 | u128::from(*byte));
        let variant = if is_compressed { "-gzip" } else { "" };
        let lines = reply.availabilities();
        let oldest = lines.iter().filter_map(|line| line.as_of).min();
        let may_be_kept = lines
            .iter()
            .all(|line| line.source != Source::None && !line.is_stale);
        let keep = feeds
            .filter(|feeds| may_be_kept && feeds.state == FeedState::Ready)
            .and_then(|feeds| feeds.next_due)
            .map_or(Duration::ZERO, |due| now.age_at(due).min(LONGEST_KEPT));
        // A cache counts the age a reply already has against its life time.
        let age = oldest.map_or(0, |oldest| oldest.age_at(now).as_secs());
        Self {
            etag: format!("\"{tag:032x}{variant}\""),
            last_modified: lines.iter().filter_map(|line| line.as_of).max(),
            age,
            max_age: age + keep.as_secs(),
        }
    }

    pub(super) fn insert_into(&self, reply: &mut HttpResponseBuilder) {
        reply.insert_header((ETAG, self.etag.as_str()));
        reply.insert_header((AGE, self.age));
        reply.insert_header((CACHE_CONTROL, format!("max-age={}", self.max_age)));
        reply.insert_header((VARY, "accept-encoding"));
        if let Some(instant) = self.last_modified {
            let since_epoch = AsOf::EPOCH.age_at(instant);
            reply.insert_header((LAST_MODIFIED, HttpDate::from(UNIX_EPOCH + since_epoch)));
        }
    }

    /// Whether the caller already has this reply.
    pub(super) fn are_known_to(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(IF_NONE_MATCH)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag)
    }
}

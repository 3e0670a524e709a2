//! Events of D365 that were taken, so that no replica takes one twice.

use super::error::StoreError;
use super::script::Call;
use super::store::StockStore;
use redis::Script;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

static NOTE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/note_event.lua")));

/// Senders deliver again within minutes, or give up.
const REMEMBERED: Duration = Duration::from_mins(10);

impl StockStore {
    /// Notes an event; false if it was noted before, by any replica.
    pub async fn note_event(&self, id: &str) -> Result<bool, StoreError> {
        let call = Call::of(&NOTE)
            .key(self.event_key(id))
            .argument(REMEMBERED.as_millis());
        self.run_in_time::<u8>(call, self.script_limit())
            .await
            .map(|noted| noted == 1)
    }

    /// Forgets an event that could not be taken after all: it may come again.
    pub async fn forget_event(&self, id: &str) -> Result<(), StoreError> {
        let key = self.event_key(id);
        self.command(async |connection| {
            redis::cmd("DEL")
                .arg(&key)
                .query_async::<()>(connection)
                .await
        })
        .await
    }

    /// Ids come from outside and may be long: their hash is not.
    fn event_key(&self, id: &str) -> String {
        let digest = Sha256::digest(id);
        let hash = digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        self.keys().event(&hash)
    }
}

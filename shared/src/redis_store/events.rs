//! Events of D365 that were taken, so that no replica takes one twice.

use super::error::StoreError;
use super::script::StoreCall;
use super::scripts;
use super::store::StockStore;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::time::Duration;

/// Senders deliver again within minutes, or give up.
const REMEMBERED: Duration = Duration::from_mins(10);

impl StockStore {
    /// Notes an event; false if it was noted before, by any replica.
    pub async fn note_event(&self, id: &str) -> Result<bool, StoreError> {
        let call = StoreCall::of(&scripts::NOTE_EVENT)
            .key(self.event_key(id))
            .argument(REMEMBERED.as_millis());
        self.run::<u8>(call).await.map(|noted| noted == 1)
    }

    /// Forgets an event that could not be taken after all: it may come again.
    pub async fn forget_event(&self, id: &str) -> Result<(), StoreError> {
        self.ask(redis::cmd("DEL").arg(self.event_key(id))).await
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

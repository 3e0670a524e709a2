//! What became of a claimed shard.

use shared::redis_store::{CycleEnd, StoreError};
use shared::stock::Generation;

/// What became of a claimed shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CycleOutcome {
    /// A cycle was opened with so many parts.
    Opened {
        generation: Generation,
        parts: usize,
    },
    /// The cycle is under way; so many of its parts had been lost and are due again.
    UnderWay { put_back: u32 },
    /// A part was read to its end; so many parts of the cycle are still open.
    PartRead { open: u32 },
    /// The part's cycle is over or another one by now.
    Superseded,
    /// The cycle was sealed, as what the end says.
    Sealed(CycleEnd),
    /// The feed is read with other settings than this worker's; it is left to others.
    OtherSettings,
    /// A stop was asked for; the part is to be read on at once by somebody else.
    Stopped,
    /// Another worker has the shard by now.
    LeaseLost,
    /// Redis failed at the begin or the end.
    StoreFailed(StoreError),
}

impl From<StoreError> for CycleOutcome {
    fn from(error: StoreError) -> Self {
        Self::StoreFailed(error)
    }
}

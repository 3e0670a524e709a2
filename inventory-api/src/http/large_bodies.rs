//! How much of large bodies, large replies and slow bodies the process has in work at once.

use crate::error::ApiError;
use crate::metrics;
use shared::http::caller_key::CallerKey;
use shared::http::shares::{NoShare, Share, Shares, Sizes};
use std::time::Duration;
use tokio::time::timeout;

/// Bytes beyond which a body is a large one: more than a thousand SKUs of forty characters take.
pub(crate) const LARGE: usize = 64 * 1024;
/// Large bodies in work at once.
pub(crate) const AT_ONCE: u32 = 4;
/// And of one caller.
pub(crate) const OF_ONE_CALLER: u32 = 2;
/// Large bodies of one caller that wait for their turn.
pub(crate) const WAITING: usize = 8;

/// Lines (SKUs times warehouses) beyond which a reply is a large one: about 64 KiB.
pub(crate) const LARGE_LINES: usize = 230;
/// Lines of large replies, from the question to the last byte that was sent: about 35 MB.
pub(crate) const LINES_AT_ONCE: u32 = 50_000;
/// And of one caller: twice the largest question.
pub(crate) const LINES_OF_ONE_CALLER: u32 = 40_000;

/// How long a body may be on its way without being called slow.
pub(crate) const SLOW_AFTER: Duration = Duration::from_millis(250);
/// Slow bodies at once.
pub(crate) const SLOW_AT_ONCE: u32 = 256;
/// And of one caller: an eighth of the requests in work.
pub(crate) const SLOW_OF_ONE_CALLER: u32 = 64;

/// A large body's turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "given back when dropped")] Share);

impl Drop for Turn {
    fn drop(&mut self) {
        metrics::large_body(false);
    }
}

/// What is large or slow, all callers' together.
#[derive(Debug)]
pub(crate) struct LargeBodies {
    bodies: Shares,
    slow: Shares,
    lines: Shares,
}

impl Default for LargeBodies {
    fn default() -> Self {
        let shares = |all, of_one_caller, waiting| {
            Shares::new(Sizes {
                all,
                of_one_caller,
                waiting,
            })
        };
        Self {
            bodies: shares(AT_ONCE, OF_ONE_CALLER, WAITING),
            slow: shares(SLOW_AT_ONCE, SLOW_OF_ONE_CALLER, 0),
            // As many may wait as may be in work.
            lines: shares(LINES_AT_ONCE, LINES_OF_ONE_CALLER, usize::MAX >> 4),
        }
    }
}

impl LargeBodies {
    /// Waits for a large body's turn.
    pub(crate) async fn turn(&self, caller: CallerKey) -> Result<Turn, ApiError> {
        let share = self.bodies.take(caller, 1).await;
        let share = share.map_err(|NoShare| ApiError::LargeBodiesContend {
            limit: OF_ONE_CALLER,
        })?;
        metrics::large_body(true);
        Ok(Turn(share))
    }

    /// A slow body's place; there is one at once, or none.
    pub(crate) async fn slow(&self, caller: CallerKey) -> Result<Share, ApiError> {
        let share = self.slow.take(caller, 1).await;
        share.map_err(|NoShare| ApiError::SlowBodiesContend {
            limit: SLOW_OF_ONE_CALLER,
        })
    }

    /// Waits for room for a reply of so many lines, at most so long. A small one needs none.
    pub(crate) async fn room_for(
        &self,
        lines: usize,
        caller: CallerKey,
        longest: Duration,
    ) -> Result<Option<Share>, ApiError> {
        if lines <= LARGE_LINES {
            return Ok(None);
        }
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        let share = timeout(longest, self.lines.take(caller, lines)).await;
        let share = share.unwrap_or(Err(NoShare));
        share
            .map(Some)
            .map_err(|NoShare| ApiError::LargeRepliesContend {
                limit: LINES_OF_ONE_CALLER,
            })
    }
}

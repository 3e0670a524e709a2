//! Turns of large bodies: what callers can have the process keep for them is bounded, however many
//! send at once, and none can take all of it.

use crate::error::ApiError;
use crate::metrics;
use shared::http_edge::caller_key::CallerKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes beyond which a body is a large one: more than a thousand SKUs of forty characters take.
pub(crate) const LARGE: usize = 64 * 1024;
/// Large bodies in work at once.
pub(crate) const AT_ONCE: usize = 4;
/// And of one caller.
pub(crate) const OF_ONE_CALLER: usize = 2;
/// Large bodies of one caller that wait for their turn.
pub(crate) const WAITING: usize = 8;

/// The turns.
#[derive(Debug)]
pub(crate) struct LargeBodies {
    all: Arc<Semaphore>,
    of_callers: Mutex<HashMap<CallerKey, Arc<OfCaller>>>,
}

/// What one caller may have.
#[derive(Debug)]
struct OfCaller {
    turns: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Default for OfCaller {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(OF_ONE_CALLER)),
            waiting: Semaphore::new(WAITING),
        }
    }
}

impl Default for LargeBodies {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            of_callers: Mutex::default(),
        }
    }
}

/// A large body's turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permits: [OwnedSemaphorePermit; 2],
    /// Not forgotten as long as it is here.
    _of_caller: Arc<OfCaller>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        metrics::large_body(false);
    }
}

impl LargeBodies {
    /// Waits for a turn of this caller, those of one caller in their order; refused if too many of it
    /// wait.
    pub(crate) async fn turn(&self, caller: CallerKey) -> Result<Turn, ApiError> {
        let refused = ApiError::LargeBodiesContend;
        let of_caller = self.of_caller(caller);
        let Ok(waiting) = of_caller.waiting.try_acquire() else {
            return Err(refused);
        };
        let own = Arc::clone(&of_caller.turns).acquire_owned().await;
        let one_of_all = Arc::clone(&self.all).acquire_owned().await;
        drop(waiting);
        let (Ok(own), Ok(one_of_all)) = (own, one_of_all) else {
            return Err(refused);
        };
        metrics::large_body(true);
        Ok(Turn {
            _permits: [own, one_of_all],
            _of_caller: of_caller,
        })
    }

    fn of_caller(&self, caller: CallerKey) -> Arc<OfCaller> {
        let of_callers = self.of_callers.lock();
        let mut of_callers = of_callers.unwrap_or_else(PoisonError::into_inner);
        // Those without a turn, also to come, are as good as new ones.
        of_callers.retain(|_, of_caller| Arc::strong_count(of_caller) > 1);
        Arc::clone(of_callers.entry(caller).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::net::IpAddr;

    fn caller(last: u8) -> CallerKey {
        CallerKey::of_address(IpAddr::from([10, 0, 0, last]))
    }

    #[tokio::test]
    async fn one_caller_cannot_take_all_turns() {
        let bodies = LargeBodies::default();
        let now = |last| bodies.turn(caller(last)).now_or_never().map(Result::unwrap);
        let mut greedy = vec![now(1).unwrap(), now(1).unwrap()];
        assert!(now(1).is_none(), "two of one caller");
        let others = [now(2).unwrap(), now(3).unwrap()];
        assert!(now(4).is_none(), "four of all");
        greedy.pop();
        assert!(now(2).is_some() && now(1).is_some());
        drop((greedy, others));
        assert!(now(1).is_some());
        assert_eq!(bodies.of_callers.lock().unwrap().len(), 1, "forgotten");
    }

    #[tokio::test]
    async fn only_so_many_of_one_caller_wait_and_nobody_else_is_refused_for_it() {
        let bodies = LargeBodies::default();
        let _taken = [
            bodies.turn(caller(1)).await.unwrap(),
            bodies.turn(caller(1)).await.unwrap(),
        ];
        let mut waiting: Vec<_> = (0..WAITING)
            .map(|_| Box::pin(bodies.turn(caller(1))))
            .collect();
        for turn in &mut waiting {
            assert!(turn.as_mut().now_or_never().is_none());
        }
        let refused = bodies.turn(caller(1)).await;
        assert!(matches!(refused, Err(ApiError::LargeBodiesContend)));
        assert!(bodies.turn(caller(2)).await.is_ok());
        waiting.pop();
        assert!(bodies.turn(caller(1)).now_or_never().is_none(), "waits");
    }
}

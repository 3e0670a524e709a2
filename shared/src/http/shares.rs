//! Shares of something the process has little of: so much for all, so much of it for one caller. What
//! callers can make the process hold is bounded, however many ask, and none can take all of it.

use super::caller_key::CallerKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// For all.
    pub all: u32,
    /// For one caller.
    pub of_one_caller: u32,
    /// Requests of one caller that may wait for their share.
    pub waiting: usize,
}

/// What there is, and who has how much.
#[derive(Debug)]
pub struct Shares {
    sizes: Sizes,
    all: Arc<Semaphore>,
    of_callers: Mutex<HashMap<CallerKey, Arc<OfCaller>>>,
}

#[derive(Debug)]
struct OfCaller {
    free: Arc<Semaphore>,
    waiting: Semaphore,
}

/// A share, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    _permits: [OwnedSemaphorePermit; 2],
    /// Not forgotten as long as it is here.
    _of_caller: Arc<OfCaller>,
}

/// Too many of the caller's requests wait for a share already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoShare;

impl Shares {
    /// All of it is free.
    pub fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            all: Arc::new(Semaphore::new(sizes.all as usize)),
            of_callers: Mutex::default(),
        }
    }

    /// Waits for a share of this size, one caller's requests in their order. More than one caller may have
    /// counts as all it may have.
    ///
    /// # Errors
    /// [`NoShare`] if too many of the caller's requests wait.
    pub async fn take(&self, caller: CallerKey, size: u32) -> Result<Share, NoShare> {
        let size = size.min(self.sizes.of_one_caller).min(self.sizes.all);
        let of_caller = self.of_caller(caller);
        let free = Arc::clone(&of_caller.free);
        let own = if let Ok(own) = Arc::clone(&free).try_acquire_many_owned(size) {
            own
        } else {
            let _waiting = of_caller.waiting.try_acquire().or(Err(NoShare))?;
            free.acquire_many_owned(size).await.or(Err(NoShare))?
        };
        let all = Arc::clone(&self.all);
        let of_all = if let Ok(of_all) = Arc::clone(&all).try_acquire_many_owned(size) {
            of_all
        } else {
            let _waiting = of_caller.waiting.try_acquire().or(Err(NoShare))?;
            all.acquire_many_owned(size).await.or(Err(NoShare))?
        };
        Ok(Share {
            _permits: [own, of_all],
            _of_caller: of_caller,
        })
    }

    fn of_caller(&self, caller: CallerKey) -> Arc<OfCaller> {
        let of_callers = self.of_callers.lock();
        let mut of_callers = of_callers.unwrap_or_else(PoisonError::into_inner);
        // Those without a share, also to come, are as good as new ones.
        of_callers.retain(|_, of_caller| Arc::strong_count(of_caller) > 1);
        let of_caller = of_callers.entry(caller).or_insert_with(|| {
            Arc::new(OfCaller {
                free: Arc::new(Semaphore::new(self.sizes.of_one_caller as usize)),
                waiting: Semaphore::new(self.sizes.waiting),
            })
        });
        Arc::clone(of_caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::net::IpAddr;

    const SIZES: Sizes = Sizes {
        all: 40,
        of_one_caller: 20,
        waiting: 8,
    };

    fn caller(last: u8) -> CallerKey {
        CallerKey::of_address(IpAddr::from([10, 0, 0, last]))
    }

    #[tokio::test]
    async fn one_caller_cannot_take_all_however_it_divides_it() {
        let shares = Shares::new(SIZES);
        let now = |last, size| {
            let share = shares.take(caller(last), size).now_or_never();
            share.map(Result::unwrap)
        };
        let mut greedy = vec![now(1, 15).unwrap(), now(1, 5).unwrap()];
        assert!(now(1, 1).is_none(), "all of one caller");
        let others = [now(2, 15).unwrap(), now(3, 5).unwrap()];
        assert!(now(4, 1).is_none(), "all of all");
        greedy.pop();
        assert!(now(2, 5).is_some() && now(1, 5).is_some());
        drop((greedy, others));
        assert!(now(1, 1_000).is_some(), "as much as it may have");
        assert_eq!(shares.of_callers.lock().unwrap().len(), 1, "forgotten");
    }

    #[tokio::test]
    async fn only_so_many_of_one_caller_wait_and_nobody_else_is_refused_for_it() {
        let shares = Shares::new(SIZES);
        let _taken = shares.take(caller(1), 20).await.unwrap();
        let mut waiting: Vec<_> = (0..SIZES.waiting)
            .map(|_| Box::pin(shares.take(caller(1), 1)))
            .collect();
        for share in &mut waiting {
            assert!(share.as_mut().now_or_never().is_none());
        }
        assert_eq!(shares.take(caller(1), 1).await.unwrap_err(), NoShare);
        assert!(shares.take(caller(2), 1).await.is_ok());
        waiting.pop();
        assert!(shares.take(caller(1), 1).now_or_never().is_none(), "waits");
    }
}

//! A door that lets everybody in says so, at start and every minute.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

const BETWEEN: Duration = Duration::from_mins(1);

/// Says it every minute, until told to stop; that it was said at start is its caller's affair.
pub(super) async fn keep_saying(stop: CancellationToken, mut say: impl FnMut()) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(BETWEEN) => say(),
        }
    }
}

pub(super) fn say() {
    tracing::warn!(
        setting = "api.auth.insecure_no_authentication",
        "callers are not authenticated: whoever reaches this listener may do everything"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn an_open_door_says_so_every_minute() {
        let said = Arc::new(AtomicUsize::new(0));
        let (stop, counter) = (CancellationToken::new(), Arc::clone(&said));
        let saying = keep_saying(stop.clone(), move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        tokio::pin!(saying);
        for (wait, expected) in [(1, 0), (58, 0), (2, 1), (60, 2), (3_600, 62)] {
            let wait = Duration::from_secs(wait);
            assert!(tokio::time::timeout(wait, &mut saying).await.is_err());
            assert_eq!(said.load(Ordering::Relaxed), expected, "{wait:?}");
        }
        stop.cancel();
        saying.await;
        assert_eq!(said.load(Ordering::Relaxed), 62);
    }
}

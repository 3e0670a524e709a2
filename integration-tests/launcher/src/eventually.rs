//! Waiting for something that happens in another process.

use std::future::Future;
use std::time::Duration;

/// How long a condition may take before the test gives up: far above what a loaded machine needs, so
/// that only a broken product reaches it.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks. Short enough not to be felt, long enough not to be load.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// The condition did not come true.
#[derive(Debug, thiserror::Error)]
#[error("waited {waited:?} in vain for: {condition}")]
pub struct NotInTime {
    /// What was waited for, in words.
    pub condition: String,
    /// How long.
    pub waited: Duration,
}

/// Looks again and again until `look` brings a value, for at most [`PATIENCE`].
pub async fn eventually<T, Look, Seen>(condition: &str, look: Look) -> Result<T, NotInTime>
where
    Look: FnMut() -> Seen,
    Seen: Future<Output = Option<T>>,
{
    eventually_within(PATIENCE, condition, look).await
}

/// As [`eventually`], with a patience of its own.
pub async fn eventually_within<T, Look, Seen>(
    patience: Duration,
    condition: &str,
    mut look: Look,
) -> Result<T, NotInTime>
where
    Look: FnMut() -> Seen,
    Seen: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            if let Some(value) = look().await {
                return value;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    tokio::time::timeout(patience, looking)
        .await
        .or(Err(NotInTime {
            condition: condition.to_owned(),
            waited: patience,
        }))
}

#[cfg(test)]
mod tests {
    use super::{eventually, eventually_within};
    use std::cell::Cell;
    use std::time::Duration;

    #[tokio::test]
    async fn a_condition_that_comes_true_brings_its_value() {
        let looks = Cell::new(0);
        let third = eventually("the third look", || {
            looks.set(looks.get() + 1);
            let seen = (looks.get() == 3).then_some(looks.get());
            async move { seen }
        });
        assert_eq!(third.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_condition_that_stays_false_is_named() {
        let never = eventually_within(Duration::from_millis(60), "rain", || async { None::<()> });
        assert!(never.await.unwrap_err().to_string().contains("rain"));
    }
}

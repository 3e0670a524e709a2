//! Waiting for something that happens in another process.

use std::time::Duration;

/// How long a condition may take: far above what a loaded machine needs, so that only a broken product
/// reaches it.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks.
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
pub async fn eventually<T>(
    condition: &str,
    look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, NotInTime> {
    eventually_within(PATIENCE, condition, look).await
}

/// As [`eventually`], with a patience of its own.
pub async fn eventually_within<T>(
    patience: Duration,
    condition: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, NotInTime> {
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

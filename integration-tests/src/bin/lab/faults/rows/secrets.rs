//! Secrets that must not show.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::Rig;
use integration_tests::canary::hunt;

#[expect(
    clippy::print_stderr,
    reason = "a secret that shows is told with its place"
)]
pub(super) async fn canaries(rig: Rig) -> Result<Outcome, RowError> {
    let hunt = hunt(rig.guard.is_some(), Some(rig.controls())).await?;
    if rig.guard.is_none() {
        for hit in &hunt.hits {
            eprintln!("{hit}");
        }
    }
    let mut outcome = Outcome::default();
    outcome.none("hits", hunt.hits.len() as u64);
    outcome.happened("texts searched", hunt.texts);
    outcome.happened("bytes searched", hunt.bytes);
    outcome.happened("questions of callers who were let in", hunt.let_in);
    outcome.happened("questions of callers turned away", hunt.turned_away);
    outcome.happened("panics with all a service knows", hunt.panics);
    Ok(outcome)
}

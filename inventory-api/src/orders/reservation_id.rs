//! The ids of new reservations.

use sha2::{Digest as _, Sha256};
use shared::stock::{HoldId, IdError};
use uuid::Uuid;

/// One that nobody has.
pub(super) fn new() -> Result<HoldId, IdError> {
    HoldId::parse(Uuid::new_v4().simple().to_string())
}

/// The one of a request: the same whenever the request is sent again through the same channel, so
/// that a reply that got lost costs no second reservation.
pub(super) fn of_request(request: &HoldId, channel: Option<&str>) -> Result<HoldId, IdError> {
    let mut hasher = Sha256::new();
    // An id has no line break: no channel and id can be read as another pair.
    hasher.update(format!("{request}\n{}", channel.unwrap_or_default()));
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize()[..16]);
    HoldId::parse(Uuid::from_bytes(first).simple().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_id_in_each_channel() {
        let request = |id: &str| HoldId::parse(id).unwrap();
        let id = |id: &str, channel| of_request(&request(id), channel).unwrap();
        assert_eq!(id("a", None), id("a", None));
        assert_eq!(id("a", Some("b2c")), id("a", Some("b2c")));
        assert_ne!(id("a", None), id("b", None));
        assert_ne!(id("a", None), id("a", Some("b2c")));
        assert_ne!(new().unwrap(), new().unwrap());
    }
}

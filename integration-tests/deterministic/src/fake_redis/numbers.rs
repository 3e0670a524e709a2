//! Numbers as Redis reads them.

use super::CommandError;

pub(super) fn whole(text: &str) -> Result<i64, CommandError> {
    text.parse()
        .map_err(|_cause| CommandError::NotANumber(text.to_owned()))
}

/// A border of scores, of which only whole numbers and the infinities are modelled.
pub(super) fn border(text: &str) -> Result<i64, CommandError> {
    match text {
        "-inf" => Ok(i64::MIN),
        "+inf" => Ok(i64::MAX),
        _ => whole(text),
    }
}

/// The positions `from..=to` of a list, both may count from its end, as a Rust range.
pub(super) fn positions(from: i64, to: i64, length: usize) -> std::ops::Range<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_begin = |position: i64| {
        if position < 0 {
            position + length
        } else {
            position
        }
    };
    let first = from_begin(from).clamp(0, length);
    let end = (from_begin(to) + 1).clamp(first, length);
    usize::try_from(first).unwrap_or(0)..usize::try_from(end).unwrap_or(0)
}

//! Pairs of a query string.

use crate::error::ApiError;
use std::borrow::Cow;

/// Takes a value that may be given once.
pub(crate) fn set_once<'a>(
    place: &mut Option<Cow<'a, str>>,
    value: Cow<'a, str>,
    name: &str,
) -> Result<(), ApiError> {
    if place.replace(value).is_some() {
        return Err(ApiError::invalid(name, "may be given once"));
    }
    Ok(())
}

/// Decodes one side of a query pair. Bytes that are no UTF-8 are refused rather than replaced: a
/// replaced one would be another SKU.
pub(crate) fn decoded(text: &str) -> Result<Cow<'_, str>, ApiError> {
    if !text.contains('+') {
        return percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .or(Err(ApiError::UnreadableQuery));
    }
    let with_blanks = text.replace('+', " ");
    percent_encoding::percent_decode_str(&with_blanks)
        .decode_utf8()
        .map(|decoded| Cow::Owned(decoded.into_owned()))
        .or(Err(ApiError::UnreadableQuery))
}

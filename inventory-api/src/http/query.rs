//! Pairs of a query string.

use crate::error::ApiError;
use std::borrow::Cow;

/// Its pairs, decoded; a name without a value has an empty one.
pub(crate) fn pairs(
    query: &str,
) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), ApiError>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded(name)?, decoded(value)?))
    })
}

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
fn decoded(text: &str) -> Result<Cow<'_, str>, ApiError> {
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

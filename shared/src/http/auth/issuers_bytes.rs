//! The parsers of what an issuer writes, for those who attack them with bytes. No caller comes out of
//! here: the services' way in is the door.

use super::claims::ClaimRules;
use super::key_set::KeySet;
use super::strict_json::StrictObject;
use super::token::{TokenProblem, UnverifiedToken};
use crate::settings::{JwtAlgorithm, JwtSettings};
use std::time::Duration;

/// What claims would be worth if their signature were right: the caller's id, and how long the token
/// would be good. `now` in seconds since 1970.
///
/// # Errors
/// [`TokenProblem`] as for a verified token.
pub fn judge_claims(
    claims: &[u8],
    settings: &JwtSettings,
    now: u64,
) -> Result<(String, Duration), TokenProblem> {
    let claims = StrictObject::read(claims).ok_or(TokenProblem::Claims)?;
    let claimed = ClaimRules::of(settings).judge(&claims, now)?;
    Ok((claimed.caller.id().to_owned(), claimed.good_for))
}

/// Verifies a token with the keys a JWKS document lists for this algorithm; how many they are.
///
/// # Errors
/// What is logged if the document is no JWKS.
pub fn try_keys(
    document: &[u8],
    algorithm: JwtAlgorithm,
    token: &UnverifiedToken<'_>,
) -> Result<(usize, Result<(), TokenProblem>), String> {
    let keys = KeySet::read(document, algorithm)?;
    Ok((keys.len(), keys.verify(token)))
}

//! Callers with a signed token.

use super::caller::Caller;
use super::claims::ClaimRules;
use super::issuer_keys::{IssuerKeys, Known};
use super::key_set::algorithm_name;
use super::refused::Refused;
use super::token::{TokenProblem, UnverifiedToken};
use crate::process::clock::Clock;
use crate::process::guards::{Guard, is_off};
use crate::settings::JwtSettings;
use std::sync::Arc;
use std::time::Duration;

/// Tokens of one issuer.
#[derive(Debug)]
pub(super) struct Bearer {
    algorithm: &'static str,
    rules: ClaimRules,
    pub(super) keys: IssuerKeys,
    clock: Arc<dyn Clock>,
}

/// A caller, how long its token is good, and the keys it was verified with.
pub(super) struct Verified {
    pub(super) caller: Arc<Caller>,
    pub(super) good_for: Duration,
    pub(super) generation: u64,
}

impl Bearer {
    pub(super) fn new(settings: &JwtSettings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        Ok(Self {
            algorithm: algorithm_name(settings.algorithm),
            rules: ClaimRules::of(settings),
            keys: IssuerKeys::new(settings, Arc::clone(&clock))?,
            clock,
        })
    }

    /// Checks what stands after `Bearer `.
    pub(super) async fn caller(&self, token: &[u8]) -> Result<Verified, Refused> {
        let token = std::str::from_utf8(token).map_err(|_cause| TokenProblem::Shape)?;
        let token = UnverifiedToken::read(token, self.algorithm)?;
        let known = self.verified(&token).await?;
        let now = u64::try_from(self.clock.now().unix_ms() / 1_000).unwrap_or_default();
        let claimed = self.rules.judge(&token.claims()?, now)?;
        Ok(Verified {
            caller: Arc::new(claimed.caller),
            good_for: claimed.good_for,
            generation: known.generation,
        })
    }

    /// The keys the signature was verified with, looked for once if its key is not among them.
    async fn verified(&self, token: &UnverifiedToken<'_>) -> Result<Arc<Known>, Refused> {
        let known = self.keys.known().ok_or(Refused::KeysUnknown)?;
        match known.keys.verify(token) {
            Ok(()) => return Ok(known),
            Err(TokenProblem::UnknownKey) => {}
            Err(_) if is_off(Guard::TokenChecks) => return Ok(known),
            Err(problem) => return Err(problem.into()),
        }
        self.keys.look_for_unknown().await;
        let now_known = self.keys.known().ok_or(Refused::KeysUnknown)?;
        if now_known.generation == known.generation {
            return Err(TokenProblem::UnknownKey.into());
        }
        now_known.keys.verify(token)?;
        Ok(now_known)
    }
}

//! Access tokens: real signed JWTs, made and checked with the simulator's own key.

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::clock::UtcMillis;

/// `nbf` and `not_before` lie so many seconds before the request: five minutes, less what a life of 3,599 s
/// falls short of 3,900 s in all.
pub(super) const BACKDATED: i64 = 301;

/// Makes and checks tokens. The key follows from the seed, so a restart leaves tokens valid, as it does in reality.
pub(crate) struct TokenMint {
    sign: EncodingKey,
    check: DecodingKey,
}

pub(super) struct Grant<'a> {
    pub(super) audience: &'a str,
    pub(super) app: &'a str,
    pub(super) tenant: &'a str,
    pub(super) now: UtcMillis,
    pub(super) life: i64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: String,
    iss: String,
    iat: i64,
    nbf: i64,
    pub(crate) exp: i64,
    pub(crate) appid: String,
    tid: String,
}

impl TokenMint {
    pub(crate) fn new(seed: u64) -> Self {
        let key = digest(
            &SHA256,
            format!("d365-simulator signing key {seed}").as_bytes(),
        );
        Self {
            sign: EncodingKey::from_secret(key.as_ref()),
            check: DecodingKey::from_secret(key.as_ref()),
        }
    }

    pub(super) fn issue(&self, grant: &Grant<'_>) -> String {
        let now = grant.now.unix_seconds();
        let claims = Claims {
            aud: grant.audience.to_owned(),
            iss: format!("https://sts.windows.net/{}/", grant.tenant),
            iat: now,
            nbf: now - BACKDATED,
            exp: now + grant.life,
            appid: grant.app.to_owned(),
            tid: grant.tenant.to_owned(),
        };
        // Claims of texts and numbers always serialise, and an HMAC takes any key.
        encode(&Header::new(Algorithm::HS256), &claims, &self.sign).unwrap_or_default()
    }

    /// The claims of a token this mint has signed and whose time has not run out.
    pub(crate) fn check(&self, token: &str, now: UtcMillis) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = decode::<Claims>(token, &self.check, &validation)
            .ok()?
            .claims;
        (claims.exp * 1000 > now.unix_millis()).then_some(claims)
    }
}

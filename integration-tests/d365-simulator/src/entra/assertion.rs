//! Client assertions: JWTs signed with the key of a registered certificate.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;

use super::errors::EntraError;
use crate::apps::AppRegistration;
use crate::clock::UtcMillis;

/// Clocks may differ by five minutes.
const TOLERANCE: i64 = 300;

pub(super) struct Checked<'a> {
    pub(super) assertion: &'a str,
    pub(super) app: &'a AppRegistration,
    pub(super) audiences: [String; 2],
    pub(super) now: UtcMillis,
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    sub: String,
    jti: String,
    nbf: i64,
    exp: i64,
}

/// Accepts an assertion or says what is wrong with it.
pub(super) fn check(checked: &Checked<'_>) -> Result<(), EntraError> {
    let bad = EntraError::BadAssertion;
    if checked.app.certificates.is_empty() {
        return Err(EntraError::NoFederatedIdentity);
    }
    let header =
        decode_header(checked.assertion).map_err(|_source| bad("it is not a signed JWT"))?;
    if !matches!(header.alg, Algorithm::PS256 | Algorithm::RS256) {
        return Err(bad("its algorithm is neither PS256 nor RS256"));
    }
    if header.typ.as_deref() != Some("JWT") {
        return Err(bad("its type is not JWT"));
    }
    let claims = checked
        .app
        .certificates
        .iter()
        .filter(|certificate| thumbprint_fits(&header, certificate))
        .find_map(|certificate| signed_claims(checked.assertion, header.alg, certificate))
        .ok_or(bad("no registered certificate has made its signature"))?;
    let claims = claims.map_err(|_source| bad("a claim is missing or of another type"))?;
    let client_id = &checked.app.client_id;
    if !checked.audiences.contains(&claims.aud) {
        return Err(bad("its audience is not the token endpoint"));
    }
    if claims.iss != *client_id || claims.sub != *client_id {
        return Err(bad("its issuer and subject are not the client id"));
    }
    if claims.jti.is_empty() {
        return Err(bad("its id is empty"));
    }
    let now = checked.now.unix_seconds();
    if claims.exp + TOLERANCE <= now || claims.nbf - TOLERANCE > now || claims.exp <= claims.nbf {
        return Err(EntraError::AssertionTime);
    }
    Ok(())
}

/// The claims if the key has signed them; inside, whether they have the right shape.
fn signed_claims(
    assertion: &str,
    algorithm: Algorithm,
    pem: &str,
) -> Option<Result<Claims, serde_json::Error>> {
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).ok()?;
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims = decode::<serde_json::Value>(assertion, &key, &validation)
        .ok()?
        .claims;
    Some(serde_json::from_value(claims))
}

/// Whether the header names this certificate: `x5t#S256` by SHA-256, or the older `x5t` by SHA-1.
/// A bare public key has no thumbprint and goes with any.
fn thumbprint_fits(header: &Header, pem: &str) -> bool {
    let Some(der) = certificate_der(pem) else {
        return true;
    };
    match (&header.x5t_s256, &header.x5t) {
        (Some(named), _) => {
            header.alg == Algorithm::PS256
                && *named == URL_SAFE_NO_PAD.encode(digest(&SHA256, &der))
        }
        (None, Some(named)) => {
            header.alg == Algorithm::RS256
                && *named == URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der))
        }
        (None, None) => false,
    }
}

fn certificate_der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let packed: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(packed).ok()
}

//! The issuer's keys, as its document lists them. Pure.

use super::token::{TokenProblem, UnverifiedToken};
use crate::settings::JwtAlgorithm;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// Keys of one document that are looked at.
const MOST_KEYS: usize = 100;
/// Bytes of the smallest and largest RSA modulus: 2,048 and 8,192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
const COORDINATE_BYTES: usize = 32;

/// The keys of one algorithm.
#[derive(Clone)]
pub(super) struct KeySet {
    algorithm: JwtAlgorithm,
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    /// What the document says of it, to tell whether two sets are the same.
    numbers: (String, String),
    decoding: DecodingKey,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        let told = |set: &Self| -> Vec<_> {
            let keys = set.keys.iter();
            keys.map(|key| (key.id.clone(), key.numbers.clone()))
                .collect()
        };
        told(self) == told(other)
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWKS document; keys of other kinds and for other uses are left out, be it all of
    /// them: then the issuer has withdrawn every key there was.
    pub(super) fn read(document: &[u8], algorithm: JwtAlgorithm) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(document)
            .map_err(|_cause| "the document with the keys is no JWKS".to_owned())?;
        let mut keys: Vec<Key> = Vec::new();
        for entry in document.keys.into_iter().take(MOST_KEYS) {
            let Some(key) = serde_json::from_value(entry)
                .ok()
                .and_then(|entry| key(entry, algorithm))
            else {
                continue;
            };
            // Of two keys with one id the first counts, as in every listing.
            if key.id.is_none() || keys.iter().all(|known| known.id != key.id) {
                keys.push(key);
            }
        }
        Ok(Self { algorithm, keys })
    }

    /// How many keys.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Verifies the signature. A token without a key id is taken where there is one key only.
    pub(super) fn verify(&self, token: &UnverifiedToken<'_>) -> Result<(), TokenProblem> {
        let key = match (&token.key_id, self.keys.as_slice()) {
            (Some(id), keys) => keys
                .iter()
                .find(|key| key.id.as_ref() == Some(id))
                .ok_or(TokenProblem::UnknownKey)?,
            (None, [only]) => only,
            (None, _) => return Err(TokenProblem::UnknownKey),
        };
        let algorithm = match self.algorithm {
            JwtAlgorithm::Rs256 => Algorithm::RS256,
            JwtAlgorithm::Es256 => Algorithm::ES256,
        };
        let signed = token.signed.as_bytes();
        let verified =
            jsonwebtoken::crypto::verify(token.signature, signed, &key.decoding, algorithm);
        match (verified, &token.key_id) {
            (Ok(true), _) => Ok(()),
            // Without an id, the issuer may have changed its only key.
            (_, None) => Err(TokenProblem::UnknownKey),
            _ => Err(TokenProblem::Signature),
        }
    }
}

/// What a token's header must name.
pub(super) fn algorithm_name(algorithm: JwtAlgorithm) -> &'static str {
    match algorithm {
        JwtAlgorithm::Rs256 => "RS256",
        JwtAlgorithm::Es256 => "ES256",
    }
}

fn key(entry: Entry, algorithm: JwtAlgorithm) -> Option<Key> {
    let is_for_signatures = entry.purpose.is_none_or(|purpose| purpose == "sig")
        && entry.alg.is_none_or(|alg| alg == algorithm_name(algorithm))
        && entry
            .key_ops
            .is_none_or(|uses| uses.iter().any(|one| one == "verify"));
    if !is_for_signatures {
        return None;
    }
    let length = |text: &str| URL_SAFE_NO_PAD.decode(text).map(|bytes| bytes.len()).ok();
    let (numbers, decoding) = match algorithm {
        JwtAlgorithm::Rs256 if entry.kty == "RSA" => {
            let (n, e) = (entry.n?, entry.e?);
            if !MODULUS_BYTES.contains(&length(&n)?) {
                return None;
            }
            let decoding = DecodingKey::from_rsa_components(&n, &e).ok()?;
            ((n, e), decoding)
        }
        JwtAlgorithm::Es256 if entry.kty == "EC" && entry.crv.as_deref() == Some("P-256") => {
            let (x, y) = (entry.x?, entry.y?);
            if length(&x)? != COORDINATE_BYTES || length(&y)? != COORDINATE_BYTES {
                return None;
            }
            let decoding = DecodingKey::from_ec_components(&x, &y).ok()?;
            ((x, y), decoding)
        }
        _ => return None,
    };
    Some(Key {
        id: entry.kid,
        numbers,
        decoding,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(keys: &Value, algorithm: JwtAlgorithm) -> Result<Vec<String>, String> {
        let document = json!({ "keys": keys }).to_string();
        let set = KeySet::read(document.as_bytes(), algorithm)?;
        Ok(set.keys.into_iter().filter_map(|key| key.id).collect())
    }

    #[test]
    fn only_signature_keys_of_the_configured_kind_are_taken() {
        let n = URL_SAFE_NO_PAD.encode([0xC5; 256]);
        let short = URL_SAFE_NO_PAD.encode([0xC5; 128]);
        let point = URL_SAFE_NO_PAD.encode([7; 32]);
        let keys = json!([
            { "kty": "RSA", "kid": "good", "n": n, "e": "AQAB" },
            { "kty": "RSA", "kid": "stated", "n": n, "e": "AQAB", "use": "sig", "alg": "RS256" },
            { "kty": "RSA", "kid": "good", "n": n, "e": "AQAB" },
            { "kty": "RSA", "kid": "encryption", "n": n, "e": "AQAB", "use": "enc" },
            { "kty": "RSA", "kid": "other", "n": n, "e": "AQAB", "alg": "PS256" },
            { "kty": "RSA", "kid": "signing", "n": n, "e": "AQAB", "key_ops": ["sign"] },
            { "kty": "RSA", "kid": "short", "n": short, "e": "AQAB" },
            { "kty": "oct", "kid": "shared", "k": "AAAA" },
            { "kty": "EC", "kid": "curve", "crv": "P-256", "x": point, "y": point },
            { "kty": "EC", "kid": "larger", "crv": "P-384", "x": point, "y": point },
            7
        ]);
        assert_eq!(ids(&keys, JwtAlgorithm::Rs256).unwrap(), ["good", "stated"]);
        assert_eq!(ids(&keys, JwtAlgorithm::Es256).unwrap(), ["curve"]);
        assert_eq!(ids(&json!([]), JwtAlgorithm::Rs256).unwrap().len(), 0);
        assert!(KeySet::read(b"<html>", JwtAlgorithm::Rs256).is_err());
    }
}

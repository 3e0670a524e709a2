//! Bearer tokens and their issuer's keys: in order or refused, never a panic.
//!
//! The bytes are tried as a token; as a token's header and claims, with a line break between them; as
//! claims whose signature was right; and as the issuer's document with keys, which a token is verified
//! with.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use shared::http::auth::UnverifiedToken;
use shared::http::auth::issuers_bytes::{judge_claims, try_keys};
use shared::settings::{JwtAlgorithm, JwtSettings, Layers};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Between the times of the kept inputs.
const NOW: u64 = 1_750_000_000;
/// `token:` and the longest subject, in characters.
const LONGEST_ID: usize = 6 + 128;
/// What stands after the dots of a token nobody signed, as long as a signature of its kind.
const RSA_SIGNATURE: [u8; 256] = [0x5A; 256];
const EC_SIGNATURE: [u8; 64] = [0x5A; 64];

static SETTINGS: LazyLock<JwtSettings> = LazyLock::new(|| {
    let environment = [
        ("ISSUER", "https://issuer.example"),
        ("AUDIENCE", "inventory"),
        ("ALGORITHM", "RS256"),
        ("JWKS_URL", "https://issuer.example/keys"),
        ("ROLES_CLAIM", "/access/roles"),
        ("CHANNELS_CLAIM", "channels"),
        ("TENANTS_CLAIM", "/access/tenants/0"),
    ]
    .map(|(name, value)| {
        (
            format!("CONNECTOR__API__AUTH__JWT__{name}"),
            value.to_owned(),
        )
    });
    let settings = Layers::with_environment(BTreeMap::from(environment)).load();
    settings.expect("settings").api.auth.jwt.expect("an issuer")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(token) = std::str::from_utf8(bytes) {
        for algorithm in ["RS256", "ES256"] {
            let _read = UnverifiedToken::read(token, algorithm);
        }
    }
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let header = parts.next().unwrap_or_default();
    let claims = parts.next().unwrap_or_default();
    let _read = UnverifiedToken::read(&token(header, claims, &EC_SIGNATURE), "RS256");
    are_judged(claims);
    are_judged(bytes);
    are_keys(bytes);
});

fn token(header: &[u8], claims: &[u8], signature: &[u8]) -> String {
    [header, claims, signature]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

fn are_judged(claims: &[u8]) {
    if let Ok((id, good_for)) = judge_claims(claims, &SETTINGS, NOW) {
        assert!(!good_for.is_zero(), "a token that is over");
        assert!(id.starts_with("token:") && id.chars().count() <= LONGEST_ID);
        assert!(!id.chars().any(char::is_control), "{id:?}");
    }
}

/// Whatever keys a document lists, nobody has signed this token with one of them.
fn are_keys(document: &[u8]) {
    for (algorithm, name, signature) in [
        (JwtAlgorithm::Rs256, "RS256", RSA_SIGNATURE.as_slice()),
        (JwtAlgorithm::Es256, "ES256", EC_SIGNATURE.as_slice()),
    ] {
        // With a key id, and without one, which is right where there is one key.
        for id in [",\"kid\":\"k\"", ""] {
            let token = token(
                format!("{{\"alg\":\"{name}\"{id}}}").as_bytes(),
                b"{}",
                signature,
            );
            let token = UnverifiedToken::read(&token, name).expect("a token of the right shape");
            if let Ok((keys, verified)) = try_keys(document, algorithm, &token) {
                assert!(keys <= 100 && verified.is_err());
            }
        }
    }
}

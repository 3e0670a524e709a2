//! A bearer token: its shape and its header are in order or refused, never a panic. The bytes are
//! tried as they are, and as what lies below the base64url of a token's parts.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use shared::http_edge::auth::UnverifiedToken;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(token) = std::str::from_utf8(bytes) {
        for algorithm in ["RS256", "ES256"] {
            let _read = UnverifiedToken::read(token, algorithm);
        }
    }
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let header = URL_SAFE_NO_PAD.encode(parts.next().unwrap_or_default());
    let claims = URL_SAFE_NO_PAD.encode(parts.next().unwrap_or_default());
    let token = format!("{header}.{claims}.c2lnbmF0dXJl");
    let _read = UnverifiedToken::read(&token, "RS256");
});

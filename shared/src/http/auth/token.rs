//! A token taken apart, before anything in it is believed.

use super::strict_json::StrictObject;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::fmt;

/// Longest token, in bytes. Tokens with many groups reach 4 to 6 kB.
pub const LONGEST_TOKEN: usize = 8 * 1024;
/// Longest key id, in bytes.
const LONGEST_KEY_ID: usize = 256;
/// Header fields that would have the token say how it is to be verified, or that change what the
/// signature covers.
const NOT_TAKEN: [&str; 9] = [
    "crit", "jwk", "jku", "x5u", "x5c", "b64", "zip", "enc", "epk",
];

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// More bytes than allowed.
    #[error("it is longer than 8 kB")]
    TooLong,
    /// Not a header, claims and a signature, each base64url without padding.
    #[error("it is not three parts of base64url")]
    Shape,
    /// The header is no JSON object, or names something twice.
    #[error("its header is not a JSON object that names everything once")]
    Header,
    /// Another algorithm than the configured one.
    #[error("it is not signed with the configured algorithm")]
    Algorithm,
    /// The header has a field that is never followed here.
    #[error("its header asks for something that is not supported")]
    Extension,
    /// The key id is no text of 1 to 256 characters.
    #[error("its key id is not usable")]
    KeyId,
    /// The issuer has no such key.
    #[error("the issuer has no key of its key id")]
    UnknownKey,
    /// The signature is not the issuer's.
    #[error("its signature is wrong")]
    Signature,
    /// The claims are no JSON object, or name something twice.
    #[error("its claims are not a JSON object that names everything once")]
    Claims,
    /// `iss` is missing or not the configured one.
    #[error("its issuer is not the configured one")]
    Issuer,
    /// `aud` is missing or does not name this service.
    #[error("it is meant for somebody else")]
    Audience,
    /// `exp` or `nbf` is missing or no whole number of seconds.
    #[error("its times are not whole numbers of seconds")]
    Times,
    /// `exp` is over.
    #[error("it has expired")]
    Expired,
    /// `nbf` is not reached.
    #[error("it is not valid yet")]
    NotYet,
}

impl TokenProblem {
    /// Its label in metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::TooLong | Self::Shape => "token_shape",
            Self::Header | Self::Extension | Self::KeyId => "token_header",
            Self::Algorithm => "token_algorithm",
            Self::UnknownKey => "token_unknown_key",
            Self::Signature => "token_signature",
            Self::Claims | Self::Times => "token_claims",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYet => "token_not_yet",
        }
    }
}

/// A token whose shape and header are in order. Its claims are not looked at.
pub struct UnverifiedToken<'t> {
    /// What the signature covers.
    pub(super) signed: &'t str,
    /// The signature, as base64url.
    pub(super) signature: &'t str,
    /// The key it says it was signed with.
    pub(super) key_id: Option<String>,
    claims: Vec<u8>,
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedToken(***)")
    }
}

impl<'t> UnverifiedToken<'t> {
    /// Takes a token apart. `algorithm` is the one name its header may give.
    pub fn read(token: &'t str, algorithm: &str) -> Result<Self, TokenProblem> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenProblem::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenProblem::Shape)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenProblem::Shape)?;
        // Decoding is strict: no padding, no stray bits, no other alphabet.
        let part = |text: &str| match URL_SAFE_NO_PAD.decode(text) {
            Ok(bytes) if !bytes.is_empty() => Ok(bytes),
            _ => Err(TokenProblem::Shape),
        };
        let (header, claims) = (part(header)?, part(claims)?);
        part(signature)?;
        let header = StrictObject::read(&header).ok_or(TokenProblem::Header)?;
        if header.get("alg").and_then(Value::as_str) != Some(algorithm) {
            return Err(TokenProblem::Algorithm);
        }
        if NOT_TAKEN.iter().any(|name| header.get(name).is_some()) {
            return Err(TokenProblem::Extension);
        }
        match header.get("typ") {
            None => {}
            Some(Value::String(kind))
                if kind.eq_ignore_ascii_case("JWT") || kind.eq_ignore_ascii_case("at+jwt") => {}
            Some(_) => return Err(TokenProblem::Extension),
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if (1..=LONGEST_KEY_ID).contains(&id.len()) => Some(id.clone()),
            Some(_) => return Err(TokenProblem::KeyId),
        };
        Ok(Self {
            signed,
            signature,
            key_id,
            claims,
        })
    }

    /// The claims, for whoever has verified the signature.
    pub(super) fn claims(&self) -> Result<StrictObject, TokenProblem> {
        StrictObject::read(&self.claims).ok_or(TokenProblem::Claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Result<Option<String>, TokenProblem> {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.{}", part(header), part("{}"), part("signature"));
        UnverifiedToken::read(&token, "RS256").map(|token| token.key_id)
    }

    #[test]
    fn a_header_names_the_algorithm_and_at_most_a_key() {
        assert_eq!(
            read(r#"{"alg":"RS256","typ":"JWT","kid":"k","x5t":"thumbprint"}"#),
            Ok(Some("k".to_owned()))
        );
        assert_eq!(read(r#"{"alg":"RS256","typ":"at+jwt"}"#), Ok(None));
        for (header, problem) in [
            ("{}", TokenProblem::Algorithm),
            (r#"{"alg":"none"}"#, TokenProblem::Algorithm),
            (r#"{"alg":"rs256"}"#, TokenProblem::Algorithm),
            (r#"{"alg":["RS256"]}"#, TokenProblem::Algorithm),
            (r#"{"alg":"none","alg":"RS256"}"#, TokenProblem::Header),
            (r#"{"alg":"RS256","crit":[]}"#, TokenProblem::Extension),
            (r#"{"alg":"RS256","jku":"x"}"#, TokenProblem::Extension),
            (r#"{"alg":"RS256","typ":7}"#, TokenProblem::Extension),
            (r#"{"alg":"RS256","kid":7}"#, TokenProblem::KeyId),
            (r#"{"alg":"RS256","kid":""}"#, TokenProblem::KeyId),
            ("[]", TokenProblem::Header),
        ] {
            assert_eq!(read(header), Err(problem), "{header}");
        }
    }

    #[test]
    fn a_token_is_three_parts_of_plain_base64url() {
        let long = "a".repeat(LONGEST_TOKEN + 1);
        for (token, problem) in [
            ("", TokenProblem::Shape),
            ("..", TokenProblem::Shape),
            ("e30.e30", TokenProblem::Shape),
            ("e30.e30.", TokenProblem::Shape),
            ("e30=.e30.AAAA", TokenProblem::Shape),
            ("e30.e30.AAAA.AAAA", TokenProblem::Shape),
            ("e30.e30.AA+/", TokenProblem::Shape),
            ("e31.e30.AAAA", TokenProblem::Shape),
            (&long, TokenProblem::TooLong),
        ] {
            assert_eq!(
                UnverifiedToken::read(token, "RS256").unwrap_err(),
                problem,
                "{token:.20}"
            );
        }
    }
}

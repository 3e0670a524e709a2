//! A signed token -> the caller it names.
//!
//! `jsonwebtoken` takes it apart, verifies its signature, and judges its times, issuer and audience. Here stands
//! what a header may ask for, which key verifies, and what the claims say about rights.

use super::caller::{Allowed, Caller};
use crate::settings::{JwtAlgorithm, JwtSettings, RoleName};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::jwk::{KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// Longest token, in bytes. Tokens with many groups reach 4 to 6 kB.
pub const LONGEST_TOKEN: usize = 8 * 1024;
/// How far the issuer's clock may be off.
const LEEWAY_SECONDS: u64 = 30;
/// Characters of a subject that are kept.
const LONGEST_SUBJECT: usize = 128;
/// Claims that name the caller; the first one present counts.
const SUBJECTS: [&str; 5] = ["azp", "appid", "client_id", "sub", "oid"];

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TokenProblem {
    #[error("it is longer than 8 kB, or not three parts of base64url")]
    Shape,
    #[error("its header cannot be read, or asks for something that is not supported")]
    Header,
    #[error("it is not signed with the configured algorithm")]
    Algorithm,
    #[error("the issuer has no key of its key id")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error(
        "its claims are not a JSON object that names everything once, or its times are no times"
    )]
    Claims,
    #[error("its issuer is not the configured one")]
    Issuer,
    #[error("it is meant for somebody else")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
}

impl TokenProblem {
    /// Its label in metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Shape => "token_shape",
            Self::Header => "token_header",
            Self::Algorithm => "token_algorithm",
            Self::UnknownKey => "token_unknown_key",
            Self::Signature => "token_signature",
            Self::Claims => "token_claims",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYet => "token_not_yet",
        }
    }

    fn of_header(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Json(_) => Self::Header,
            _ => Self::Shape,
        }
    }

    fn of_token(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::NotYet,
            ErrorKind::InvalidToken | ErrorKind::Base64(_) => Self::Shape,
            ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => Self::Issuer,
            ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => Self::Audience,
            ErrorKind::MissingRequiredClaim(_)
            | ErrorKind::InvalidClaimFormat(_)
            | ErrorKind::Json(_)
            | ErrorKind::Utf8(_) => Self::Claims,
            _ => Self::Signature,
        }
    }
}

/// The issuer's keys that may verify tokens.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Keys(Vec<Jwk>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.0.iter().map(|key| &key.common.key_id);
        f.debug_list().entries(ids).finish()
    }
}

impl Keys {
    /// Reads a JWKS document. Keys of other kinds and for other uses are left out, be it all of them: then the
    /// issuer has withdrawn every key there was.
    pub(super) fn read(document: &[u8], algorithm: JwtAlgorithm) -> Result<Self, String> {
        let listed: JwkSet = serde_json::from_slice(document)
            .map_err(|_cause| "the document with the keys is no JWKS".to_owned())?;
        let mut keys = listed.keys;
        keys.retain(|key| verifies(key, algorithm));
        Ok(Self(keys))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of this id, the first of several. Without an id there must be one key only.
    fn key(&self, id: Option<&str>) -> Option<DecodingKey> {
        let key = match (id, self.0.as_slice()) {
            (Some(id), keys) => keys
                .iter()
                .find(|key| key.common.key_id.as_deref() == Some(id))?,
            (None, [only]) => only,
            (None, _) => return None,
        };
        DecodingKey::from_jwk(key).ok()
    }
}

fn verifies(key: &Jwk, algorithm: JwtAlgorithm) -> bool {
    let common = &key.common;
    let (is_of_kind, own_name) = match (algorithm, &key.algorithm) {
        (JwtAlgorithm::Rs256, AlgorithmParameters::RSA(_)) => (true, KeyAlgorithm::RS256),
        (JwtAlgorithm::Es256, AlgorithmParameters::EllipticCurve(key)) => {
            (key.curve == EllipticCurve::P256, KeyAlgorithm::ES256)
        }
        _ => return false,
    };
    let operations = common.key_operations.as_ref();
    is_of_kind
        && matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
        && common.key_algorithm.is_none_or(|named| named == own_name)
        && operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

fn algorithm_of(algorithm: JwtAlgorithm) -> Algorithm {
    match algorithm {
        JwtAlgorithm::Rs256 => Algorithm::RS256,
        JwtAlgorithm::Es256 => Algorithm::ES256,
    }
}

/// What must hold of a token, and where rights stand in its claims.
#[derive(Debug, Clone)]
pub(super) struct TokenRules {
    validation: Validation,
    roles: String,
    channels: Option<String>,
    tenants: Option<String>,
}

/// A caller and how long the token that names it is good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) caller: Caller,
    /// From now on, leeway included.
    pub(super) good_for: Duration,
}

impl TokenRules {
    pub(super) fn of(settings: &JwtSettings) -> Self {
        let mut validation = Validation::new(algorithm_of(settings.algorithm));
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECONDS;
        Self {
            validation,
            roles: settings.roles_claim.clone(),
            channels: settings.channels_claim.clone(),
            tenants: settings.tenants_claim.clone(),
        }
    }

    /// The caller a token names, by the wall clock.
    ///
    /// # Errors
    /// [`TokenProblem::UnknownKey`] also where one without a key id is not signed with the only key: the issuer
    /// may have changed it.
    pub(super) fn caller(&self, token: &[u8], keys: &Keys) -> Result<Accepted, TokenProblem> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenProblem::Shape);
        }
        let header = decode_header(token).map_err(|error| TokenProblem::of_header(&error))?;
        if !self.validation.algorithms.contains(&header.alg) {
            return Err(TokenProblem::Algorithm);
        }
        if asks_for_more(&header) {
            return Err(TokenProblem::Header);
        }
        let id = header.kid.as_deref();
        let key = keys.key(id).ok_or(TokenProblem::UnknownKey)?;
        let Claims(claims) = match decode::<Claims>(token, &key, &self.validation) {
            Ok(token) => token.claims,
            Err(error) => {
                return Err(match (TokenProblem::of_token(&error), id) {
                    (TokenProblem::Signature, None) => TokenProblem::UnknownKey,
                    (problem, _) => problem,
                });
            }
        };
        Ok(Accepted {
            caller: Caller::new(
                subject(&claims),
                roles(find(&claims, &self.roles)),
                allowed(&claims, self.channels.as_deref()),
                allowed(&claims, self.tenants.as_deref()),
            ),
            good_for: good_for(&claims),
        })
    }
}

/// From now on, leeway included.
fn good_for(claims: &Value) -> Duration {
    let expires = claims["exp"].as_f64().unwrap_or_default();
    Duration::try_from_secs_f64(expires)
        .unwrap_or(Duration::MAX)
        .saturating_add(Duration::from_secs(LEEWAY_SECONDS))
        .saturating_sub(Duration::from_secs(jsonwebtoken::get_current_timestamp()))
}

/// Whether a header would have the token say how it is verified, changes what the signature covers, or is that
/// of something else than an access or id token.
fn asks_for_more(header: &Header) -> bool {
    let names_a_key = header.jwk.is_some()
        || header.jku.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some();
    let is_extended = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    let more = header.extras.inner();
    let is_other = header.typ.as_ref().is_some_and(|kind| {
        !kind.eq_ignore_ascii_case("JWT") && !kind.eq_ignore_ascii_case("at+jwt")
    });
    names_a_key || is_extended || is_other || more.contains_key("b64") || more.contains_key("epk")
}

/// Claims, each named once: readers disagree about which of two counts.
struct Claims(Value);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedOnce;

        impl<'de> Visitor<'de> for NamedOnce {
            type Value = Map<String, Value>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(de::Error::custom("a claim is named twice"));
                    }
                }
                Ok(claims)
            }
        }

        let claims = deserializer.deserialize_map(NamedOnce)?;
        Ok(Self(Value::Object(claims)))
    }
}

/// The value at a name, or at a path of names that begins with `/`.
fn find<'c>(claims: &'c Value, place: &str) -> Option<&'c Value> {
    if place.starts_with('/') {
        claims.pointer(place)
    } else {
        claims.get(place)
    }
}

fn subject(claims: &Value) -> String {
    let named = SUBJECTS.iter().find_map(|name| claims[*name].as_str());
    let shown = named.unwrap_or("unnamed").chars();
    let shown = shown.filter(|c| !c.is_control()).take(LONGEST_SUBJECT);
    "token:".chars().chain(shown).collect()
}

/// Words of a list, or of a text with blanks between them.
fn words(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Roles of other services are left alone.
fn roles(value: Option<&Value>) -> Vec<RoleName> {
    let known = |word| match word {
        "browse" => Some(RoleName::Browse),
        "order" => Some(RoleName::Order),
        "operate" => Some(RoleName::Operate),
        _ => None,
    };
    words(value).into_iter().filter_map(known).collect()
}

/// A configured claim binds the caller also where a token lacks it.
fn allowed(claims: &Value, place: Option<&str>) -> Allowed {
    place.map_or(Allowed::All, |place| {
        let names = words(find(claims, place));
        Allowed::Only(names.into_iter().map(str::to_owned).collect())
    })
}

#[cfg(test)]
mod tests;

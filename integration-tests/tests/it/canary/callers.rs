//! What callers show: passwords, tokens and keys, right and wrong, each of them a canary.

use super::{EVENT_KEY, MARK};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use integration_tests::password_hash::hash_of;
use integration_tests::token_issuer::{KeyServer, SigningKey, good_claims, unix_seconds};
use serde_json::{Value, json};

/// One caller's header.
pub(super) struct Shown {
    /// What it is, for messages.
    pub(super) what: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
    /// Whether it lets somebody in, with all roles.
    pub(super) is_good: bool,
}

/// Who may call, and who tries to.
pub(super) struct Callers {
    hash: String,
    issuer: KeyServer,
    pub(super) shown: Vec<Shown>,
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

impl Callers {
    pub(super) async fn new() -> Self {
        let (key, other) = (
            SigningKey::new("one").unwrap(),
            SigningKey::new("one").unwrap(),
        );
        // A claim nobody reads: it shows where somebody writes all claims down.
        let claims_with = |claim: &str, value: Value| {
            let mut claims = good_claims();
            claims["jti"] = json!(format!("{MARK}-right-token"));
            claims[claim] = value;
            claims
        };
        let claims = claims_with("sub", json!("icm"));
        let right = key.token(&claims).unwrap();
        let (head, _) = right.rsplit_once('.').unwrap();
        let expired = claims_with("exp", json!(unix_seconds() - 3_600));
        let foreign = claims_with("aud", json!(format!("{MARK}-somebody-else")));
        let bearer = |token: String| format!("Bearer {token}");
        let signed = |claims: &Value| bearer(key.token(claims).unwrap());
        let shown = [
            (
                "the right password",
                basic(&format!("icm:{MARK}-right-password")),
                true,
            ),
            (
                "a wrong password",
                basic(&format!("icm:{MARK}-wrong-password")),
                false,
            ),
            ("no pair", basic(&format!("{MARK}-without-a-colon")), false),
            (
                "a token of another key",
                bearer(other.token(&claims).unwrap()),
                false,
            ),
            ("an expired token", signed(&expired), false),
            ("a token for somebody else", signed(&foreign), false),
            (
                "a token whose claims are a text",
                signed(&json!(format!("{MARK}-claims"))),
                false,
            ),
            (
                "a token without a readable signature",
                bearer(format!("{head}.{MARK}!")),
                false,
            ),
            ("no token at all", bearer(format!("{MARK}-token")), false),
            ("the right token", bearer(right.clone()), true),
            (
                "another scheme",
                format!("Digest {MARK}-of-another-scheme"),
                false,
            ),
        ]
        .map(|(what, value, is_good)| Shown {
            what,
            name: "authorization",
            value,
            is_good,
        });
        let event_key = Shown {
            what: "the key of events",
            name: "x-connector-key",
            value: EVENT_KEY.to_owned(),
            is_good: false,
        };
        Self {
            hash: hash_of(&format!("{MARK}-right-password")).unwrap(),
            issuer: KeyServer::start(&[&key]).await.unwrap(),
            shown: shown.into_iter().chain([event_key]).collect(),
        }
    }

    /// The sections about callers.
    pub(super) fn sections(&self) -> String {
        format!(
            "[[api.auth.basic]]\nname = \"icm\"\npassword_hash = \"{}\"\n\
             roles = [\"browse\", \"order\", \"operate\"]\n{}",
            self.hash,
            self.issuer.section()
        )
    }

    /// A header with which everything is allowed.
    pub(super) fn right(&self) -> (&'static str, &str) {
        let right = self.shown.iter().find(|shown| shown.is_good).unwrap();
        (right.name, &right.value)
    }

    /// Parts of what is shown and kept that no mark shows in: the end of the password's hash and the tokens'
    /// signatures.
    pub(super) fn secrets(&self) -> Vec<String> {
        let hash = self.hash.rsplit('$').next();
        let tokens = self.shown.iter().filter_map(|shown| {
            let token = shown.value.strip_prefix("Bearer eyJ")?;
            token.rsplit('.').next()
        });
        hash.into_iter().chain(tokens).map(str::to_owned).collect()
    }
}

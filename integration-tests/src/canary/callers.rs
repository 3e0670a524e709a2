//! What callers show: passwords, tokens and keys, right and wrong, each of them a canary.

use super::{HuntError, MARK, WEBHOOK_KEY};
use crate::password_hash::hash_of;
use crate::token_issuer::{KeyServer, Kind, SigningKey, good_claims, section, unix_seconds};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

const KIND: Kind = Kind::Es256;
const KEY_ID: &str = "one";

/// One caller's header.
#[derive(Debug)]
pub(super) struct Shown {
    /// What it is, for messages.
    pub(super) what: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
    /// Whether it lets somebody in, with all roles.
    pub(super) is_good: bool,
}

/// Who may call, and who tries to.
#[derive(Debug)]
pub(super) struct Callers {
    hash: String,
    issuer: KeyServer,
    pub(super) shown: Vec<Shown>,
}

fn password(kind: &str) -> String {
    format!("icm:{MARK}-{kind}-password")
}

impl Callers {
    pub(super) async fn new() -> Result<Self, HuntError> {
        let (key, other) = (
            SigningKey::new(KIND, KEY_ID)?,
            SigningKey::new(KIND, KEY_ID)?,
        );
        let hash = hash_of(&format!("{MARK}-right-password"))?;
        let mut shown = Vec::new();
        let mut show = |what, name, value, is_good| {
            shown.push(Shown {
                what,
                name,
                value,
                is_good,
            });
        };
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        let right = basic(&password("right"));
        show("the right password", "authorization", right, true);
        let wrong = basic(&password("wrong"));
        show("a wrong password", "authorization", wrong, false);
        let no_pair = basic(&format!("{MARK}-without-a-colon"));
        show("no pair", "authorization", no_pair, false);

        // A claim nobody reads: it shows where somebody writes all claims down.
        let mut claims = good_claims();
        claims["jti"] = json!(format!("{MARK}-right-token"));
        let mut expired = claims.clone();
        expired["exp"] = json!(unix_seconds() - 3_600);
        let mut foreign = claims.clone();
        foreign["aud"] = json!(format!("{MARK}-somebody-else"));
        let right = key.token(&claims)?;
        let (head, _) = right.rsplit_once('.').unwrap_or_default();
        for (what, token) in [
            ("a token of another key", other.token(&claims)?),
            ("an expired token", key.token(&expired)?),
            ("a token for somebody else", key.token(&foreign)?),
            (
                "a token whose claims are a text",
                key.token(&json!(format!("{MARK}-claims")))?,
            ),
            (
                "a token without a readable signature",
                format!("{head}.{MARK}!"),
            ),
            ("no token at all", format!("{MARK}-token")),
        ] {
            show(what, "authorization", format!("Bearer {token}"), false);
        }
        show(
            "the right token",
            "authorization",
            format!("Bearer {right}"),
            true,
        );
        let scheme = format!("Digest {MARK}-of-another-scheme");
        show("another scheme", "authorization", scheme, false);
        let key_of_events = WEBHOOK_KEY.to_owned();
        show("the key of events", "x-connector-key", key_of_events, false);
        Ok(Self {
            hash,
            issuer: KeyServer::start(&[&key]).await?,
            shown,
        })
    }

    /// The sections about callers.
    pub(super) fn sections(&self) -> String {
        format!(
            "[[api.auth.basic]]\nname = \"icm\"\npassword_hash = \"{}\"\n\
             roles = [\"browse\", \"order\", \"operate\"]\n{}",
            self.hash,
            section(KIND, &self.issuer.url(), "")
        )
    }

    /// The header that opens every door.
    pub(super) fn right(&self) -> (&'static str, &str) {
        let right = self.shown.iter().find(|shown| shown.is_good);
        right.map_or(("", ""), |shown| (shown.name, &shown.value))
    }

    /// Parts of what is shown and kept that no other text holds and that no mark shows in: the end of
    /// the password's hash and the tokens' signatures.
    pub(super) fn needles(&self) -> Vec<String> {
        let hash = self.hash.rsplit('$').next();
        let tokens = self.shown.iter().filter_map(|shown| {
            let token = shown.value.strip_prefix("Bearer eyJ")?;
            token.rsplit('.').next()
        });
        hash.into_iter().chain(tokens).map(str::to_owned).collect()
    }
}

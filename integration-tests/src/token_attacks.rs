//! What should not get in with a token: a list of generic attacks, each in several variations.

mod claims;
mod shapes;

use crate::token_issuer::{Kind, NoKey, SigningKey, good_claims, unsigned};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A token that must be refused.
#[derive(Debug)]
pub struct Attack {
    /// What it tries.
    pub name: String,
    /// The token.
    pub token: String,
}

struct Attacks<'k> {
    right: &'k SigningKey,
    stranger: SigningKey,
    /// The issuer's second key, of the other kind: no configuration takes both.
    other_kind: &'k SigningKey,
    kind: Kind,
    list: Vec<Attack>,
}

/// All attacks on a service that takes tokens of `right`, a key of this kind; `other_kind` is in the
/// issuer's document too. At least one more key of the right kind must be published beside it.
pub fn attacks(
    kind: Kind,
    right: &SigningKey,
    other_kind: &SigningKey,
) -> Result<Vec<Attack>, NoKey> {
    let mut attacks = Attacks {
        right,
        stranger: SigningKey::new(kind, &right.id)?,
        other_kind,
        kind,
        list: Vec::new(),
    };
    attacks.unsigned();
    attacks.public_key_as_secret();
    attacks.other_algorithms()?;
    attacks.strangers()?;
    attacks.wrong_claims()?;
    attacks.doubled_claims()?;
    attacks.key_ids()?;
    attacks.headers()?;
    attacks.broken_shapes()?;
    attacks.changed_bytes()?;
    Ok(attacks.list)
}

impl Attacks<'_> {
    fn add(&mut self, name: impl Into<String>, token: impl Into<String>) {
        self.list.push(Attack {
            name: name.into(),
            token: token.into(),
        });
    }

    fn header_with(&self, field: &str, value: Value) -> String {
        let mut header = self.right.header();
        header[field] = value;
        header.to_string()
    }

    fn unsigned(&mut self) {
        let claims = good_claims().to_string();
        for name in ["none", "None", "NONE", "nOnE", "", " none", "null"] {
            let signed = unsigned(&self.header_with("alg", json!(name)), &claims);
            for signature in ["", "AA", "e30", "bm9uZQ"] {
                self.add(
                    format!("alg {name:?}, signature {signature:?}"),
                    format!("{signed}.{signature}"),
                );
            }
            self.add(format!("alg {name:?}, two parts"), signed);
        }
        for value in [
            json!(null),
            json!(["RS256"]),
            json!(0),
            json!({"alg": "RS256"}),
        ] {
            let signed = unsigned(&self.header_with("alg", value.clone()), &claims);
            self.add(format!("alg {value}"), format!("{signed}.AAAA"));
        }
    }

    fn public_key_as_secret(&mut self) {
        let claims = good_claims().to_string();
        let der = self.right.public_der();
        let jwk = self.right.public_jwk();
        let base64 = STANDARD.encode(&der);
        let lines: Vec<&str> = base64
            .as_bytes()
            .chunks(64)
            .filter_map(|line| std::str::from_utf8(line).ok())
            .collect();
        let pem = |label: &str, end: &str| {
            let body = lines.join("\n");
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----{end}").into_bytes()
        };
        let modulus = jwk["n"].as_str().or(jwk["x"].as_str()).unwrap_or_default();
        let secrets: Vec<(&str, Vec<u8>)> = vec![
            ("DER", der.clone()),
            ("PEM PUBLIC KEY", pem("PUBLIC KEY", "\n")),
            ("PEM without line end", pem("PUBLIC KEY", "")),
            ("PEM RSA PUBLIC KEY", pem("RSA PUBLIC KEY", "\n")),
            ("PEM CERTIFICATE", pem("CERTIFICATE", "\n")),
            ("JWK", jwk.to_string().into_bytes()),
            ("modulus text", modulus.as_bytes().to_vec()),
            (
                "modulus",
                URL_SAFE_NO_PAD.decode(modulus).unwrap_or_default(),
            ),
            ("key id", self.right.id.clone().into_bytes()),
            ("nothing", Vec::new()),
            ("secret", b"secret".to_vec()),
        ];
        for (algorithm, digest) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
            // The header tells the truth about the configured algorithm, the signature does not.
            (self.kind.name(), hmac::HMAC_SHA256),
        ] {
            for (name, secret) in &secrets {
                let signed = unsigned(&self.header_with("alg", json!(algorithm)), &claims);
                let tag = hmac::sign(&hmac::Key::new(digest, secret), signed.as_bytes());
                let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
                self.add(format!("{algorithm} with the {name} as secret"), token);
            }
        }
    }

    fn other_algorithms(&mut self) -> Result<(), NoKey> {
        let claims = good_claims();
        let by_other = self.other_kind.token(&claims)?;
        self.add("the issuer's key of the other kind", by_other);
        for name in [
            "RS256", "RS384", "RS512", "PS256", "PS384", "ES256", "ES384", "ES512", "ES256K",
            "EdDSA", "RSA-OAEP", "dir", "rs256", "es256", "Rs256", "RS256 ",
        ] {
            let mut header = self.other_kind.header();
            header["alg"] = json!(name);
            for id in [&self.right.id, &self.other_kind.id] {
                header["kid"] = json!(id);
                let token = self
                    .other_kind
                    .token_of(&header.to_string(), &claims.to_string())?;
                self.add(format!("other kind, alg {name:?}, kid {id}"), token);
            }
            if name != self.kind.name() {
                let header = self.header_with("alg", json!(name));
                let token = self.right.token_of(&header, &claims.to_string())?;
                self.add(format!("right key, alg {name:?}"), token);
            }
        }
        // Zeros verify where r and s are not checked.
        for length in [0, 1, 63, 64, 65, 72, 128, 256] {
            let signed = unsigned(&self.right.header().to_string(), &claims.to_string());
            for byte in [0_u8, 1, 0xFF] {
                let signature = URL_SAFE_NO_PAD.encode(vec![byte; length]);
                let name = format!("{length} bytes of {byte} as signature");
                self.add(name, format!("{signed}.{signature}"));
            }
        }
        Ok(())
    }

    fn strangers(&mut self) -> Result<(), NoKey> {
        let claims = good_claims();
        let token = self.stranger.token(&claims)?;
        self.add("a stranger's key under the right id", token);
        let jwk = self.stranger.public_jwk();
        for (field, value) in [
            ("jwk", jwk.clone()),
            ("jku", json!("http://127.0.0.1:9/keys")),
            (
                "jku",
                json!("https://issuer.example/.well-known/../attacker/keys"),
            ),
            ("x5u", json!("http://127.0.0.1:9/certificate")),
            ("x5c", json!([STANDARD.encode(self.stranger.public_der())])),
            ("x5t", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ] {
            let header = self.header_with(field, value.clone());
            let token = self.stranger.token_of(&header, &claims.to_string())?;
            self.add(format!("a stranger's key, named by {field}"), token);
            if field != "x5t" {
                let token = self.right.token_of(&header, &claims.to_string())?;
                self.add(format!("the right key, {field} beside it"), token);
            }
        }
        Ok(())
    }
}

//! Signed by the right key, and claiming what may not be claimed.

use super::Attacks;
use crate::token_issuer::{NoKey, good_claims, unix_seconds};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Values that a claim may not have.
fn wrong_values() -> [(&'static str, Vec<Value>); 5] {
    let now = unix_seconds();
    let (past, future) = (json!(now - 3_600), json!(now + 3_600));
    [
        (
            "iss",
            vec![
                json!(null),
                json!(""),
                json!("https://issuer.example"),
                json!("HTTPS://ISSUER.EXAMPLE/"),
                json!("https://issuer.example/ "),
                json!("https://attacker.example/"),
                json!(["https://issuer.example/"]),
                json!(7),
            ],
        ),
        (
            "aud",
            vec![
                json!(null),
                json!(""),
                json!("Inventory"),
                json!("inventory "),
                json!("inventory,other"),
                json!([]),
                json!(["other"]),
                json!([["inventory"]]),
                json!({ "inventory": true }),
                json!(["inventory", 7]),
                json!("*"),
            ],
        ),
        (
            "exp",
            vec![
                json!(null),
                json!(true),
                json!(future.to_string()),
                json!("never"),
                json!(""),
                json!([future]),
                json!({ "at": future }),
                json!(-1),
                json!(i64::MIN),
                json!(0),
                json!(u64::MAX),
                json!(i64::MAX),
                json!(1e300),
                json!(4_000_000_000.5),
                json!(9_999_999_999_999_u64),
                past.clone(),
            ],
        ),
        (
            "nbf",
            vec![
                future.clone(),
                json!(u64::MAX),
                json!(1e300),
                json!(past.to_string()),
                json!(-1),
                json!([past]),
                json!(0.5),
            ],
        ),
        ("iat", vec![json!("now"), json!(-1), json!(0.5)]),
    ]
}

impl Attacks<'_> {
    pub(super) fn wrong_claims(&mut self) -> Result<(), NoKey> {
        for (claim, values) in wrong_values() {
            for value in values {
                let mut claims = good_claims();
                claims[claim] = value.clone();
                let token = self.right.token(&claims)?;
                self.add(format!("{claim} {value}"), token);
            }
        }
        for claim in ["iss", "aud", "exp"] {
            let mut claims = good_claims();
            if let Some(claims) = claims.as_object_mut() {
                claims.remove(claim);
            }
            let token = self.right.token(&claims)?;
            self.add(format!("no {claim}"), token);
        }
        let header = self.right.header().to_string();
        for text in [
            "",
            "{",
            "[]",
            "null",
            "7",
            "\"text\"",
            "{}",
            "{\"exp\":NaN}",
            "\u{feff}{}",
        ] {
            let token = self.right.token_of(&header, text)?;
            self.add(format!("claims {text:?}"), token);
        }
        let mut bytes = vec![0xFF, 0xFE];
        bytes.extend_from_slice(good_claims().to_string().as_bytes());
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(bytes)
        );
        let signature = URL_SAFE_NO_PAD.encode(self.right.sign(signed.as_bytes())?);
        self.add("claims that are no UTF-8", format!("{signed}.{signature}"));
        Ok(())
    }

    pub(super) fn doubled_claims(&mut self) -> Result<(), NoKey> {
        let header = self.right.header().to_string();
        let good = good_claims().to_string();
        let inner = &good[1..good.len() - 1];
        for again in [
            r#""exp":4102444800"#,
            r#""aud":"other""#,
            r#""iss":"https://attacker.example/""#,
            r#""roles":["operate"]"#,
            r#""\u0065xp":4102444800"#,
            r#""sub":"admin""#,
        ] {
            for text in [
                format!("{{{inner},{again}}}"),
                format!("{{{again},{inner}}}"),
            ] {
                let token = self.right.token_of(&header, &text)?;
                self.add(format!("claim twice: {again}"), token);
            }
        }
        let inner = &header[1..header.len() - 1];
        for again in [
            r#""alg":"none""#,
            r#""alg":"HS256""#,
            r#""kid":"x""#,
            r#""typ":"x""#,
        ] {
            for text in [
                format!("{{{inner},{again}}}"),
                format!("{{{again},{inner}}}"),
            ] {
                let token = self.right.token_of(&text, &good)?;
                self.add(format!("header field twice: {again}"), token);
            }
        }
        Ok(())
    }
}

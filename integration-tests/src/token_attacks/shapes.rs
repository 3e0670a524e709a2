//! Headers, key ids and shapes that no token of the issuer has.

use super::{Attack, Attacks};
use crate::token_issuer::{NoKey, good_claims};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

impl Attacks<'_> {
    pub(super) fn key_ids(&mut self) -> Result<(), NoKey> {
        let claims = good_claims().to_string();
        let right = self.right.id.clone();
        let ids = [
            json!("../../../../dev/null"),
            json!("/dev/null"),
            json!("/proc/self/environ"),
            json!("..\\..\\windows\\win.ini"),
            json!("' OR '1'='1"),
            json!("x' UNION SELECT 'key'; --"),
            json!("$(id)"),
            json!("`id`"),
            json!("; rm -rf /"),
            json!("http://127.0.0.1:9/keys"),
            json!("*"),
            json!("%00"),
            json!("\u{0}"),
            json!(format!("{right}\u{0}")),
            json!(format!("{right} ")),
            json!(right.to_uppercase()),
            json!(right[..right.len() - 1]),
            json!("k".repeat(257)),
            json!("k".repeat(4_000)),
            json!(""),
            json!(null),
            json!(0),
            json!(true),
            json!([right]),
            json!({ "kid": right }),
        ];
        for id in ids {
            let name = format!("kid {id}");
            let name = name.chars().take(60).collect::<String>();
            let header = self.header_with("kid", id);
            for (whose, key) in [("right", self.right), ("stranger's", &self.stranger)] {
                let token = key.token_of(&header, &claims)?;
                self.list.push(Attack {
                    name: format!("{name}, {whose} key"),
                    token,
                });
            }
        }
        let mut header = self.right.header();
        if let Some(header) = header.as_object_mut() {
            header.remove("kid");
        }
        for (whose, key) in [("right", self.right), ("stranger's", &self.stranger)] {
            let token = key.token_of(&header.to_string(), &claims)?;
            self.list.push(Attack {
                name: format!("no kid among several keys, {whose} key"),
                token,
            });
        }
        Ok(())
    }

    pub(super) fn headers(&mut self) -> Result<(), NoKey> {
        let claims = good_claims().to_string();
        for (field, value) in [
            ("crit", json!([])),
            ("crit", json!(["exp"])),
            ("crit", json!(["b64"])),
            ("crit", json!("exp")),
            ("b64", json!(false)),
            ("b64", json!(true)),
            ("zip", json!("DEF")),
            ("enc", json!("A256GCM")),
            ("epk", json!({})),
            ("typ", json!("JWE")),
            ("typ", json!("secevent+jwt")),
            ("typ", json!("logout+jwt")),
            ("typ", json!(7)),
        ] {
            let header = self.header_with(field, value.clone());
            let token = self.right.token_of(&header, &claims)?;
            self.add(format!("header {field} {value}"), token);
        }
        for text in ["", "{", "[]", "null", "7", "{}", "\"RS256\"", "{\"alg\":}"] {
            let token = self.right.token_of(text, &claims)?;
            self.add(format!("header {text:?}"), token);
        }
        Ok(())
    }

    pub(super) fn broken_shapes(&mut self) -> Result<(), NoKey> {
        let good = self.right.token(&good_claims())?;
        let parts: Vec<&str> = good.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(NoKey);
        };
        let padded = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
            URL_SAFE.encode(bytes)
        };
        let plain = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
            STANDARD.encode(bytes)
        };
        let mut shapes = vec![
            "..".to_owned(),
            "...".to_owned(),
            ".".to_owned(),
            "x".to_owned(),
            "null".to_owned(),
            "undefined".to_owned(),
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!("{header}..{signature}"),
            format!(".{claims}.{signature}"),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}.{signature}"),
            format!("{good}.e30.e30"),
            format!("{good}="),
            format!("{good}=="),
            format!("{good} {good}"),
            format!("{good},{good}"),
            format!("{good}\u{e4}"),
            format!("\"{good}\""),
            format!("{header}.{claims}.{}", &signature[..signature.len() - 1]),
            format!("{header}.{claims}.{}", &signature[..signature.len() / 2]),
            format!("{header}.{claims}.{signature}A"),
            format!("{header}.{claims}.{signature}{signature}"),
            format!("{header}.{}.{signature}", &claims[..claims.len() - 4]),
            format!("{claims}.{header}.{signature}"),
            format!("{header}.{header}.{signature}"),
            format!("{header} .{claims}.{signature}"),
        ];
        for changed in [padded(signature), plain(signature)] {
            if changed != signature {
                shapes.push(format!("{header}.{claims}.{changed}"));
            }
        }
        for changed in [padded(claims), plain(claims)] {
            if changed != claims {
                shapes.push(format!("{header}.{changed}.{signature}"));
            }
        }
        for shape in shapes {
            let name = format!("shape {}", shape.chars().take(40).collect::<String>());
            self.add(name, shape);
        }
        for length in [8_193, 10_000, 16_000] {
            let mut large = good_claims();
            large["more"] = json!("x".repeat(length));
            let token = self.right.token(&large)?;
            self.add(format!("a good token of {} bytes", token.len()), token);
        }
        Ok(())
    }

    /// A good token with one character changed, in many places.
    pub(super) fn changed_bytes(&mut self) -> Result<(), NoKey> {
        let good = self.right.token(&good_claims())?;
        for step in 0..64 {
            let at = step * good.len() / 64;
            let mut changed = good.clone().into_bytes();
            changed[at] = match changed[at] {
                b'A' => b'B',
                _ => b'A',
            };
            let changed = String::from_utf8_lossy(&changed).into_owned();
            self.add(format!("character {at} changed"), changed);
        }
        Ok(())
    }
}

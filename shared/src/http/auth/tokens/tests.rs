#![expect(
    clippy::needless_pass_by_value,
    reason = "texts, values and references alike"
)]

use super::*;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde_json::json;

fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

struct Key {
    private: EncodingKey,
    public: Jwk,
    algorithm: Algorithm,
}

impl Key {
    fn new(algorithm: Algorithm, id: &str) -> Self {
        let kind = match algorithm {
            Algorithm::RS256 => &rcgen::PKCS_RSA_SHA256,
            _ => &rcgen::PKCS_ECDSA_P256_SHA256,
        };
        let pem = rcgen::KeyPair::generate_for(kind).unwrap().serialize_pem();
        let private = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            _ => EncodingKey::from_ec_pem(pem.as_bytes()),
        };
        let private = private.unwrap();
        let mut public = Jwk::from_encoding_key(&private, algorithm).unwrap();
        public.common.key_id = Some(id.to_owned());
        Self {
            private,
            public,
            algorithm,
        }
    }

    /// A signed token of these texts, whatever they say.
    fn sign(&self, header: impl ToString, claims: impl ToString) -> String {
        let signed = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &self.private, self.algorithm);
        format!("{signed}.{}", signature.unwrap())
    }
}

/// A service that takes tokens of one algorithm, and an issuer with two keys of it and one of another kind.
struct TestBed {
    rules: TokenRules,
    keys: Keys,
    right: Key,
    other_kind: Key,
    /// Has the right key's id.
    foreign: Key,
    name: &'static str,
}

impl TestBed {
    fn new(algorithm: JwtAlgorithm) -> Self {
        let (kind, other, name) = match algorithm {
            JwtAlgorithm::Rs256 => (Algorithm::RS256, Algorithm::ES256, "RS256"),
            JwtAlgorithm::Es256 => (Algorithm::ES256, Algorithm::RS256, "ES256"),
        };
        let settings = format!(
            "issuer = 'https://issuer.example/'\naudience = 'inventory'\nalgorithm = '{name}'\n\
             tenants_claim = '/rights/tenants'"
        );
        let [right, second, foreign] = ["one", "two", "one"].map(|id| Key::new(kind, id));
        let other_kind = Key::new(other, "three");
        let listed = json!({ "keys": [right.public, second.public, other_kind.public] });
        Self {
            rules: TokenRules::of(&toml::from_str(&settings).unwrap()),
            keys: Keys::read(listed.to_string().as_bytes(), algorithm).unwrap(),
            right,
            other_kind,
            foreign,
            name,
        }
    }

    fn header(&self) -> Value {
        json!({ "alg": self.name, "typ": "JWT", "kid": "one" })
    }

    fn header_with(&self, name: &str, value: &Value) -> Value {
        let mut header = self.header();
        header[name] = value.clone();
        header
    }

    fn judge(&self, token: &str) -> Result<Accepted, TokenProblem> {
        self.rules.caller(token.as_bytes(), &self.keys)
    }

    /// A token of the right key.
    fn judge_claims(&self, claims: impl ToString) -> Result<Accepted, TokenProblem> {
        self.judge(&self.right.sign(self.header(), claims))
    }
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn good_claims() -> Value {
    json!({
        "iss": "https://issuer.example/", "aud": "inventory", "iat": now(), "nbf": now(),
        "exp": now() + 600, "sub": "icm", "roles": ["browse", "other"],
        "rights": { "tenants": "contoso fabrikam" }
    })
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = good_claims();
    claims[claim] = value;
    claims
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

/// The texts of an object in which this member stands twice.
fn doubled(object: &Value, member: &str) -> [String; 2] {
    let text = object.to_string();
    let inner = &text[1..text.len() - 1];
    [
        format!("{{{inner},{member}}}"),
        format!("{{{member},{inner}}}"),
    ]
}

#[test]
fn good_tokens_name_the_caller_and_its_rights() {
    for algorithm in [JwtAlgorithm::Rs256, JwtAlgorithm::Es256] {
        let bed = TestBed::new(algorithm);
        let Accepted { caller, good_for } = bed.judge_claims(good_claims()).unwrap();
        assert_eq!(caller.id(), "token:icm");
        assert!((620..=630).contains(&good_for.as_secs()), "{good_for:?}");
        assert!(caller.has_role(RoleName::Browse) && !caller.has_role(RoleName::Order));
        assert!(caller.may_ask("fabrikam", Some("any")).is_ok());
        assert!(caller.may_ask("adatum", None).is_err());
        let unbound = bed.judge_claims(without(good_claims(), "rights")).unwrap();
        assert!(unbound.caller.may_ask("contoso", None).is_err());
        let scopes = bed
            .judge_claims(with("roles", json!("order operate")))
            .unwrap();
        assert!(scopes.caller.has_role(RoleName::Operate));
        let long = with("sub", json!(format!("a\n{}", "b".repeat(200))));
        let long = bed.judge_claims(long).unwrap().caller;
        assert_eq!(long.id(), format!("token:a{}", "b".repeat(127)));
        for (claim, value) in [
            ("aud", json!(["other", "inventory"])),
            ("exp", json!(now() - 25)),
            ("nbf", json!(now() + 25)),
        ] {
            assert!(bed.judge_claims(with(claim, value)).is_ok(), "{claim}");
        }
        for header in [
            bed.header_with("typ", &json!("at+jwt")),
            bed.header_with("x5t", &json!("thumbprint")),
        ] {
            assert!(bed.judge(&bed.right.sign(header, good_claims())).is_ok());
        }
    }
}

#[test]
fn of_a_document_keys_for_signatures_of_the_algorithm_are_taken() {
    let (rsa, ec) = (
        Key::new(Algorithm::RS256, "rsa"),
        Key::new(Algorithm::ES256, "ec"),
    );
    let [rsa, ec] = [rsa, ec].map(|key| json!(key.public));
    let rsa_with = |id: &str, name: &str, value: Value| {
        let mut key = rsa.clone();
        key["kid"] = json!(id);
        key[name] = value;
        key
    };
    let listed = json!({ "keys": [
        rsa, ec, without(rsa.clone(), "alg"),
        rsa_with("stated", "use", json!("sig")),
        rsa_with("encryption", "use", json!("enc")),
        rsa_with("other", "alg", json!("PS256")),
        rsa_with("signing", "key_ops", json!(["sign"])),
        { "kty": "oct", "kid": "shared", "k": "AAAA" },
        { "kty": "new", "kid": "unknown" },
    ] });
    let read = |algorithm| Keys::read(listed.to_string().as_bytes(), algorithm).unwrap();
    let ids = format!("{:?}", read(JwtAlgorithm::Rs256));
    assert_eq!(ids, r#"[Some("rsa"), Some("rsa"), Some("stated")]"#);
    assert_eq!(
        format!("{:?}", read(JwtAlgorithm::Es256)),
        r#"[Some("ec")]"#
    );
    assert!(
        Keys::read(br#"{"keys":[]}"#, JwtAlgorithm::Rs256)
            .unwrap()
            .is_empty()
    );
    assert!(Keys::read(b"<html>", JwtAlgorithm::Rs256).is_err());
}

#[test]
fn without_a_key_id_there_must_be_one_key_which_may_have_changed() {
    let bed = TestBed::new(JwtAlgorithm::Es256);
    let header = without(bed.header(), "kid");
    let token = bed.right.sign(&header, good_claims());
    assert_eq!(bed.judge(&token), Err(TokenProblem::UnknownKey), "two keys");
    let only = Keys(vec![bed.right.public.clone()]);
    assert!(bed.rules.caller(token.as_bytes(), &only).is_ok());
    let token = bed.foreign.sign(&header, good_claims());
    let refused = bed.rules.caller(token.as_bytes(), &only);
    assert_eq!(refused, Err(TokenProblem::UnknownKey));
}

/// Generic attacks, each in several variations; each is refused for its reason.
#[test]
fn no_attack_gets_in() {
    for algorithm in [JwtAlgorithm::Rs256, JwtAlgorithm::Es256] {
        let bed = TestBed::new(algorithm);
        let mut count = 0;
        let mut refused = |name: &str, token: &str, problems: &[TokenProblem]| {
            let judged = bed.judge(token).expect_err(name);
            let is_expected = problems.is_empty() || problems.contains(&judged);
            assert!(is_expected, "{} {name}: {judged:?}", bed.name);
            count += 1;
        };
        for (name, token, problems) in signatures(&bed) {
            refused(&name, &token, &problems);
        }
        for (name, value, problem) in claims() {
            let token = bed.right.sign(bed.header(), with(name, value.clone()));
            refused(&format!("{name} {value}"), &token, &[problem]);
        }
        for claim in ["iss", "aud", "exp"] {
            let token = bed.right.sign(bed.header(), without(good_claims(), claim));
            refused(&format!("no {claim}"), &token, &[]);
        }
        for text in [
            "",
            "{",
            "[]",
            "null",
            "7",
            "{}",
            "{\"exp\":NaN}",
            "\u{feff}{}",
        ] {
            let token = bed.right.sign(bed.header(), text);
            refused(&format!("claims {text:?}"), &token, &[]);
            let token = bed.right.sign(text, good_claims());
            refused(&format!("header {text:?}"), &token, &[TokenProblem::Header]);
        }
        for again in [
            r#""exp":4102444800"#,
            r#""aud":"other""#,
            r#""roles":[]"#,
            r#""\u0065xp":1"#,
        ] {
            for text in doubled(&good_claims(), again) {
                let token = bed.right.sign(bed.header(), text);
                refused(again, &token, &[TokenProblem::Claims]);
            }
        }
        for again in [r#""alg":"none""#, r#""kid":"x""#, r#""typ":"x""#] {
            for text in doubled(&bed.header(), again) {
                let token = bed.right.sign(text, good_claims());
                refused(again, &token, &[TokenProblem::Header]);
            }
        }
        for (name, value, problem) in headers() {
            let header = bed.header_with(name, &value);
            for key in [&bed.right, &bed.foreign] {
                let token = key.sign(&header, good_claims());
                refused(&format!("{name} {value}"), &token, &[problem]);
            }
        }
        for shape in shapes(&bed.right.sign(bed.header(), good_claims())) {
            refused(&format!("shape {shape:.60}"), &shape, &[]);
        }
        assert!(count > 250, "{count}");
    }
}

type Attack = (String, String, Vec<TokenProblem>);

/// Not signed, or signed by another key or in another way than the header says.
fn signatures(bed: &TestBed) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let claims = good_claims();
    for algorithm in [
        json!("none"),
        json!("NONE"),
        json!(""),
        json!("HS256"),
        json!("RS384"),
        json!("PS256"),
        json!("ES384"),
        json!("EdDSA"),
        json!("rs256"),
        json!("RS256 "),
        json!(null),
        json!(["RS256"]),
        json!(0),
    ] {
        let header = bed.header_with("alg", &algorithm);
        let token = bed.right.sign(&header, &claims);
        let unsigned = token[..=token.rfind('.').unwrap()].to_owned();
        for token in [token, unsigned] {
            let problems = vec![TokenProblem::Header, TokenProblem::Algorithm];
            attacks.push((format!("alg {algorithm}"), token, problems));
        }
    }
    let jwk = json!(bed.right.public).to_string();
    for (algorithm, problem) in [
        ("HS256", TokenProblem::Algorithm),
        // The header tells the truth about the algorithm, the signature does not.
        (bed.name, TokenProblem::Signature),
    ] {
        for secret in [jwk.as_str(), "one", "", "secret"] {
            let header = bed.header_with("alg", &json!(algorithm)).to_string();
            let signed = format!("{}.{}", part(header), part(claims.to_string()));
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let tag = hmac::sign(&key, signed.as_bytes());
            let token = format!("{signed}.{}", part(tag));
            attacks.push((format!("{algorithm} with {secret}"), token, vec![problem]));
        }
    }
    let signed = format!(
        "{}.{}",
        part(bed.header().to_string()),
        part(claims.to_string())
    );
    for length in [0, 1, 63, 64, 65, 72, 256] {
        // Zeros verify where r and s are not checked.
        for byte in [0, 1, 0xFF] {
            let token = format!("{signed}.{}", part(vec![byte; length]));
            let name = format!("{length} bytes of {byte} as signature");
            attacks.push((name, token, vec![TokenProblem::Signature]));
        }
    }
    let own = json!({ "alg": format!("{:?}", bed.other_kind.algorithm), "kid": "three" });
    for (name, key, header, problem) in [
        (
            "a foreign key",
            &bed.foreign,
            bed.header(),
            TokenProblem::Signature,
        ),
        (
            "the key of the other kind",
            &bed.other_kind,
            own,
            TokenProblem::Algorithm,
        ),
        (
            "the other kind under its id",
            &bed.other_kind,
            bed.header_with("kid", &json!("three")),
            TokenProblem::UnknownKey,
        ),
        (
            "the other kind under the right id",
            &bed.other_kind,
            bed.header(),
            TokenProblem::Signature,
        ),
    ] {
        attacks.push((name.to_owned(), key.sign(header, &claims), vec![problem]));
    }
    attacks
}

/// Signed by the right key, and claiming what may not be claimed.
fn claims() -> Vec<(&'static str, Value, TokenProblem)> {
    use TokenProblem::{Audience, Claims, Expired, Issuer, NotYet};
    let (past, future) = (now() - 3_600, now() + 3_600);
    vec![
        ("iss", json!(null), Issuer),
        ("iss", json!("https://issuer.example"), Issuer),
        ("iss", json!("HTTPS://ISSUER.EXAMPLE/"), Issuer),
        ("iss", json!("https://attacker.example/"), Issuer),
        ("iss", json!(7), Issuer),
        ("aud", json!(null), Audience),
        ("aud", json!("Inventory"), Audience),
        ("aud", json!("inventory,other"), Audience),
        ("aud", json!([]), Audience),
        ("aud", json!([["inventory"]]), Audience),
        ("aud", json!({ "inventory": true }), Audience),
        ("aud", json!(["inventory", 7]), Audience),
        ("exp", json!(null), Claims),
        ("exp", json!(true), Claims),
        ("exp", json!(future.to_string()), Claims),
        ("exp", json!([future]), Claims),
        ("exp", json!(-1), Claims),
        ("exp", json!(i64::MIN), Claims),
        ("exp", json!(1e300), Claims),
        ("exp", json!(0), Expired),
        ("exp", json!(past), Expired),
        ("exp", json!(now() - 35), Expired),
        ("nbf", json!(future), NotYet),
        ("nbf", json!(now() + 35), NotYet),
        ("nbf", json!(u64::MAX), NotYet),
        ("nbf", json!(1e300), Claims),
        ("nbf", json!(past.to_string()), Claims),
        ("nbf", json!(-1), Claims),
        ("nbf", json!([past]), Claims),
    ]
}

/// Headers that no token of the issuer has, and keys they would bring along.
fn headers() -> Vec<(&'static str, Value, TokenProblem)> {
    use TokenProblem::{Header, UnknownKey};
    let jwk = json!(Key::new(Algorithm::ES256, "one").public);
    vec![
        ("jwk", jwk, Header),
        ("jku", json!("http://127.0.0.1:9/keys"), Header),
        ("x5u", json!("http://127.0.0.1:9/certificate"), Header),
        ("x5c", json!(["AAAA"]), Header),
        ("crit", json!([]), Header),
        ("crit", json!(["b64"]), Header),
        ("crit", json!("exp"), Header),
        ("b64", json!(false), Header),
        ("zip", json!("DEF"), Header),
        ("enc", json!("A256GCM"), Header),
        ("epk", json!({}), Header),
        ("typ", json!("JWE"), Header),
        ("typ", json!("logout+jwt"), Header),
        ("typ", json!(7), Header),
        ("kid", json!("../../../../dev/null"), UnknownKey),
        ("kid", json!("' OR '1'='1"), UnknownKey),
        ("kid", json!("http://127.0.0.1:9/keys"), UnknownKey),
        ("kid", json!("*"), UnknownKey),
        ("kid", json!("one\u{0}"), UnknownKey),
        ("kid", json!("one "), UnknownKey),
        ("kid", json!("ONE"), UnknownKey),
        ("kid", json!("on"), UnknownKey),
        ("kid", json!(""), UnknownKey),
        ("kid", json!("k".repeat(4_000)), UnknownKey),
        ("kid", json!(null), UnknownKey),
        ("kid", json!(0), Header),
        ("kid", json!(["one"]), Header),
    ]
}

/// A good token, broken: its parts, its encoding, its length, and one character in many places.
fn shapes(good: &str) -> Vec<String> {
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}");
    };
    let short = &signature[..signature.len() - 1];
    let padded = URL_SAFE.encode(URL_SAFE_NO_PAD.decode(signature).unwrap());
    let mut shapes = vec![
        String::new(),
        "..".to_owned(),
        "x".to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{good}."),
        format!("{good}.e30.e30"),
        format!("{good}="),
        format!("{good} {good}"),
        format!("{good}\u{e4}"),
        format!("\"{good}\""),
        format!("{header}.{claims}.{short}"),
        format!("{header}.{claims}.{signature}A"),
        format!("{header}.{claims}.{padded}"),
        format!("{header}.{}.{signature}", STANDARD.encode(claims)),
        format!("{claims}.{header}.{signature}"),
        format!("{header} .{claims}.{signature}"),
        "a".repeat(LONGEST_TOKEN + 1),
    ];
    for step in 0..64 {
        let mut changed = good.as_bytes().to_vec();
        let at = step * good.len() / 64;
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        shapes.push(String::from_utf8(changed).unwrap());
    }
    shapes
}

#[test]
fn a_good_token_that_is_too_long_is_refused() {
    let bed = TestBed::new(JwtAlgorithm::Es256);
    let large = with("more", json!("x".repeat(LONGEST_TOKEN)));
    assert_eq!(bed.judge_claims(large), Err(TokenProblem::Shape));
}

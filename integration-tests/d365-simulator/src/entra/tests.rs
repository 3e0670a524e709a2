use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::apps::Secret;

const NOW: &str = "2026-07-22T20:26:38Z";
const ORIGIN: &str = "http://127.0.0.1:8070";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const APP: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const SECRET: &str = "s e+c/r&et%";

fn ask(apps: &[AppRegistration], endpoint: Endpoint, body: &str) -> (u16, Value) {
    let mint = TokenMint::new(1);
    let directory = Directory {
        tenant: TENANT,
        apps,
        resources: &["https://contoso.operations.dynamics.com".to_owned()],
        mint: &mint,
        now: UtcMillis::parse(NOW).unwrap(),
        life: 3599,
    };
    let request = TokenRequest {
        endpoint,
        tenant: TENANT,
        origin: ORIGIN,
        content_type: "application/x-www-form-urlencoded",
        body: body.as_bytes(),
    };
    let answer = answer(&directory, &request);
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish()
}

fn with_secret() -> Vec<AppRegistration> {
    vec![AppRegistration::with_secret(APP, SECRET)]
}

fn secret_form(change: (&str, &str)) -> String {
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", APP),
        ("client_secret", SECRET),
        ("resource", "https://contoso.operations.dynamics.com"),
        ("scope", "https://contoso.operations.dynamics.com/.default"),
    ];
    fields.retain(|(name, _)| *name != change.0);
    if !change.1.is_empty() {
        fields.push(change);
    }
    form(&fields)
}

#[test]
fn the_two_endpoints_write_numbers_differently() {
    let (status, body) = ask(&with_secret(), Endpoint::V1, &secret_form(("scope", "")));
    assert_eq!((status, &body["expires_in"]), (200, &json!("3599")));
    let number = |name: &str| body[name].as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!(number("expires_on") - number("not_before"), 3900);
    let (status, body) = ask(&with_secret(), Endpoint::V2, &secret_form(("resource", "")));
    assert_eq!((status, &body["expires_in"]), (200, &json!(3599)));
    assert!(body.get("expires_on").is_none());
}

#[test]
fn a_token_tells_what_d365_reads_and_runs_out() {
    let (_, body) = ask(&with_secret(), Endpoint::V2, &secret_form(("", "")));
    let token = body["access_token"].as_str().unwrap();
    let mint = TokenMint::new(1);
    let issued = UtcMillis::parse(NOW).unwrap();
    let claims = mint.check(token, issued).unwrap();
    assert_eq!(
        (claims.aud.as_str(), claims.appid.as_str()),
        ("https://contoso.operations.dynamics.com", APP)
    );
    let later = |seconds: i64| UtcMillis::from_unix_millis(issued.unix_millis() + seconds * 1000);
    assert!(mint.check(token, later(3598)).is_some());
    assert!(mint.check(token, later(3599)).is_none(), "expired");
    assert!(
        TokenMint::new(2).check(token, issued).is_none(),
        "signed by another"
    );
    assert!(
        mint.check("eyJhbGciOiJub25lIn0.e30.", issued).is_none(),
        "unsigned"
    );
}

#[test]
fn each_mistake_has_its_number_and_status() {
    let other_app = "bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee";
    let unknown = "https://unknown.example/.default";
    let no_default = "https://contoso.operations.dynamics.com";
    for (name, value, status, number, error) in [
        ("client_secret", "wrong", 401, 7_000_215, "invalid_client"),
        ("client_id", other_app, 400, 700_016, "unauthorized_client"),
        ("client_id", "", 400, 900_144, "invalid_request"),
        ("grant_type", "", 400, 900_144, "invalid_request"),
        (
            "grant_type",
            "password",
            400,
            70_003,
            "unsupported_grant_type",
        ),
        ("client_secret", "", 401, 7_000_218, "invalid_client"),
        ("scope", no_default, 400, 70_011, "invalid_scope"),
        ("scope", unknown, 400, 500_011, "invalid_resource"),
    ] {
        let form = secret_form((name, value));
        let (actual, body) = ask(&with_secret(), Endpoint::V2, &form);
        assert_eq!(actual, status, "{name}: {body}");
        assert_eq!(body["error_codes"], json!([number]), "{name}");
        assert_eq!(body["error"], error, "{name}");
        let description = body["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{number}: ")));
    }
}

#[test]
fn the_recorded_refusals_come_back_byte_for_byte() {
    let sample: Value =
        serde_json::from_str(include_str!("../../../samples/token-error-aadsts.json")).unwrap();
    let errors = [
        EntraError::WrongSecret(APP.to_owned()),
        EntraError::InvalidScope("https://contoso.operations.dynamics.com".to_owned()),
    ];
    for (error, exchange) in errors.iter().zip(sample["exchanges"].as_array().unwrap()) {
        let body = &exchange["body"];
        let text = |name: &str| body[name].as_str().unwrap();
        let answer = error.answer_with(text("trace_id"), text("correlation_id"), text("timestamp"));
        assert_eq!(
            u64::from(answer.status),
            exchange["status"].as_u64().unwrap()
        );
        assert_eq!(
            serde_json::from_slice::<Value>(&answer.body).unwrap(),
            *body
        );
        // The order of the names, which the comparison above does not see.
        let written = String::from_utf8(answer.body.to_vec()).unwrap();
        let order = [
            "error",
            "error_description",
            "error_codes",
            "timestamp",
            "trace_id",
        ];
        let places = order.map(|name| written.find(&format!("\"{name}\":")).unwrap());
        assert!(places.is_sorted(), "{written}");
    }
}

struct Certificate {
    key: EncodingKey,
    pem: String,
    der: Vec<u8>,
}

fn certificate() -> Certificate {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    let pair = rcgen::KeyPair::try_from(pkcs8.as_ref()).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["connector".to_owned()])
        .unwrap()
        .self_signed(&pair)
        .unwrap();
    Certificate {
        key: EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap(),
        pem: certificate.pem(),
        der: certificate.der().to_vec(),
    }
}

fn good_header(certificate: &Certificate, algorithm: Algorithm) -> Header {
    let mut header = Header::new(algorithm);
    if algorithm == Algorithm::PS256 {
        header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate.der)));
    } else {
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate.der);
        header.x5t = Some(URL_SAFE_NO_PAD.encode(sha1));
    }
    header
}

fn good_claims() -> Value {
    let now = UtcMillis::parse(NOW).unwrap().unix_seconds();
    json!({
        "aud": format!("{ORIGIN}/{TENANT}/oauth2/v2.0/token"),
        "iss": APP, "sub": APP, "jti": "0f1e", "nbf": now, "iat": now, "exp": now + 300,
    })
}

/// Status and number of the answer to an assertion.
fn presented(certificate: &Certificate, header: &Header, claims: &Value) -> (u16, Option<u64>) {
    let app = AppRegistration {
        client_secret: None,
        certificates: vec![certificate.pem.clone()],
        ..AppRegistration::with_secret(APP, "")
    };
    let assertion = encode(header, claims, &certificate.key).unwrap();
    let (status, body) = ask(&[app], Endpoint::V2, &assertion_form(&assertion));
    (status, body["error_codes"][0].as_u64())
}

fn assertion_form(assertion: &str) -> String {
    form(&[
        ("grant_type", "client_credentials"),
        ("client_id", APP),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
        ("scope", "http://127.0.0.1:8070/.default"),
    ])
}

#[test]
fn an_assertion_of_a_registered_certificate_is_taken_in_both_forms() {
    let certificate = certificate();
    for algorithm in [Algorithm::PS256, Algorithm::RS256] {
        let header = good_header(&certificate, algorithm);
        assert_eq!(
            presented(&certificate, &header, &good_claims()),
            (200, None),
            "{algorithm:?}"
        );
    }
}

#[test]
fn a_wrong_assertion_is_refused() {
    let certificate = certificate();
    let header = good_header(&certificate, Algorithm::PS256);
    let now = UtcMillis::parse(NOW).unwrap().unix_seconds();
    let elsewhere = json!("https://login.microsoftonline.com/other");
    let cases = [
        ("aud", elsewhere, 700_027),
        ("iss", json!("other"), 700_027),
        ("sub", json!("other"), 700_027),
        ("jti", Value::Null, 700_027),
        ("jti", json!(""), 700_027),
        ("exp", json!((now + 300).to_string()), 700_027),
        ("exp", json!(now - 600), 700_024),
        ("nbf", json!(now + 600), 700_024),
    ];
    for (claim, value, number) in cases {
        let mut claims = good_claims();
        claims[claim] = value.clone();
        assert_eq!(
            presented(&certificate, &header, &claims),
            (401, Some(number)),
            "{claim} = {value}"
        );
    }
}

#[test]
fn the_header_must_name_the_certificate_whose_key_has_signed() {
    let certificate = certificate();
    let mut mixed = good_header(&certificate, Algorithm::PS256);
    mixed.alg = Algorithm::RS256;
    let mut unnamed = good_header(&certificate, Algorithm::PS256);
    unnamed.x5t_s256 = None;
    let mut untyped = good_header(&certificate, Algorithm::PS256);
    untyped.typ = None;
    for header in [mixed, unnamed, untyped] {
        let answer = presented(&certificate, &header, &good_claims());
        assert_eq!(answer, (401, Some(700_027)), "{header:?}");
    }
    let header = good_header(&certificate, Algorithm::PS256);
    let forged = Certificate {
        key: self::certificate().key,
        ..certificate
    };
    let answer = presented(&forged, &header, &good_claims());
    assert_eq!(answer, (401, Some(700_027)));
}

#[test]
fn a_registered_federated_token_is_taken_as_it_stands() {
    let app = AppRegistration {
        client_secret: None,
        federated_tokens: vec![Secret::new("projected.token.text")],
        ..AppRegistration::with_secret(APP, "")
    };
    let apps = [app];
    assert_eq!(
        ask(
            &apps,
            Endpoint::V1,
            &(assertion_form("projected.token.text") + "&resource=http%3A%2F%2Flocalhost%3A1")
        )
        .0,
        200
    );
    let (status, body) = ask(&apps, Endpoint::V2, &assertion_form("another.token.text"));
    assert_eq!((status, &body["error_codes"]), (401, &json!([70_021])));
    assert!(!body.to_string().contains("another.token.text"));
}

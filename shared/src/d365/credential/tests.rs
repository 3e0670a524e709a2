use super::*;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use std::io::Write;

// Made with: openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj /CN=test
const CERTIFICATE: &str = include_str!("test_certificate.pem");
// Digests of the certificate as openssl computes them, base64url.
const SHA1: &str = "H299mwO7H1tjsXqLcs61HItQZJs";
const SHA256: &str = "vPIpKLrRWsSAxOqYRf_nvJlgzXSU9pTU_3Mh23tURB8";

fn file_with(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn field(proof: &Proof, name: &str) -> String {
    let (_, value) = proof.0.iter().find(|(field, _)| *field == name).unwrap();
    value.expose().to_owned()
}

fn rsa_key() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap()
}

fn now() -> AsOf {
    AsOf::from_unix_ms(1_795_000_000_000).unwrap()
}

fn settings() -> CredentialSettings {
    CredentialSettings {
        client_id: "app".to_owned(),
        ..CredentialSettings::default()
    }
}

#[test]
fn exactly_one_proof_must_be_named() {
    let one = CredentialSettings {
        client_secret: Some(Secret::new("canary")),
        ..settings()
    };
    let two = CredentialSettings {
        federated_token_file: Some("/f".into()),
        ..one.clone()
    };
    assert!(Credential::of(&settings()).is_err() && Credential::of(&two).is_err());
    let credential = Credential::of(&one).unwrap();
    assert!(!format!("{credential:?}").contains("canary"));
}

#[test]
fn a_secret_file_is_read_again_for_each_token() {
    let file = file_with("first\n");
    let credential = Credential::SecretFile(file.path().to_owned());
    let proof = credential.proof("app", "aud", now()).unwrap();
    assert_eq!(field(&proof, "client_secret"), "first");
    std::fs::write(file.path(), "second").unwrap();
    let proof = credential.proof("app", "aud", now()).unwrap();
    assert_eq!(field(&proof, "client_secret"), "second");
    std::fs::remove_file(file.path()).unwrap();
    let problem = credential.proof("app", "aud", now()).err().unwrap();
    assert!(
        problem.contains(&*file.path().to_string_lossy()),
        "{problem}"
    );
}

#[test]
fn a_federated_token_is_the_assertion_itself() {
    let file = file_with("a.b.c\n");
    let credential = Credential::FederatedTokenFile(file.path().to_owned());
    let proof = credential.proof("app", "aud", now()).unwrap();
    assert_eq!(field(&proof, "client_assertion"), "a.b.c");
    assert_eq!(field(&proof, "client_assertion_type"), ASSERTION_TYPE);
}

#[test]
fn an_assertion_is_signed_and_names_the_certificate() {
    let key = rsa_key();
    let file = file_with(&format!("{CERTIFICATE}{}", key.serialize_pem()));
    for (algorithm, name) in [
        (AssertionAlgorithm::Ps256, Algorithm::PS256),
        (AssertionAlgorithm::Rs256, Algorithm::RS256),
    ] {
        let credential = Credential::Certificate {
            file: file.path().to_owned(),
            algorithm,
        };
        let proof = credential
            .proof("app", "https://login/token", now())
            .unwrap();
        let assertion = field(&proof, "client_assertion");
        let header = decode_header(&assertion).unwrap();
        assert_eq!(header.alg, name);
        assert_eq!(header.typ.as_deref(), Some("JWT"));
        match algorithm {
            AssertionAlgorithm::Ps256 => {
                assert_eq!(header.x5t_s256.as_deref(), Some(SHA256));
                assert_eq!(header.x5t, None);
            }
            AssertionAlgorithm::Rs256 => {
                assert_eq!(header.x5t.as_deref(), Some(SHA1));
                assert_eq!(header.x5t_s256, None);
            }
        }
        let mut validation = Validation::new(name);
        validation.set_audience(&["https://login/token"]);
        validation.validate_exp = false;
        let claims = decode::<serde_json::Value>(
            &assertion,
            &DecodingKey::from_rsa_pem(key.public_key_pem().as_bytes()).unwrap(),
            &validation,
        )
        .unwrap()
        .claims;
        assert_eq!(claims["iss"], "app");
        assert_eq!(claims["sub"], "app");
        assert_eq!(claims["nbf"], 1_795_000_000_i64);
        assert_eq!(claims["exp"], 1_795_000_600_i64);
        let second = credential
            .proof("app", "https://login/token", now())
            .unwrap();
        assert_ne!(field(&second, "client_assertion"), assertion, "jti is new");
    }
}

#[test]
fn a_file_without_certificate_or_key_is_named_but_not_shown() {
    let not_rsa = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (text, missing) in [
        (CERTIFICATE, "no unencrypted private key"),
        (&rsa_key().serialize_pem(), "no certificate"),
        (&format!("{CERTIFICATE}{not_rsa}"), "no RSA key"),
        ("canary", "no certificate"),
        (
            &format!(
                "{CERTIFICATE}-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n"
            ),
            "no RSA key",
        ),
    ] {
        let file = file_with(text);
        let credential = Credential::Certificate {
            file: file.path().to_owned(),
            algorithm: AssertionAlgorithm::Ps256,
        };
        let problem = credential.proof("app", "aud", now()).err().unwrap();
        assert!(problem.contains(missing), "{problem}");
        assert!(!problem.contains("canary"), "{problem}");
        assert!(
            problem.contains(&*file.path().to_string_lossy()),
            "{problem}"
        );
    }
}

//! What a caller costs: a token or password accepted a moment ago, a token seen for the first time,
//! a password checked. Prints a table in Markdown; fails if what was accepted before costs too much.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use shared::http::auth::{Authenticator, hash_password};
use shared::http::caller_key::CallerKey;
use shared::process::clock::{Clock, SystemClock};
use shared::process::tasks::Tasks;
use shared::settings::{AuthSettings, Secret};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

type Failed = Box<dyn Error>;

/// What a caller that was accepted a moment ago may cost.
const TARGET: Duration = Duration::from_micros(5);
/// Calls measured together.
const BATCH: usize = 50;
const PASSWORD: &str = "a password of the benchmark";

struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
}

impl Signer {
    fn new(algorithm: Algorithm) -> Result<Self, Failed> {
        let pem = |kind| Ok::<_, Failed>(rcgen::KeyPair::generate_for(kind)?.serialize_pem());
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem(&rcgen::PKCS_RSA_SHA256)?.as_bytes()),
            _ => EncodingKey::from_ec_pem(pem(&rcgen::PKCS_ECDSA_P256_SHA256)?.as_bytes()),
        };
        Ok(Self {
            key: key?,
            algorithm,
        })
    }

    fn token(&self, number: usize, now: i64, groups: usize) -> Result<String, Failed> {
        let groups: Vec<String> = (0..groups).map(|group| format!("{group:036}")).collect();
        let claims = json!({
            "iss": "https://issuer.example/", "aud": "inventory", "exp": now + 3_600, "nbf": now,
            "iat": now, "jti": number, "sub": "icm", "roles": ["browse", "order"], "groups": groups
        });
        let mut header = Header::new(self.algorithm);
        header.kid = Some("k".to_owned());
        Ok(jsonwebtoken::encode(&header, &claims, &self.key)?)
    }
}

fn headers(shown: &str) -> Result<HeaderMap, Failed> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(shown)?);
    Ok(headers)
}

async fn authenticator(
    signer: &Signer,
    folder: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Authenticator>, Failed> {
    let file = folder.join("keys.json");
    let mut jwk = Jwk::from_encoding_key(&signer.key, signer.algorithm)?;
    jwk.common.key_id = Some("k".to_owned());
    std::fs::write(&file, json!({ "keys": [jwk] }).to_string())?;
    let settings: AuthSettings = toml::from_str(&format!(
        "[[basic]]\nname = 'icm'\npassword_hash = '{}'\nroles = ['browse']\n\
         [jwt]\nissuer = 'https://issuer.example/'\naudience = 'inventory'\n\
         jwks_file = '{}'\nalgorithm = '{:?}'\n",
        hash_password(&Secret::new(PASSWORD))?,
        file.display(),
        signer.algorithm
    ))?;
    let authenticator = Arc::new(Authenticator::new(&settings, clock)?);
    let keeping = Arc::clone(&authenticator);
    Tasks::new().spawn("keys", async move {
        keeping.run(CancellationToken::new()).await;
    });
    authenticator.settled().await;
    Ok(authenticator)
}

/// The time of a call, over these headers one after the other: the median of short batches, so that
/// what else the machine does counts less.
async fn time_of(
    authenticator: &Authenticator,
    clock: &Arc<dyn Clock>,
    shown: &[HeaderMap],
    batches: usize,
) -> Result<Duration, Failed> {
    let mut times = Vec::with_capacity(batches);
    for batch in 0..batches {
        let started = clock.monotonic();
        for number in 0..BATCH {
            let shown = &shown[(batch * BATCH + number) % shown.len()];
            authenticator.caller(shown, &CallerKey::Nobody).await?;
        }
        let took = clock.monotonic().saturating_sub(started);
        times.push(took / u32::try_from(BATCH)?);
    }
    times.sort_unstable();
    Ok(times[batches / 2])
}

fn row(what: &str, bytes: usize, took: Duration) {
    println!("| {what} | {bytes} | {:.2} |", took.as_secs_f64() * 1e6);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Failed> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    // As in the services: what is counted costs as well.
    let _recorded = shared::process::metrics::install()?;
    let folder = tempfile::tempdir()?;
    let now = clock.now().unix_ms() / 1_000;
    let (rsa, ec) = (
        Signer::new(Algorithm::RS256)?,
        Signer::new(Algorithm::ES256)?,
    );
    let mut worst = Duration::ZERO;
    println!("| caller | bytes shown | us a request |");
    println!("|---|---:|---:|");
    for (name, signer) in [("RS256", &rsa), ("ES256", &ec)] {
        let authenticator = authenticator(signer, folder.path(), &clock).await?;
        for (size, groups) in [("small", 0), ("with 100 groups", 100)] {
            let shown: Vec<HeaderMap> = (0..1_000)
                .map(|number| headers(&format!("Bearer {}", signer.token(number, now, groups)?)))
                .collect::<Result<_, Failed>>()?;
            let bytes = shown[0].get(AUTHORIZATION).map_or(0, HeaderValue::len);
            let first = time_of(&authenticator, &clock, &shown, shown.len() / BATCH).await?;
            row(
                &format!("{name} token, {size}, seen for the first time"),
                bytes,
                first,
            );
            let again = time_of(&authenticator, &clock, &shown, 4_000).await?;
            row(
                &format!("{name} token, {size}, accepted before"),
                bytes,
                again,
            );
            if groups == 0 {
                worst = worst.max(again);
            }
        }
        if name == "ES256" {
            let pair = STANDARD.encode(format!("icm:{PASSWORD}"));
            let shown = headers(&format!("Basic {pair}"))?;
            let bytes = shown.get(AUTHORIZATION).map_or(0, HeaderValue::len);
            let wrong: Vec<HeaderMap> = (0..30)
                .map(|number| {
                    headers(&format!(
                        "Basic {}",
                        STANDARD.encode(format!("icm:{number}"))
                    ))
                })
                .collect::<Result<_, Failed>>()?;
            let mut times = Vec::with_capacity(wrong.len());
            for shown in &wrong {
                let started = clock.monotonic();
                // Refused, at the same cost as the right one.
                let _ = authenticator.caller(shown, &CallerKey::Nobody).await;
                times.push(clock.monotonic().saturating_sub(started));
            }
            times.sort_unstable();
            let took = times[times.len() / 2];
            row(
                "password, checked (argon2id, 19 MiB, 2 passes)",
                bytes,
                took,
            );
            authenticator.caller(&shown, &CallerKey::Nobody).await?;
            let again = time_of(&authenticator, &clock, &[shown], 4_000).await?;
            row("password, accepted before", bytes, again);
            worst = worst.max(again);
        }
    }
    println!(
        "\nan ordinary caller accepted before: {:.2} us (<= {} us)",
        worst.as_secs_f64() * 1e6,
        TARGET.as_micros()
    );
    Ok(if worst <= TARGET {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! An `OpenID` Connect server somebody else wrote (`scripts/ensure-oidc-server`), as a process.

use crate::server_process::{ServerProcess, ServerProcessError};
use reqwest::header::LOCATION;
use reqwest::{Client, redirect};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Python needs a while to load what it needs.
const LISTENING_WITHIN: Duration = Duration::from_mins(1);
const ENVIRONMENT: &str = "../target/oidc-provider-mock-0.3.4";
const REDIRECT: &str = "http://localhost/back";

/// Why there is no server, or no token.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// It is not installed.
    #[error("{0} is not there: run `make oidc-server`")]
    NotInstalled(PathBuf),
    /// It did not start.
    #[error(transparent)]
    Process(#[from] ServerProcessError),
    /// It could not be asked.
    #[error("the sign-in failed")]
    Http(#[from] reqwest::Error),
    /// It answered something else than it should.
    #[error("the sign-in gave no {what}: {answer}")]
    Answer {
        /// What was expected.
        what: &'static str,
        /// What came.
        answer: String,
    },
}

/// The running server. Killed when dropped; a new one has new keys.
#[derive(Debug)]
pub struct OidcServer {
    _process: ServerProcess,
    url: String,
}

impl OidcServer {
    /// On this loopback port, with one user, `icm`, whose tokens carry these roles.
    pub async fn start(port: u16, roles: &[&str]) -> Result<Self, OidcError> {
        let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join(ENVIRONMENT);
        let python = environment.join("bin/python");
        if !python.exists() {
            return Err(OidcError::NotInstalled(environment));
        }
        let claims = json!({ "sub": "icm", "roles": roles }).to_string();
        let mut command = Command::new(python);
        command
            .args(["-m", "oidc_provider_mock", "--user-claims", &claims])
            .arg("--port")
            .arg(port.to_string());
        let process = ServerProcess::start("oidc-provider-mock", &mut command)?;
        process
            .wait_for("running", LISTENING_WITHIN, |line| {
                line.contains("running on").then_some(())
            })
            .await?;
        Ok(Self {
            _process: process,
            url: format!("http://127.0.0.1:{port}"),
        })
    }

    /// `iss` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.url
    }

    /// Where its discovery document says its keys are.
    pub async fn jwks_url(&self) -> Result<String, OidcError> {
        let discovery = format!("{}/.well-known/openid-configuration", self.url);
        let document: Value = reqwest::get(discovery).await?.json().await?;
        text(&document, "jwks_uri")
    }

    /// Signs the user in for a client, by authorization code, and returns the id token.
    pub async fn token_for(&self, client: &str) -> Result<String, OidcError> {
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .build()?;
        let answer = http
            .post(format!("{}/oauth2/authorize", self.url))
            .query(&[
                ("client_id", client),
                ("redirect_uri", REDIRECT),
                ("response_type", "code"),
                ("scope", "openid"),
            ])
            .form(&[("sub", "icm")])
            .send()
            .await?;
        let back = answer.headers().get(LOCATION);
        let back = back.and_then(|back| back.to_str().ok()).unwrap_or_default();
        let code = back
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("code="));
        let code = code.ok_or_else(|| OidcError::Answer {
            what: "code",
            answer: format!("{} {back}", answer.status()),
        })?;
        let granted: Value = http
            .post(format!("{}/oauth2/token", self.url))
            .basic_auth(client, Some("any"))
            .form(&[
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", REDIRECT),
            ])
            .send()
            .await?
            .json()
            .await?;
        text(&granted, "id_token")
    }
}

fn text(document: &Value, what: &'static str) -> Result<String, OidcError> {
    document[what]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| OidcError::Answer {
            what,
            answer: document.to_string(),
        })
}

//! One request for a token, and what may be told about its answer.

use crate::d365::answer::check_content_type;
use crate::d365::body::{NotWhole, network_cause, whole_body};
use crate::d365::credential::Credential;
use crate::d365::members::Members;
use crate::d365::retry_after::wait_asked_for;
use crate::d365::throttle::AppId;
use crate::process::clock::Clock;
use crate::settings::{EntraSettings, Secret, TokenEndpointVersion};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, DATE, RETRY_AFTER};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest time for one request, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Largest answer; a token has 2 to 4 KB.
const LARGEST_ANSWER: usize = 64 * 1024;
/// Longest life believed.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// Where and for whom tokens are requested.
#[derive(Debug)]
pub(super) struct TokenRequest {
    pub(super) http: reqwest::Client,
    pub(super) url: Url,
    pub(super) version: TokenEndpointVersion,
    pub(super) app: AppId,
    pub(super) credential: Credential,
    /// `aud` of a signed assertion.
    pub(super) assertion_audience: String,
    /// The D365 environment, without trailing slash and in lower case: D365 refuses tokens for
    /// any other spelling.
    pub(super) resource: String,
    pub(super) clock: Arc<dyn Clock>,
}

/// A token as it was granted.
pub(super) struct Granted {
    /// The bearer token.
    pub(super) access_token: Secret,
    /// How long it lives, counted from the request.
    pub(super) life: Duration,
}

/// Why there was no token.
#[derive(Debug, Clone)]
pub(super) struct NotGranted {
    /// In words, with Entra's own error number.
    pub(super) cause: String,
    /// Somebody must change something.
    pub(super) is_configuration: bool,
    /// Entra asked to stay away this long.
    pub(super) wait: Option<Duration>,
}

#[derive(Deserialize)]
struct GrantedBody<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(borrow)]
    expires_in: Seconds<'a>,
}

/// The v1 endpoint writes numbers as texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds<'a> {
    Number(u64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RefusedBody {
    error: String,
    error_codes: Vec<u64>,
    error_description: String,
}

impl RefusedBody {
    /// Entra's own number: some endpoints tell it in the description only.
    fn number(&self) -> Option<u64> {
        let first = self.error_codes.first().copied();
        first.or_else(|| {
            let text = self.error_description.strip_prefix("AADSTS")?;
            let end = text.find(|c: char| !c.is_ascii_digit())?;
            text[..end].parse().ok()
        })
    }
}

impl TokenRequest {
    /// `https://login.microsoftonline.com/<tenant>/oauth2/[v2.0/]token`, or the configured address.
    pub(super) fn url_of(
        entra: &EntraSettings,
        version: TokenEndpointVersion,
    ) -> Result<Url, String> {
        if let Some(url) = &entra.token_url {
            return Ok(url.clone());
        }
        let path = match version {
            TokenEndpointVersion::V1 => "oauth2/token",
            TokenEndpointVersion::V2 => "oauth2/v2.0/token",
        };
        // Workload identity hands the authority over with a trailing slash, people without.
        let authority = entra.authority.as_str().trim_end_matches('/');
        let tenant = utf8_percent_encode(&entra.tenant_id, TENANT_ID);
        Url::parse(&format!("{authority}/{tenant}/{path}")).map_err(|cause| {
            format!("entra.authority and entra.tenant_id give no address: {cause}")
        })
    }

    /// Requests a token.
    pub(super) async fn send(&self) -> Result<Granted, NotGranted> {
        tokio::time::timeout(TIME_LIMIT, self.exchange())
            .await
            .unwrap_or_else(|_| {
                Err(passing(format!(
                    "Entra ID did not answer within {} s",
                    TIME_LIMIT.as_secs()
                )))
            })
    }

    async fn exchange(&self) -> Result<Granted, NotGranted> {
        let form = self.form().await?;
        let form: Vec<(&str, &str)> = form
            .iter()
            .map(|(name, value)| (*name, value.expose()))
            .collect();
        let send = || {
            let request = self.http.post(self.url.clone());
            request
                .header(ACCEPT, "application/json")
                .form(&form)
                .send()
        };
        // A connection that dies is no answer: asked once more, over another one.
        let response = match send().await {
            Ok(response) => Ok(response),
            Err(_died) => send().await,
        };
        let response = response.map_err(|cause| {
            passing(format!(
                "the connection to Entra ID failed: {}",
                network_cause(cause)
            ))
        })?;
        let status = response.status();
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let wait = (status == StatusCode::TOO_MANY_REQUESTS)
            .then(|| wait_asked_for(header(RETRY_AFTER), header(DATE), self.clock.now()));
        let is_json = check_content_type(response.headers()).or(Err("it is no JSON by its type"));
        let body = whole_body(response, LARGEST_ANSWER, TIME_LIMIT)
            .await
            .map_err(|problem| {
                passing(match problem {
                    NotWhole::TooLarge => {
                        format!("Entra ID's answer is larger than {LARGEST_ANSWER} bytes")
                    }
                    NotWhole::Silent => "Entra ID's answer stopped coming".to_owned(),
                    NotWhole::Broken(cause) => {
                        format!("the connection to Entra ID broke: {cause}")
                    }
                })
            })?;
        if status == StatusCode::OK {
            is_json
                .and_then(|()| granted(&body))
                .map_err(|problem| passing(format!("Entra ID's answer is not usable: {problem}")))
        } else {
            Err(refused(status, &body, wait))
        }
    }

    async fn form(&self) -> Result<Vec<(&'static str, Secret)>, NotGranted> {
        let (credential, app) = (self.credential.clone(), self.app.clone());
        let audience = self.assertion_audience.clone();
        let now = self.clock.now();
        // Files may lie on a slow mount, and signing takes a millisecond of pure arithmetic.
        let proof =
            tokio::task::spawn_blocking(move || credential.proof(app.as_str(), &audience, now))
                .await
                .map_err(|cause| passing(format!("making the proof broke off: {cause}")))?
                .map_err(|cause| NotGranted {
                    cause,
                    is_configuration: true,
                    wait: None,
                })?;
        let target = match self.version {
            TokenEndpointVersion::V1 => ("resource", Secret::new(self.resource.clone())),
            TokenEndpointVersion::V2 => {
                ("scope", Secret::new(format!("{}/.default", self.resource)))
            }
        };
        let mut form = vec![
            ("grant_type", Secret::new("client_credentials")),
            ("client_id", Secret::new(self.app.as_str())),
            target,
        ];
        form.extend(proof.0);
        Ok(form)
    }
}

const TENANT_ID: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

fn passing(cause: String) -> NotGranted {
    NotGranted {
        cause,
        is_configuration: false,
        wait: None,
    }
}

/// The problem names no part of the body: it may hold a token.
fn granted(body: &[u8]) -> Result<Granted, &'static str> {
    std::str::from_utf8(body)
        .ok()
        .and_then(|text| Members::read(text).ok()?.refuse_error_beside("").ok())
        .ok_or("it is no JSON object, or carries an error")?;
    let GrantedBody {
        access_token,
        expires_in,
    } = serde_json::from_slice(body)
        .or(Err("it is no JSON object with access_token and expires_in"))?;
    let seconds = match expires_in {
        Seconds::Number(seconds) => seconds,
        Seconds::Text(text) => text.parse().or(Err("expires_in is no number of seconds"))?,
    };
    let is_header_text = |byte: u8| byte.is_ascii_graphic();
    if access_token.is_empty() || !access_token.bytes().all(is_header_text) {
        return Err("access_token is empty or cannot stand in a header");
    }
    if seconds == 0 {
        return Err("the token has expired already");
    }
    Ok(Granted {
        access_token: Secret::new(access_token),
        life: Duration::from_secs(seconds).min(LONGEST_LIFE),
    })
}

/// Decides by status and `error` as Microsoft advises; the number is for people. The description
/// is left out: it repeats what was sent.
fn refused(status: StatusCode, body: &[u8], wait: Option<Duration>) -> NotGranted {
    let body: RefusedBody = serde_json::from_slice(body).unwrap_or_default();
    let error: String = body
        .error
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(64)
        .collect();
    let mut cause = format!("Entra ID answered {}", status.as_u16());
    if !error.is_empty() {
        cause.push(' ');
        cause.push_str(&error);
    }
    if let Some(number) = body.number() {
        cause = format!("{cause} (AADSTS{number})");
        if let Some(words) = in_words(number) {
            cause.push_str(": ");
            cause.push_str(words);
        }
    }
    let is_passing_error = matches!(
        error.as_str(),
        "temporarily_unavailable" | "server_error" | "slow_down"
    );
    NotGranted {
        cause,
        is_configuration: !is_passing_error
            && !status.is_server_error()
            && !matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            ),
        wait,
    }
}

/// What Entra's number means, and the setting to look at (below `tenants.entra` or
/// `api.live.entra`, but for the environment). From Microsoft's list of AADSTS error codes.
fn in_words(number: u64) -> Option<&'static str> {
    Some(match number {
        7_000_215 => {
            "the client secret is wrong; look at client_secret(_file): it is the secret's value, not its id"
        }
        7_000_222 => {
            "the client secret has expired; make a new one for the app and put it into client_secret(_file)"
        }
        7_000_218 => {
            "no client secret or certificate came with the request; look at client_secret(_file) and client_certificate_file"
        }
        700_016 => {
            "the directory knows no such app; look at client_id, and whether tenant_id is the app's directory"
        }
        7_000_112 => "the app is disabled in the directory; look at client_id",
        7_000_229 => {
            "the app has no service principal in the directory; look at client_id and tenant_id"
        }
        90_002 => {
            "there is no such directory; look at tenant_id, and authority for national clouds"
        }
        900_023 | 900_021 | 900_144 => "this is no directory's id or domain; look at tenant_id",
        50_034 => "the directory does not know this account; look at tenant_id and client_id",
        500_011 => {
            "the directory does not know the D365 environment; look at tenants.environment_url and tenant_id"
        }
        70_011 | 1_002_012 => {
            "the D365 environment is no valid scope; look at tenants.environment_url and token_endpoint_version"
        }
        700_024 => "the signed assertion is not valid now; look at this machine's clock",
        700_027 => {
            "the certificate is not registered for the app, or has expired; look at client_certificate_file"
        }
        70_021 | 700_211..=700_213 | 700_222 => {
            "the app trusts no such federated token; look at federated_token_file and the app's federated credentials"
        }
        53_003 => "a conditional access policy of the directory forbids it; look at client_id",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_as_long_as_either_endpoint_says() {
        for (body, seconds) in [
            (r#"{"access_token":"a.b","expires_in":3599,"x":1}"#, 3599),
            (r#"{"expires_in":"3599","access_token":"a.b"}"#, 3599),
            (r#"{"expires_in":99999999,"access_token":"a.b"}"#, 86_400),
        ] {
            let granted = granted(body.as_bytes()).ok().unwrap();
            assert_eq!(granted.access_token.expose(), "a.b");
            assert_eq!(granted.life, Duration::from_secs(seconds));
        }
    }

    #[test]
    fn an_answer_without_a_usable_token_is_refused_without_showing_it() {
        for body in [
            "",
            "<html>canary</html>",
            "[]",
            r#"{"access_token":"canary"}"#,
            r#"{"access_token":"canary","expires_in":"soon"}"#,
            r#"{"access_token":"canary","expires_in":-1}"#,
            r#"{"access_token":"canary","expires_in":0}"#,
            r#"{"access_token":"can\nary","expires_in":10}"#,
            r#"{"access_token":"can ary","expires_in":10}"#,
            r#"{"access_token":"","expires_in":10}"#,
            r#"{"access_token":null,"expires_in":10}"#,
            r#"{"access_token":"canary","expires_in":10,"error":"canary"}"#,
            r#"{"access_token":"canary","expires_in":10,"access_token":"canary"}"#,
            r#"{"access_token":"canary","expires_in":10}{}"#,
        ] {
            let problem = granted(body.as_bytes()).err().unwrap();
            assert!(!problem.contains("canary"), "{problem}");
        }
    }

    #[test]
    fn a_refusal_is_a_configuration_fault_or_a_passing_one() {
        let wrong_secret = br#"{"error":"invalid_client","error_description":"AADSTS7000215: canary","error_codes":[7000215]}"#;
        for (status, body, is_configuration, shown) in [
            (
                401,
                &wrong_secret[..],
                true,
                "401 invalid_client (AADSTS7000215): the client secret is wrong; look at client_secret(_file)",
            ),
            (
                401,
                br#"{"error":"invalid_client","error_codes":[7000222]}"#,
                true,
                "expired; make a new one for the app and put it into client_secret(_file)",
            ),
            (
                400,
                br#"{"error":"unauthorized_client","error_codes":[700016]}"#,
                true,
                "look at client_id",
            ),
            (
                400,
                br#"{"error":"invalid_request","error_description":"AADSTS90002: canary"}"#,
                true,
                "(AADSTS90002): there is no such directory; look at tenant_id",
            ),
            (
                400,
                br#"{"error":"invalid_request","error_description":"AADSTS1canary","error_codes":[]}"#,
                true,
                "400 invalid_request (AADSTS1)",
            ),
            (
                400,
                br#"{"error":"invalid_scope"}"#,
                true,
                "400 invalid_scope",
            ),
            (400, br#"{"error":"temporarily_unavailable"}"#, false, "400"),
            (404, b"<html>", true, "404"),
            (302, b"", true, "302"),
            (429, b"", false, "429"),
            (500, b"", false, "500"),
            (503, br#"{"error":5}"#, false, "503"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = refused(status, body, None);
            assert_eq!(refusal.is_configuration, is_configuration, "{refusal:?}");
            assert!(refusal.cause.contains(shown), "{refusal:?}");
            assert!(!refusal.cause.contains("canary"), "{refusal:?}");
        }
    }

    #[test]
    fn the_address_does_not_depend_on_a_trailing_slash() {
        for authority in ["https://login.example", "https://login.example/"] {
            let entra: EntraSettings = toml::from_str(&format!(
                "tenant_id = \"1/2\"\nauthority = {authority:?}\nclient_id = \"c\""
            ))
            .unwrap();
            let url = |version| TokenRequest::url_of(&entra, version).unwrap().to_string();
            assert_eq!(
                url(TokenEndpointVersion::V1),
                "https://login.example/1%2F2/oauth2/token"
            );
            assert_eq!(
                url(TokenEndpointVersion::V2),
                "https://login.example/1%2F2/oauth2/v2.0/token"
            );
        }
    }
}

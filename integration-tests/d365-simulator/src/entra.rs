//! The two token endpoints of Entra ID.
//!
//! `form` reads the request strictly, `assertion` checks signed assertions and federated tokens, `token` makes
//! and checks access tokens, `errors` says no with the numbers Entra uses. Secrets are never echoed.

mod assertion;
pub(crate) mod errors;
mod form;
mod token;

pub(crate) use token::TokenMint;

use actix_web::http::StatusCode;

use crate::answer::Answer;
use crate::apps::AppRegistration;
use crate::clock::UtcMillis;
use crate::odata::errors::PLAIN_JSON;
use assertion::Checked;
use errors::EntraError;
use form::Form;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Which of the two endpoints was called; they answer in different shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    V1,
    V2,
}

/// What the endpoints know.
pub(crate) struct Directory<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) apps: &'a [AppRegistration],
    /// Environment addresses registered in this directory besides loopback ones.
    pub(crate) resources: &'a [String],
    pub(crate) mint: &'a TokenMint,
    pub(crate) now: UtcMillis,
    /// Life of the tokens in seconds.
    pub(crate) life: i64,
}

/// A token request as it came in.
pub(crate) struct TokenRequest<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) tenant: &'a str,
    /// Scheme, host and port that were called.
    pub(crate) origin: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a [u8],
}

/// The client id a request names, for faults and the log.
pub(crate) fn client_id(request: &TokenRequest<'_>) -> Option<String> {
    Form::read(request.content_type, request.body)
        .ok()?
        .client_id
}

/// The answer to a caller whose secret has stopped working.
pub(crate) fn revoked(client_id: Option<&str>, now: UtcMillis) -> Answer {
    EntraError::WrongSecret(client_id.unwrap_or_default().to_owned()).answer(now)
}

/// Answers a token request.
pub(crate) fn answer(directory: &Directory<'_>, request: &TokenRequest<'_>) -> Answer {
    match issue(directory, request) {
        Ok(answer) => answer,
        Err(error) => error.answer(directory.now),
    }
}

fn issue(directory: &Directory<'_>, request: &TokenRequest<'_>) -> Result<Answer, EntraError> {
    let form = Form::read(request.content_type, request.body)?;
    if !directory.tenant.eq_ignore_ascii_case(request.tenant) {
        return Err(EntraError::UnknownTenant(request.tenant.to_owned()));
    }
    match form.grant_type.as_deref() {
        None => return Err(EntraError::MissingParameter("grant_type")),
        Some("client_credentials") => {}
        Some(_) => return Err(EntraError::UnsupportedGrant),
    }
    let client_id = form
        .client_id
        .as_deref()
        .ok_or(EntraError::MissingParameter("client_id"))?;
    let app = directory
        .apps
        .iter()
        .find(|app| app.client_id.eq_ignore_ascii_case(client_id))
        .ok_or_else(|| EntraError::UnknownApp(client_id.to_owned()))?;
    authenticate(directory, request, app, &form)?;
    let resource = resource(directory, request.endpoint, &form)?;
    let token = directory.mint.issue(&token::Grant {
        audience: &resource,
        app: &app.client_id,
        tenant: directory.tenant,
        now: directory.now,
        life: directory.life,
    });
    Ok(success(request.endpoint, directory, &resource, &token))
}

fn authenticate(
    directory: &Directory<'_>,
    request: &TokenRequest<'_>,
    app: &AppRegistration,
    form: &Form,
) -> Result<(), EntraError> {
    if let Some(secret) = &form.client_secret {
        let right = app
            .client_secret
            .as_ref()
            .is_some_and(|known| known.matches(secret));
        return if right {
            Ok(())
        } else {
            Err(EntraError::WrongSecret(app.client_id.clone()))
        };
    }
    let Some(assertion) = &form.client_assertion else {
        return Err(EntraError::NoCredential);
    };
    match form.client_assertion_type.as_deref() {
        Some(ASSERTION_TYPE) => {}
        Some(_) => return Err(EntraError::WrongAssertionType),
        None => return Err(EntraError::MissingParameter("client_assertion_type")),
    }
    if app
        .federated_tokens
        .iter()
        .any(|known| !known.is_empty() && known.matches(assertion))
    {
        return Ok(());
    }
    let tenant = directory.tenant;
    assertion::check(&Checked {
        assertion,
        app,
        // The page on certificate credentials names the v2 address; the v1 address is taken as well.
        audiences: [
            format!("{}/{tenant}/oauth2/v2.0/token", request.origin),
            format!("{}/{tenant}/oauth2/token", request.origin),
        ],
        now: directory.now,
    })
}

/// The environment a token is wanted for.
fn resource(
    directory: &Directory<'_>,
    endpoint: Endpoint,
    form: &Form,
) -> Result<String, EntraError> {
    let resource = match endpoint {
        Endpoint::V1 => form
            .resource
            .clone()
            .ok_or(EntraError::MissingParameter("resource"))?,
        Endpoint::V2 => {
            let scope = form
                .scope
                .as_deref()
                .ok_or(EntraError::MissingParameter("scope"))?;
            scope
                .strip_suffix("/.default")
                .ok_or_else(|| EntraError::InvalidScope(scope.to_owned()))?
                .to_owned()
        }
    };
    let plain = resource.trim_end_matches('/');
    let listed = directory
        .resources
        .iter()
        .any(|known| known.eq_ignore_ascii_case(plain));
    if listed || is_loopback(plain) {
        Ok(resource)
    } else {
        Err(EntraError::UnknownResource(resource))
    }
}

/// Whether an address leads to this machine; such environments are known without registration.
pub(crate) fn is_loopback(address: &str) -> bool {
    let Ok(url) = url::Url::parse(address) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn success(endpoint: Endpoint, directory: &Directory<'_>, resource: &str, token: &str) -> Answer {
    let life = directory.life;
    let body = match endpoint {
        Endpoint::V1 => {
            let expires_on = directory.now.unix_seconds() + life;
            // Five minutes in the past, plus the second by which a life falls short of the hour.
            let not_before = directory.now.unix_seconds() - token::BACKDATED;
            format!(
                r#"{{"token_type":"Bearer","expires_in":"{life}","ext_expires_in":"{life}","expires_on":"{expires_on}","not_before":"{not_before}","resource":{},"access_token":"{token}"}}"#,
                serde_json::Value::from(resource)
            )
        }
        Endpoint::V2 => format!(
            r#"{{"token_type":"Bearer","expires_in":{life},"ext_expires_in":{life},"access_token":"{token}"}}"#
        ),
    };
    Answer::bytes(StatusCode::OK.as_u16(), PLAIN_JSON, body)
        .header("Cache-Control", "no-store, no-cache")
}

#[cfg(test)]
mod tests;

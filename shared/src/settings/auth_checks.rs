//! `[api.auth]` brought into its one form, and what may not be together.

use super::{AuthSettings, BasicUserSettings, JwtSettings, Secret, Settings, SettingsError};
use argon2::password_hash::phc::PasswordHash;
use std::time::Duration;
use url::Url;

/// Costs of a hash that are believed: below, guessing is cheap; above, being asked is dear.
const MEMORY_KIB: std::ops::RangeInclusive<u32> = 7_168..=131_072;
const PASSES: std::ops::RangeInclusive<u32> = 1..=16;
/// Above this a clock is not off but wrong.
const MOST_LEEWAY: Duration = Duration::from_mins(5);

pub(super) fn settle(
    settings: &mut Settings,
    check_origin: fn(&Url) -> Result<(), String>,
) -> Result<(), SettingsError> {
    let auth = &mut settings.api.auth;
    if auth.insecure_no_authentication && (!auth.basic.is_empty() || auth.jwt.is_some()) {
        return Err(at(
            "insecure_no_authentication",
            "callers are configured as well; remove them or the switch",
        ));
    }
    settle_users(&mut auth.basic)?;
    if let Some(jwt) = &auth.jwt {
        check_jwt(jwt, check_origin)?;
    }
    if auth.insecure_no_authentication {
        for (key, address) in [
            ("api.listen", settings.api.listen),
            ("worker.listen", settings.worker.listen),
        ] {
            if !address.ip().is_loopback() {
                return Err(SettingsError::at(
                    key,
                    format!(
                        "{address} can be reached from elsewhere, and api.auth.insecure_no_authentication lets \
                         everybody in: configure api.auth, or listen on 127.0.0.1"
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Refuses to serve without a decision about who may call.
pub(super) fn check_decided(auth: &AuthSettings) -> Result<(), SettingsError> {
    if auth.insecure_no_authentication || !auth.basic.is_empty() || auth.jwt.is_some() {
        return Ok(());
    }
    Err(SettingsError::at(
        "api.auth",
        "nobody may call: configure [[api.auth.basic]] or [api.auth.jwt], or switch authentication off on \
         loopback listeners with insecure_no_authentication = true",
    ))
}

fn at(key: &str, problem: impl Into<String>) -> SettingsError {
    SettingsError::at(format!("api.auth.{key}"), problem)
}

fn settle_users(users: &mut [BasicUserSettings]) -> Result<(), SettingsError> {
    for number in 0..users.len() {
        let (earlier, rest) = users.split_at_mut(number);
        let user = &mut rest[0];
        let at = |key: &str, problem: &str| at(&format!("basic[{number}].{key}"), problem);
        if user.name.is_empty()
            || user.name.contains(':')
            || user.name.chars().any(char::is_control)
        {
            return Err(at(
                "name",
                "must be a text without : and control characters",
            ));
        }
        if earlier.iter().any(|other| other.name == user.name) {
            return Err(at("name", "another caller has the same name"));
        }
        if user.roles.is_empty() {
            return Err(at("roles", "name at least one of browse, order, operate"));
        }
        let hash = match (&user.password_hash, &user.password_hash_file) {
            (Some(hash), None) => hash.clone(),
            (None, Some(path)) => {
                Secret::read(path).map_err(|cause| at("password_hash_file", &cause.to_string()))?
            }
            (Some(_), Some(_)) => {
                let problem = "password_hash is given as well; give one of the two";
                return Err(at("password_hash_file", problem));
            }
            (None, None) => {
                let problem = "is missing: give password_hash or password_hash_file; \
                               inventory-api hash-password makes one";
                return Err(at("password_hash", problem));
            }
        };
        check_hash(hash.expose()).map_err(|problem| at("password_hash", problem))?;
        user.password_hash = Some(hash);
        user.password_hash_file = None;
    }
    Ok(())
}

fn check_hash(hash: &str) -> Result<(), &'static str> {
    const NO_HASH: &str = "is no argon2id hash in PHC form ($argon2id$v=19$...); inventory-api hash-password makes one";
    let hash = PasswordHash::new(hash).map_err(|_cause| NO_HASH)?;
    let costs = argon2::Params::try_from(&hash).map_err(|_cause| NO_HASH)?;
    if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || hash.salt.is_none() {
        return Err(NO_HASH);
    }
    if !MEMORY_KIB.contains(&costs.m_cost()) || !PASSES.contains(&costs.t_cost()) {
        return Err("must cost 7 to 128 MiB and 1 to 16 passes");
    }
    Ok(())
}

fn check_jwt(
    jwt: &JwtSettings,
    check_origin: fn(&Url) -> Result<(), String>,
) -> Result<(), SettingsError> {
    let at = |key: &str, problem: &str| at(&format!("jwt.{key}"), problem);
    for (key, text) in [
        ("issuer", &jwt.issuer),
        ("audience", &jwt.audience),
        ("roles_claim", &jwt.roles_claim),
    ] {
        if text.is_empty() {
            return Err(at(key, "is empty"));
        }
    }
    match (&jwt.jwks_url, &jwt.jwks_file) {
        (Some(url), None) => check_origin(url).map_err(|problem| at("jwks_url", &problem))?,
        (None, Some(_)) => {}
        (Some(_), Some(_)) => {
            return Err(at(
                "jwks_file",
                "jwks_url is given as well; give one of the two",
            ));
        }
        (None, None) => return Err(at("jwks_url", "is missing: give jwks_url or jwks_file")),
    }
    if jwt.leeway > MOST_LEEWAY {
        return Err(at("leeway", "must be at most 5m"));
    }
    if jwt.jwks_refresh < Duration::from_mins(5) {
        return Err(at("jwks_refresh", "must be at least 5m"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

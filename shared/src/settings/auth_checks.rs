//! `[api.auth]` brought into its one form, and what may not be together.

use super::auth::{AuthSettings, BasicUserSettings, JwtSettings};
use super::configuration::Settings;
use super::error::{Section, SettingsError};
use super::origin::check_origin;
use super::secret::Secret;
use argon2::password_hash::phc::PasswordHash;
use std::net::SocketAddr;

/// Costs of a hash that are believed: below, guessing is cheap; above, being asked is dear.
const MEMORY_KIB: std::ops::RangeInclusive<u32> = 7_168..=131_072;
const PASSES: std::ops::RangeInclusive<u32> = 1..=16;

impl Settings {
    /// Refuses to serve while nothing says who may call: neither callers nor the switch that lets
    /// everybody in.
    pub fn check_authentication(&self) -> Result<(), SettingsError> {
        let auth = &self.api.auth;
        if auth.insecure_no_authentication || !auth.basic.is_empty() || auth.jwt.is_some() {
            return Ok(());
        }
        Err(SettingsError::at(
            "api.auth",
            "nobody may call: configure [[api.auth.basic]] or [api.auth.jwt], or switch authentication off on \
             loopback listeners with insecure_no_authentication = true",
        ))
    }
}

pub(super) fn settle(
    auth: &mut AuthSettings,
    listeners: [(&str, SocketAddr); 2],
) -> Result<(), SettingsError> {
    settle_users(&mut auth.basic)?;
    if let Some(jwt) = &auth.jwt {
        check_jwt(jwt)?;
    }
    if !auth.insecure_no_authentication {
        return Ok(());
    }
    Section("api.auth").require(
        auth.basic.is_empty() && auth.jwt.is_none(),
        "insecure_no_authentication",
        "callers are configured as well; remove them or the switch",
    )?;
    for (section, address) in listeners {
        Section(section).require(
            address.ip().is_loopback(),
            "listen",
            format!(
                "{address} can be reached from elsewhere, and api.auth.insecure_no_authentication lets \
                 everybody in: configure api.auth, or listen on 127.0.0.1"
            ),
        )?;
    }
    Ok(())
}

fn settle_users(users: &mut [BasicUserSettings]) -> Result<(), SettingsError> {
    for number in 0..users.len() {
        let (earlier, rest) = users.split_at_mut(number);
        let user = &mut rest[0];
        let section = format!("api.auth.basic[{number}]");
        let section = Section(&section);
        let name = &user.name;
        section.require(
            !name.is_empty() && !name.contains(':') && !name.chars().any(char::is_control),
            "name",
            "must be a text without : and control characters",
        )?;
        section.require(
            earlier.iter().all(|other| other.name != *name),
            "name",
            "another caller has the same name",
        )?;
        section.require(
            !user.roles.is_empty(),
            "roles",
            "name at least one of browse, order, operate",
        )?;
        let file = user.password_hash_file.take();
        Secret::settle(&mut user.password_hash, file, section, "password_hash")?;
        let hash = user.password_hash.as_ref().ok_or_else(|| {
            section.error(
                "password_hash",
                "is missing: give password_hash or password_hash_file; \
                 inventory-api hash-password makes one",
            )
        })?;
        check_hash(hash.expose()).map_err(|problem| section.error("password_hash", problem))?;
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

fn check_jwt(jwt: &JwtSettings) -> Result<(), SettingsError> {
    let section = Section("api.auth.jwt");
    for (key, text) in [
        ("issuer", &jwt.issuer),
        ("audience", &jwt.audience),
        ("roles_claim", &jwt.roles_claim),
    ] {
        section.require(!text.is_empty(), key, "is empty")?;
    }
    match (&jwt.jwks_url, &jwt.jwks_file) {
        (Some(url), None) => {
            check_origin(url).map_err(|problem| section.error("jwks_url", problem))
        }
        (None, Some(_)) => Ok(()),
        (Some(_), Some(_)) => {
            let problem = "jwks_url is given as well; give one of the two";
            Err(section.error("jwks_file", problem))
        }
        (None, None) => Err(section.error("jwks_url", "is missing: give jwks_url or jwks_file")),
    }
}

#[cfg(test)]
mod tests;

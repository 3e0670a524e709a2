//! `[redis]`

use super::error::{Section, SettingsError};
use super::forms::{address, duration};
use super::secret::Secret;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://host:port/db` or `rediss://…` for TLS. Without user and password: those have keys
    /// of their own, so that they never show.
    #[serde(deserialize_with = "address::deserialize")]
    pub url: Url,
    /// PEM file with the authority that signed the server's certificate; the system's authorities
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// File with its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Longest wait for one command's answer, or for a connection.
    #[serde(with = "duration")]
    pub command_timeout: Duration,
    /// Longest wait for one script call or one large batch of the worker.
    #[serde(with = "duration")]
    pub script_timeout: Duration,
    /// Begin of every key.
    pub key_prefix: String,
    #[serde(with = "duration")]
    pub line_ttl: Duration,
}

impl RedisSettings {
    /// Brings the section into its one form. Tenants are read again after at most this long.
    pub(super) fn settle(&mut self, longest_interval: Duration) -> Result<(), SettingsError> {
        let section = Section("redis");
        let (url, wrong) = (&self.url, |problem| section.error("url", problem));
        match url.scheme() {
            "redis" | "rediss" => {}
            _ => return Err(wrong("must begin with redis:// or rediss://")),
        }
        if url.host().is_none() {
            return Err(wrong("names no host"));
        }
        if url.fragment().is_some() {
            return Err(wrong(
                "a fragment such as #insecure would switch certificate checks off; use ca_file",
            ));
        }
        if url.query().is_some() {
            return Err(wrong(
                "carries a query, which is not read: username, password and ca_file have keys of their own",
            ));
        }
        self.take_user_from_url()
            .map_err(|()| wrong("carries a user or password that cannot be separated"))?;
        let file = self.password_file.take();
        Secret::settle(&mut self.password, file, section, "password")?;
        let is_part = |c: char| !c.is_whitespace() && !c.is_control();
        section.require(
            !self.key_prefix.is_empty() && self.key_prefix.chars().all(is_part),
            "key_prefix",
            "must be a text without blanks, such as inv:",
        )?;
        section.require(
            self.line_ttl >= Duration::from_mins(1)
                && self.line_ttl > longest_interval.saturating_mul(2),
            "line_ttl",
            "must be at least 1m, and longer than two refresh intervals of every tenant: \
             a line would be forgotten before the next snapshot renews it",
        )
    }

    /// A password in the address would show wherever the address is printed.
    fn take_user_from_url(&mut self) -> Result<(), ()> {
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = decoded(self.url.username());
        if !user.is_empty() {
            self.username = Some(user);
        }
        if let Some(password) = self.url.password() {
            self.password = Some(Secret::new(decoded(password)));
        }
        self.url.set_username("")?;
        self.url.set_password(None)
    }
}

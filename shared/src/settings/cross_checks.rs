//! What no single key can tell: contradictions, and values that are dangerous together.

use super::{CredentialSettings, EntraSettings, Secret, Settings, SettingsError, TenantSettings};
use crate::stock::WarehouseId;
use std::time::Duration;
use url::{Host, Url};

/// Checks the whole and brings it into its one form.
pub(super) fn settle(settings: &mut Settings) -> Result<(), SettingsError> {
    settle_redis(settings)?;
    check_api(settings)?;
    check_worker(settings)?;
    super::auth_checks::settle(settings, check_origin)?;
    settle_events(settings)?;
    for (at, tenant) in settings.tenants.iter().enumerate() {
        let first = settings
            .tenants
            .iter()
            .position(|other| other.id == tenant.id);
        if first != Some(at) {
            return Err(SettingsError::at(
                format!("tenants[{at}].id"),
                format!("two tenants have the id {}; ids must be unique", tenant.id),
            ));
        }
        check_tenant(&format!("tenants[{at}]"), tenant)?;
    }
    for (at, channel) in settings.channels.iter().enumerate() {
        let key = format!("channels[{at}]");
        if settings
            .channels
            .iter()
            .position(|other| other.id == channel.id)
            != Some(at)
        {
            return Err(SettingsError::at(
                format!("{key}.id"),
                format!(
                    "two channels have the id {}; ids must be unique",
                    channel.id
                ),
            ));
        }
        check_distinct(&channel.warehouses)
            .map_err(|problem| SettingsError::at(format!("{key}.warehouses"), problem))?;
        let levels = &channel.levels;
        if !(levels.low <= levels.medium && levels.medium <= levels.high) {
            return Err(SettingsError::at(
                format!("{key}.levels"),
                "low, medium and high must rise",
            ));
        }
        if channel.buffer.is_negative() {
            return Err(SettingsError::at(
                format!("{key}.buffer"),
                "may not be negative",
            ));
        }
    }
    if let Some(entra) = &settings.api.live.entra {
        check_entra("api.live.entra", entra)?;
    }
    for environment in &settings.api.live.environments {
        check_environment(environment)
            .map_err(|problem| SettingsError::at("api.live.environments", problem))?;
    }
    Ok(())
}

fn settle_redis(settings: &mut Settings) -> Result<(), SettingsError> {
    let (redis, tenants) = (&mut settings.redis, &settings.tenants);
    let at = |key: &str, problem: &str| SettingsError::at(format!("redis.{key}"), problem);
    if !matches!(redis.url.scheme(), "redis" | "rediss") {
        return Err(at("url", "must begin with redis:// or rediss://"));
    }
    if redis.url.host().is_none() {
        return Err(at("url", "names no host"));
    }
    if redis.url.fragment().is_some() {
        return Err(at(
            "url",
            "a fragment such as #insecure would switch certificate checks off; use ca_file",
        ));
    }
    if redis.url.query().is_some() {
        return Err(at(
            "url",
            "carries a query, which is not read: username, password and ca_file have keys of their own",
        ));
    }
    // A password in the address would show wherever the address is printed.
    let user = percent_encoding::percent_decode_str(redis.url.username()).decode_utf8_lossy();
    if !user.is_empty() {
        redis.username = Some(user.into_owned());
    }
    if let Some(password) = redis.url.password() {
        let password = percent_encoding::percent_decode_str(password).decode_utf8_lossy();
        redis.password = Some(Secret::new(password));
    }
    let cleared = redis
        .url
        .set_username("")
        .and_then(|()| redis.url.set_password(None));
    cleared.map_err(|()| at("url", "carries a user or password that cannot be separated"))?;
    if redis.password.is_some() && redis.password_file.is_some() {
        return Err(at(
            "password_file",
            "password is given as well; give one of the two",
        ));
    }
    if let Some(path) = &redis.password_file {
        let password =
            Secret::read(path).map_err(|cause| at("password_file", &cause.to_string()))?;
        redis.password = Some(password);
        redis.password_file = None;
    }
    if redis.pool_size == 0 {
        return Err(at("pool_size", "must be at least 1"));
    }
    if redis.key_prefix.is_empty()
        || redis
            .key_prefix
            .chars()
            .any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(at(
            "key_prefix",
            "must be a text without blanks, such as inv:",
        ));
    }
    let longest_interval = tenants.iter().map(|tenant| tenant.refresh_interval).max();
    let two_intervals = longest_interval.unwrap_or_default().saturating_mul(2);
    if redis.line_ttl < Duration::from_mins(1) || redis.line_ttl <= two_intervals {
        return Err(at(
            "line_ttl",
            "must be at least 1m, and longer than two refresh intervals of every tenant: \
             a line would be forgotten before the next snapshot renews it",
        ));
    }
    Ok(())
}

fn check_api(settings: &Settings) -> Result<(), SettingsError> {
    let api = &settings.api;
    let at = |key: &str, problem: String| SettingsError::at(format!("api.{key}"), problem);
    if api.live.default_deadline > api.live.longest_deadline {
        return Err(at(
            "live.default_deadline",
            "is above live.longest_deadline".to_owned(),
        ));
    }
    if api.listen.port() != 0 && api.listen == api.management_listen {
        return Err(at(
            "management_listen",
            "is the same address as api.listen".to_owned(),
        ));
    }
    let limits = &api.limits;
    for (key, number) in [
        ("limits.skus", limits.skus),
        ("limits.live_skus", limits.live_skus),
        ("limits.warehouses", limits.warehouses),
        ("limits.body_bytes", limits.body_bytes),
        ("limits.in_flight", limits.in_flight),
        ("limits.connections", limits.connections),
        ("limits.json_depth", limits.json_depth),
        ("live.concurrency", api.live.concurrency),
    ] {
        if number == 0 {
            return Err(at(key, "must be at least 1".to_owned()));
        }
    }
    // The server's own timer has no finer steps.
    if limits.header_timeout < Duration::from_secs(1) {
        return Err(at(
            "limits.header_timeout",
            "must be at least 1s".to_owned(),
        ));
    }
    if limits.body_timeout.is_zero() {
        return Err(at("limits.body_timeout", "must be above 0".to_owned()));
    }
    if limits.keep_alive < Duration::from_secs(1) {
        return Err(at("limits.keep_alive", "must be at least 1s".to_owned()));
    }
    if limits.requests_per_second_per_caller > 0 && limits.burst_per_caller == 0 {
        return Err(at(
            "limits.burst_per_caller",
            "must be at least 1".to_owned(),
        ));
    }
    api.tls.as_ref().map_or(Ok(()), |tls| tls.check("api.tls"))
}

fn settle_events(settings: &mut Settings) -> Result<(), SettingsError> {
    let events = &mut settings.worker.events;
    let at = |key: &str, problem: &str| SettingsError::at(format!("worker.events.{key}"), problem);
    if events.secret.is_some() && events.secret_file.is_some() {
        return Err(at(
            "secret_file",
            "secret is given as well; give one of the two",
        ));
    }
    if let Some(path) = events.secret_file.take() {
        let secret = Secret::read(&path).map_err(|cause| at("secret_file", &cause.to_string()))?;
        events.secret = Some(secret);
    }
    if events
        .secret
        .as_ref()
        .is_some_and(|secret| secret.expose().len() < 16)
    {
        return Err(at("secret", "must have at least 16 characters"));
    }
    Ok(())
}

fn check_worker(settings: &Settings) -> Result<(), SettingsError> {
    let worker = &settings.worker;
    let at = |key: &str, problem: &str| SettingsError::at(format!("worker.{key}"), problem);
    if !(1..=10_000).contains(&worker.page_size) {
        return Err(at("page_size", "must be 1 to 10000, D365's own maximum"));
    }
    if !(1..=64).contains(&worker.parallel_shards) {
        return Err(at("parallel_shards", "must be 1 to 64"));
    }
    if worker.guard_percent > 100 {
        return Err(at("guard_percent", "must be 0 to 100"));
    }
    if worker.lease < Duration::from_secs(5) {
        return Err(at("lease", "must be at least 5s"));
    }
    if worker.demand_share > 100 {
        return Err(at("demand_share", "must be 0 to 100"));
    }
    if worker.demand_target_age < Duration::from_secs(2) {
        return Err(at("demand_target_age", "must be at least 2s"));
    }
    if worker.shard_time < Duration::from_millis(100) {
        return Err(at("shard_time", "must be at least 100ms"));
    }
    if worker.page_bytes < 64 * 1024 {
        return Err(at("page_bytes", "must be at least 64KiB"));
    }
    if worker.listen.port() != 0 && worker.listen == worker.management_listen {
        return Err(at(
            "management_listen",
            "is the same address as worker.listen",
        ));
    }
    if worker.refresh_skus == 0 || worker.refresh_queue == 0 {
        return Err(at(
            "refresh_queue",
            "refresh_queue and refresh_skus must be at least 1",
        ));
    }
    worker
        .tls
        .as_ref()
        .map_or(Ok(()), |tls| tls.check("worker.tls"))
}

/// Each warehouse once, in whatever spelling: its stock would count twice.
fn check_distinct(warehouses: &[WarehouseId]) -> Result<(), String> {
    let mut numbered = warehouses.iter().enumerate();
    match numbered.find(|(at, warehouse)| warehouses[..*at].contains(warehouse)) {
        Some((_, twice)) => Err(format!("{twice:?} is named twice")),
        None => Ok(()),
    }
}

pub(super) fn check_tenant(key: &str, tenant: &TenantSettings) -> Result<(), SettingsError> {
    let at = |part: &str, problem: String| SettingsError::at(format!("{key}.{part}"), problem);
    let url = &tenant.environment_url;
    check_origin(url).map_err(|problem| at("environment_url", problem))?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(at(
            "environment_url",
            "must be the bare address of the environment, without /data".to_owned(),
        ));
    }
    if tenant.warehouses.is_empty() {
        return Err(at("warehouses", "name at least one warehouse".to_owned()));
    }
    check_distinct(&tenant.warehouses).map_err(|problem| at("warehouses", problem))?;
    if !(1_000..=16_000).contains(&tenant.longest_address) {
        return Err(at("longest_address", "must be 1000 to 16000".to_owned()));
    }
    if !(2..=64).contains(&tenant.calls_at_once) {
        return Err(at("calls_at_once", "must be 2 to 64".to_owned()));
    }
    if !(1..tenant.calls_at_once).contains(&tenant.calls_kept_for_live) {
        let problem = "must be at least 1 and less than calls_at_once".to_owned();
        return Err(at("calls_kept_for_live", problem));
    }
    if tenant.refresh_interval < Duration::from_secs(1) {
        return Err(at("refresh_interval", "must be at least 1s".to_owned()));
    }
    for (part, name) in [
        ("entity", &tenant.entity),
        ("variants_entity", &tenant.variants_entity),
        ("warehouses_entity", &tenant.warehouses_entity),
    ] {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(at(part, format!("{name:?} is no entity set name")));
        }
    }
    check_entra(&format!("{key}.entra"), &tenant.entra)
}

/// An address, or a domain with a dot before it and one inside.
fn check_environment(environment: &str) -> Result<(), String> {
    if let Some(domain) = environment.strip_prefix('.') {
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        return if domain.contains('.') && domain.split('.').all(is_label) {
            Ok(())
        } else {
            Err(format!(
                "{environment:?} is no domain such as .dynamics.com"
            ))
        };
    }
    let url = Url::parse(environment)
        .map_err(|cause| format!("{environment:?} is no address: {cause}"))?;
    check_origin(&url).map_err(|problem| format!("{environment:?} {problem}"))
}

fn check_entra(key: &str, entra: &EntraSettings) -> Result<(), SettingsError> {
    let at = |part: &str, problem: String| SettingsError::at(format!("{key}.{part}"), problem);
    check_origin(&entra.authority).map_err(|problem| at("authority", problem))?;
    if let Some(url) = &entra.token_url {
        check_origin(url).map_err(|problem| at("token_url", problem))?;
    }
    if entra.tenant_id.is_empty() && entra.token_url.is_none() {
        return Err(at("tenant_id", "is missing".to_owned()));
    }
    for (part, credentials) in [("live", &entra.live), ("prefetch", &entra.prefetch)] {
        if let Some(credentials) = credentials {
            check_credentials(&format!("{key}.{part}"), credentials)?;
        }
    }
    let common = entra.common_credentials();
    let needs_common = entra.live.is_none() || entra.prefetch.is_none();
    if needs_common || !common.client_id.is_empty() {
        check_credentials(key, &common)?;
    }
    Ok(())
}

fn check_credentials(key: &str, credentials: &CredentialSettings) -> Result<(), SettingsError> {
    let at = |part: &str, problem: String| SettingsError::at(format!("{key}.{part}"), problem);
    if credentials.client_id.is_empty() {
        return Err(at("client_id", "is missing".to_owned()));
    }
    let given: Vec<&str> = [
        ("client_secret", credentials.client_secret.is_some()),
        (
            "client_secret_file",
            credentials.client_secret_file.is_some(),
        ),
        (
            "client_certificate_file",
            credentials.client_certificate_file.is_some(),
        ),
        (
            "federated_token_file",
            credentials.federated_token_file.is_some(),
        ),
    ]
    .into_iter()
    .filter_map(|(name, is_given)| is_given.then_some(name))
    .collect();
    match given.as_slice() {
        [_] => {}
        [] => {
            return Err(at(
                "client_secret",
                "is missing: give client_secret, client_secret_file, client_certificate_file or federated_token_file".to_owned(),
            ));
        }
        several => {
            return Err(at(
                several[1],
                format!("{} is given as well; give exactly one", several[0]),
            ));
        }
    }
    if credentials
        .client_secret
        .as_ref()
        .is_some_and(|secret| secret.expose().is_empty())
    {
        return Err(at("client_secret", "is empty".to_owned()));
    }
    for (part, path) in [
        ("client_secret_file", &credentials.client_secret_file),
        (
            "client_certificate_file",
            &credentials.client_certificate_file,
        ),
        ("federated_token_file", &credentials.federated_token_file),
    ] {
        if let Some(path) = path {
            Secret::read(path).map_err(|cause| at(part, cause.to_string()))?;
        }
    }
    Ok(())
}

/// Tokens and secrets travel to this address: TLS, or a loopback address for tests.
fn check_origin(url: &Url) -> Result<(), String> {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err("names no host".to_owned()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("may not carry a user or password".to_owned());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback => Ok(()),
        "http" => Err(
            "must be https: a token would travel in the clear (http is for loopback only)"
                .to_owned(),
        ),
        other => Err(format!("must be https, not {other}")),
    }
}

//! Names of the original connector, accepted as aliases.
//!
//! Its `.properties` file knew one tenant's sign-in and a thread count. ICM also maps environment
//! variables to properties (upper case, dots as underscores); both forms are read. What our own
//! file or environment says wins.

use super::bounded_file::read_text_file;
use super::error::SettingsError;
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

const PREFIX: &str = "intershop.inventory.";

/// Old names (without prefix) and our keys; what begins with `tenants` is the one tenant's.
const ALIASES: [(&str, &[&str]); 7] = [
    (RESOURCE, &["tenants", "environment_url"]),
    ("azure.tenant", &["tenants", "entra", "tenant_id"]),
    ("azure.clientID", &["tenants", "entra", "client_id"]),
    ("azure.clientSecret", &["tenants", "entra", "client_secret"]),
    (REQUEST_URL, &["tenants", "entra", "token_url"]),
    (MINIMUM_TTL, &["tenants", "entra", "minimum_token_lifetime"]),
    ("threadPool.size", &["api", "workers"]),
];
const RESOURCE: &str = "azure.resource";
const REQUEST_URL: &str = "azure.token.requestURL";
/// A bare number is seconds.
const MINIMUM_TTL: &str = "azure.token.minimumTTL";

/// Reads what is given under old names, from the file and from the environment (which wins).
pub(super) fn collect(
    properties: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<BTreeMap<&'static str, String>, SettingsError> {
    let mut found = BTreeMap::new();
    if let Some(path) = properties {
        let text = read_text_file(path).map_err(|cause| {
            SettingsError::at(
                "",
                format!("the file {} cannot be read: {cause}", path.display()),
            )
        })?;
        for (name, value) in properties_of(&text) {
            // Other properties of that file belong to other parts of the old product.
            let Some(own) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let known = ALIASES.iter().find(|(alias, _)| *alias == own).ok_or_else(|| {
                let known: Vec<_> = ALIASES.iter().map(|(alias, _)| *alias).collect();
                SettingsError::at(
                    &name,
                    format!("not a known name of the original connector; known below {PREFIX} are {}", known.join(", ")),
                )
            })?;
            found.insert(known.0, value);
        }
    }
    for (alias, _) in ALIASES {
        let variable = format!("{PREFIX}{alias}")
            .to_ascii_uppercase()
            .replace('.', "_");
        if let Some(value) = environment.get(&variable) {
            found.insert(alias, value.clone());
        }
    }
    Ok(found)
}

/// Fills what our own file does not say.
pub(super) fn fill(
    own: &mut Table,
    found: &BTreeMap<&'static str, String>,
) -> Result<(), SettingsError> {
    let mut is_old_address = false;
    for (alias, path) in ALIASES {
        let Some(value) = found.get(alias) else {
            continue;
        };
        let is_bare = value.bytes().all(|byte| byte.is_ascii_digit());
        let unit = if alias == MINIMUM_TTL && is_bare {
            "s"
        } else {
            ""
        };
        let value = format!("{value}{unit}");
        let is_taken = match path {
            ["tenants", path @ ..] => put(only_tenant(own)?, path, value),
            path => put(own, path, value),
        };
        is_old_address |= is_taken && matches!(alias, RESOURCE | REQUEST_URL);
    }
    if is_old_address {
        // `resource` with a token request URL is the v1 style.
        let url = found.get(REQUEST_URL);
        let uses_v2 = url.is_some_and(|url| url.contains("/v2.0/"));
        let version = if uses_v2 { "v2" } else { "v1" };
        let path = ["entra", "token_endpoint_version"];
        put(only_tenant(own)?, &path, version.to_owned());
    }
    Ok(())
}

/// Whether nothing was there, so that the value was taken.
fn put(table: &mut Table, path: &[&str], value: String) -> bool {
    match path {
        [] => false,
        [last] => {
            let is_free = !table.contains_key(*last);
            if is_free {
                table.insert((*last).to_owned(), Value::String(value));
            }
            is_free
        }
        [first, rest @ ..] => {
            let below = table
                .entry((*first).to_owned())
                .or_insert_with(|| Value::Table(Table::new()));
            match below {
                Value::Table(below) => put(below, rest, value),
                _ => false,
            }
        }
    }
}

fn only_tenant(tree: &mut Table) -> Result<&mut Table, SettingsError> {
    let tenants = tree
        .entry("tenants")
        .or_insert_with(|| Value::Array(Vec::new()));
    let several = || {
        SettingsError::at(
            "tenants",
            format!(
                "the names {PREFIX}azure.* speak of one tenant, but several are configured; use [tenants.entra] of each"
            ),
        )
    };
    let Value::Array(tenants) = tenants else {
        return Err(several());
    };
    if tenants.is_empty() {
        let id = Table::from_iter([("id".to_owned(), Value::String("default".to_owned()))]);
        tenants.push(Value::Table(id));
    }
    match tenants.as_mut_slice() {
        [Value::Table(tenant)] => Ok(tenant),
        _ => Err(several()),
    }
}

/// The Java form: `name=value` or `name: value`, `#` and `!` comments, a backslash carries on.
fn properties_of(text: &str) -> Vec<(String, String)> {
    let mut logical = Vec::new();
    let mut carried = String::new();
    for line in text.lines() {
        let line = line.trim_start();
        if carried.is_empty() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        match line.strip_suffix('\\') {
            Some(part) => carried.push_str(part),
            None => logical.push(std::mem::take(&mut carried) + line),
        }
    }
    logical.extend((!carried.is_empty()).then_some(carried));
    logical
        .into_iter()
        .filter_map(|line| {
            let (name, value) = line.split_once(['=', ':'])?;
            Some((name.trim().to_owned(), unescaped(value.trim())))
        })
        .collect()
}

fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        // `\:` and `\=` are what the old tools wrote in addresses.
        match character {
            '\\' => text.extend(characters.next()),
            other => text.push(other),
        }
    }
    text
}

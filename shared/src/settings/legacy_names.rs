//! Names of the original connector, accepted as aliases.
//!
//! Its `.properties` file knew one tenant's sign-in and a thread count. ICM also maps environment
//! variables to properties (upper case, dots as underscores); both forms are read. What our own
//! file or environment says wins.

use super::SettingsError;
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

const PREFIX: &str = "intershop.inventory.";

/// Old name (without prefix), where it goes inside the one tenant or from the root, and whether a
/// bare number is seconds.
const ALIASES: [(&str, Target); 7] = [
    ("azure.resource", Target::Tenant(&["environment_url"])),
    ("azure.tenant", Target::Tenant(&["entra", "tenant_id"])),
    ("azure.clientID", Target::Tenant(&["entra", "client_id"])),
    (
        "azure.clientSecret",
        Target::Tenant(&["entra", "client_secret"]),
    ),
    (
        "azure.token.requestURL",
        Target::Tenant(&["entra", "token_url"]),
    ),
    (
        "azure.token.minimumTTL",
        Target::TenantSeconds(&["entra", "minimum_token_lifetime"]),
    ),
    ("threadPool.size", Target::Root(&["api", "workers"])),
];

/// Old names that say how Entra is asked.
const ADDRESSES: [&str; 2] = ["azure.resource", "azure.token.requestURL"];

#[derive(Clone, Copy)]
enum Target {
    Tenant(&'static [&'static str]),
    TenantSeconds(&'static [&'static str]),
    Root(&'static [&'static str]),
}

/// Reads what is given under old names, from the file and from the environment (which wins).
pub(super) fn collect(
    properties: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<BTreeMap<&'static str, String>, SettingsError> {
    let mut found = BTreeMap::new();
    if let Some(path) = properties {
        let text = super::read_text_file(path).map_err(|cause| {
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

/// Fills what no other layer has said; `own` is our own file, without the defaults.
pub(super) fn fill(
    tree: &mut Table,
    own: &Table,
    found: &BTreeMap<&'static str, String>,
) -> Result<(), SettingsError> {
    let mut is_old_address = false;
    for (alias, target) in ALIASES {
        let Some(value) = found.get(alias) else {
            continue;
        };
        match target {
            // A compiled-in default stands there in any case.
            Target::Root(path) if says(own, path) => {}
            Target::Root(path) => {
                put(tree, path, value, Existing::Replace);
            }
            Target::Tenant(path) => {
                let is_taken = put(only_tenant(tree)?, path, value, Existing::Keep);
                is_old_address |= is_taken && ADDRESSES.contains(&alias);
            }
            Target::TenantSeconds(path) => {
                let is_bare = value.bytes().all(|byte| byte.is_ascii_digit());
                let value = if is_bare {
                    format!("{value}s")
                } else {
                    value.clone()
                };
                put(only_tenant(tree)?, path, &value, Existing::Keep);
            }
        }
    }
    if is_old_address {
        // `resource` with a token request URL is the v1 style.
        let uses_v1 = found
            .get("azure.token.requestURL")
            .is_none_or(|url| !url.contains("/v2.0/"));
        let version = if uses_v1 { "v1" } else { "v2" };
        put(
            only_tenant(tree)?,
            &["entra", "token_endpoint_version"],
            version,
            Existing::Keep,
        );
    }
    Ok(())
}

fn says(table: &Table, path: &[&str]) -> bool {
    match path {
        [] => true,
        [first, rest @ ..] => match table.get(*first) {
            Some(Value::Table(below)) => says(below, rest),
            Some(_) => true,
            None => false,
        },
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

/// Whether the value was taken.
fn put(table: &mut Table, path: &[&str], value: &str, existing: Existing) -> bool {
    match path {
        [] => false,
        [last] => {
            let is_free = existing == Existing::Replace || !table.contains_key(*last);
            if is_free {
                table.insert((*last).to_owned(), Value::String(value.to_owned()));
            }
            is_free
        }
        [first, rest @ ..] => {
            let below = table
                .entry((*first).to_owned())
                .or_insert_with(|| Value::Table(Table::new()));
            match below {
                Value::Table(below) => put(below, rest, value, existing),
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

//! Layers: defaults, file, names of the original connector, environment, flags.

use super::bounded_file::read_text_file;
use super::configuration::Settings;
use super::error::SettingsError;
use super::typed::typed;
use super::{cross_checks, legacy_names};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The compiled-in defaults: at once the default, the reference and the example.
pub const DEFAULTS: &str = include_str!("defaults.toml");

const ENVIRONMENT_PREFIX: &str = "CONNECTOR__";

/// Where settings come from besides the defaults.
#[derive(Clone, Default)]
pub struct Layers {
    file: Option<PathBuf>,
    properties: Option<PathBuf>,
    environment: BTreeMap<String, String>,
    flags: Vec<(String, String)>,
}

/// The environment and the flags hold secrets, ours and others': no value shows.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags: Vec<_> = self.flags.iter().map(|(key, _)| key).collect();
        f.debug_struct("Layers")
            .field("file", &self.file)
            .field("properties", &self.properties)
            .field("variables", &self.environment.len())
            .field("flags", &flags)
            .finish()
    }
}

impl Layers {
    /// Defaults and the process' environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_environment() -> Self {
        // Variables that are not Unicode cannot be ours: all keys and values here are text.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            environment,
            ..Self::default()
        }
    }

    pub fn with_environment(environment: BTreeMap<String, String>) -> Self {
        Self {
            environment,
            ..Self::default()
        }
    }

    #[must_use]
    pub fn file(mut self, path: Option<&Path>) -> Self {
        self.file = path.map(Path::to_owned);
        self
    }

    /// Adds a `.properties` file of the original connector.
    #[must_use]
    pub fn properties(mut self, path: Option<&Path>) -> Self {
        self.properties = path.map(Path::to_owned);
        self
    }

    /// Adds a flag's value at a key such as `api.listen`.
    #[must_use]
    pub fn flag(mut self, key: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.flags.push((key.to_owned(), value.to_string()));
        }
        self
    }

    /// Puts the layers together and checks the whole.
    pub fn load(self) -> Result<Settings, SettingsError> {
        let mut tree: Table = DEFAULTS
            .parse()
            .map_err(|cause| SettingsError::at("", format!("compiled-in defaults: {cause}")))?;
        let mut own = match &self.file {
            Some(path) => read_toml(path)?,
            None => Table::new(),
        };
        let legacy = legacy_names::collect(self.properties.as_deref(), &self.environment)?;
        legacy_names::fill(&mut own, &legacy)?;
        merge(&mut tree, own);
        for (name, value) in &self.environment {
            if let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                let segments: Vec<_> = path.split("__").map(str::to_ascii_lowercase).collect();
                set(&mut tree, &segments, value).map_err(|problem| SettingsError {
                    key: name.clone(),
                    problem: format!("this environment variable {problem}"),
                })?;
            }
        }
        for (key, value) in &self.flags {
            let segments: Vec<_> = key.split('.').map(str::to_owned).collect();
            set(&mut tree, &segments, value).map_err(|problem| SettingsError::at(key, problem))?;
        }
        let mut settings: Settings = typed(Value::Table(tree))?;
        cross_checks::settle(&mut settings)?;
        Ok(settings)
    }
}

fn read_toml(path: &Path) -> Result<Table, SettingsError> {
    let wrong = |problem: String| {
        SettingsError::at(
            "",
            format!("the configuration file {} {problem}", path.display()),
        )
    };
    let text = read_text_file(path).map_err(|cause| wrong(format!("cannot be read: {cause}")))?;
    // The library's own message shows the offending source line, which may hold a secret.
    text.parse().map_err(|cause: toml::de::Error| {
        let line = cause
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        wrong(format!("is not TOML: line {line}: {}", cause.message()))
    })
}

fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

fn set(table: &mut Table, segments: &[String], value: &str) -> Result<(), String> {
    let [first, rest @ ..] = segments else {
        return Err("names no key".to_owned());
    };
    if rest.is_empty() {
        table.insert(first.clone(), Value::String(value.to_owned()));
        return Ok(());
    }
    let list_of_tables = matches!(first.as_str(), "tenants" | "channels" | "basic");
    let below = table.entry(first.clone()).or_insert_with(|| {
        if list_of_tables {
            Value::Array(Vec::new())
        } else {
            Value::Table(Table::new())
        }
    });
    match below {
        Value::Table(below) => set(below, rest, value),
        Value::Array(entries) => {
            let at = entry_named(entries, &rest[0]).ok_or_else(|| {
                format!(
                    "names no entry of {first}: use its number from 0 or its id, not {:?}",
                    rest[0]
                )
            })?;
            if at == entries.len() {
                entries.push(Value::Table(Table::new()));
            }
            match &mut entries[at] {
                Value::Table(entry) => set(entry, &rest[1..], value),
                _ => Err(format!("goes below {first}[{at}], which is no table")),
            }
        }
        _ => Err(format!("goes below {first}, which is no section")),
    }
}

/// An entry by its number (one past the end adds one) or by its id, written as a variable's name can.
fn entry_named(entries: &[Value], segment: &str) -> Option<usize> {
    let as_variable = |id: &str| -> String {
        id.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '_'
                }
            })
            .collect()
    };
    let by_id = entries.iter().position(|entry| {
        entry
            .get("id")
            .and_then(Value::as_str)
            .is_some_and(|id| as_variable(id) == segment)
    });
    by_id.or_else(|| segment.parse().ok().filter(|at| *at <= entries.len()))
}

#[cfg(test)]
mod tests;

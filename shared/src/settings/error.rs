//! Why settings cannot be used.

/// Ends the start with one message that names the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", place(key))]
pub struct SettingsError {
    /// The offending key, as in `tenants[0].entra.client_id`; empty if no key is to blame.
    pub key: String,
    pub problem: String,
}

fn place(key: &str) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!("setting {key}: ")
    }
}

impl SettingsError {
    pub(super) fn at(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }
}

/// The section whose keys are checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a>(pub(super) &'a str);

impl Section<'_> {
    /// The error at one of its keys.
    pub(super) fn error(self, key: &str, problem: impl Into<String>) -> SettingsError {
        SettingsError::at(format!("{}.{key}", self.0), problem)
    }

    /// The error at one of its keys, unless this holds.
    pub(super) fn require(
        self,
        holds: bool,
        key: &str,
        problem: impl Into<String>,
    ) -> Result<(), SettingsError> {
        if holds {
            Ok(())
        } else {
            Err(self.error(key, problem))
        }
    }
}

//! A secret that does not show.

use super::bounded_file::read_text_file;
use super::error::{Section, SettingsError};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};

/// A password or client secret. Shows as `***` wherever it is printed; wiped when dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// Reads a secret from a file; one trailing line break is not part of it.
    pub fn read(path: &Path) -> Result<Self, SecretFileError> {
        let wrong = |problem: String| SecretFileError {
            path: path.to_owned(),
            problem,
        };
        let text = read_text_file(path).map_err(|cause| wrong(cause.to_string()))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            Err(wrong("it is empty".to_owned()))
        } else {
            Ok(Self::new(text))
        }
    }

    /// Takes a secret from its file, if it is in one; `key` and `<key>_file` may not both be given.
    pub(super) fn settle(
        secret: &mut Option<Self>,
        file: Option<PathBuf>,
        section: Section<'_>,
        key: &str,
    ) -> Result<(), SettingsError> {
        let Some(path) = file else {
            return Ok(());
        };
        let file_key = format!("{key}_file");
        let problem = format!("{key} is given as well; give one of the two");
        section.require(secret.is_none(), &file_key, problem)?;
        let read =
            Self::read(&path).map_err(|cause| section.error(&file_key, cause.to_string()))?;
        *secret = Some(read);
        Ok(())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A secret's file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("the secret file {} cannot be used: {problem}", path.display())]
pub struct SecretFileError {
    path: PathBuf,
    problem: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

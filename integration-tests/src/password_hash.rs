//! Hashes of callers' passwords, made as an operator makes them.

use crate::binaries::{NotBuilt, Program};
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum NoHash {
    /// The program is missing.
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
    /// It did not run.
    #[error("inventory-api hash-password could not be run")]
    NotRun(#[from] io::Error),
    /// It does not like the password.
    #[error("inventory-api hash-password made no hash")]
    Refused,
}

/// What `inventory-api hash-password` prints for this password.
pub fn hash_of(password: &str) -> Result<String, NoHash> {
    let mut child = Command::new(Program::InventoryApi.path()?)
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        writeln!(input, "{password}")?;
    }
    let printed = child.wait_with_output()?;
    let hash = String::from_utf8_lossy(&printed.stdout).trim().to_owned();
    if printed.status.success() && !hash.is_empty() {
        Ok(hash)
    } else {
        Err(NoHash::Refused)
    }
}

//! A redis-cli command with what it really prints.

use crate::error::DemoError;
use std::process::Stdio;
use tokio::process::Command;

/// A command line to show, and its output.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) command: String,
    pub(crate) output: String,
}

/// Shows a hash as a terminal would.
pub(crate) async fn hash(redis_url: &str, key: &str) -> Result<Session, DemoError> {
    let output = Command::new("redis-cli")
        .args([
            "--no-raw",
            "--no-auth-warning",
            "-u",
            redis_url,
            "HGETALL",
            key,
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| DemoError::Run {
            program: "redis-cli".to_owned(),
            source,
        })?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(Session {
        command: format!("redis-cli -u {redis_url} HGETALL '{key}'"),
        output: text.trim_end().to_owned(),
    })
}

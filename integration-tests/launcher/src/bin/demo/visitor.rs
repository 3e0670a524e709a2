//! A command that is run against the house.

use crate::error::DemoError;
use crate::house::View;
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use tokio::process::Command;

/// Runs it to its end and passes its exit code on. A command that a signal ended counts as failed.
pub(crate) async fn run(
    command: &OsStr,
    arguments: &[OsString],
    view: &View,
) -> Result<ExitCode, DemoError> {
    let status = Command::new(command)
        .args(arguments)
        .env("INVENTORY_API_URL", &view.api_url)
        .env("PREFETCH_WORKER_URL", &view.worker_url)
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|source| DemoError::Run {
            program: command.to_string_lossy().into_owned(),
            source,
        })?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

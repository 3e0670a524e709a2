//! The only place of the harness that reads the environment.

#![expect(
    clippy::disallowed_methods,
    reason = "the harness is not a service: it has no settings file to be told these things by"
)]

use std::ffi::OsString;
use std::path::PathBuf;

/// Folder of the built programs, where it is not the one of the running executable.
pub fn binaries_folder() -> Option<PathBuf> {
    present("CONNECTOR_TEST_BINARIES").map(PathBuf::from)
}

/// The library that lets a process live at another time.
pub fn clock_shim() -> Option<PathBuf> {
    present("CONNECTOR_CLOCK_SHIM").map(PathBuf::from)
}

/// Which Redis the tests shall use: `process` or `container`; unset: a container where it can run.
pub fn wanted_redis() -> Option<String> {
    text("CONNECTOR_TEST_REDIS")
}

/// A Redis that is there already, named as the services name it.
pub fn redis_url() -> Option<String> {
    text("CONNECTOR__REDIS__URL")
}

fn text(name: &str) -> Option<String> {
    present(name).map(|value| value.to_string_lossy().into_owned())
}

/// Unset and empty are the same: `NAME= make test` switches a variable off.
fn present(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

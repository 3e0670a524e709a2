//! The only place of the harness that reads the environment.

#![expect(
    clippy::disallowed_methods,
    reason = "the harness is not a service: it has no settings file"
)]

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
    present("CONNECTOR_TEST_REDIS")
}

/// A Redis that is there already, named as the services name it.
pub fn redis_url() -> Option<String> {
    present("CONNECTOR__REDIS__URL")
}

/// Unset and empty are the same: `NAME= make test` switches a variable off.
fn present(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

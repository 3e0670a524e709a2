//! Where the programs of this workspace lie once they are built.

use crate::environment;
use std::fmt;
use std::path::PathBuf;

/// A program of this workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Answers ICM.
    InventoryApi,
    /// Reads D365 into Redis.
    PrefetchWorker,
    /// Stands in for D365 and Entra.
    D365Simulator,
}

/// A program is not where it is built to.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} does not exist: `cargo build --workspace` builds it (with the profile of this run)")]
pub struct NotBuilt(PathBuf);

impl Program {
    /// Its file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::InventoryApi => "inventory-api",
            Self::PrefetchWorker => "prefetch-worker",
            Self::D365Simulator => "d365-simulator",
        }
    }

    /// Its file: in `CONNECTOR_TEST_BINARIES`, else beside the running executable. Cargo puts programs
    /// into `target/<profile>`, test executables into `deps` below it.
    pub fn path(self) -> Result<PathBuf, NotBuilt> {
        let beside = || {
            let executable = std::env::current_exe().ok()?;
            let folder = executable.parent()?;
            let folder = folder
                .parent()
                .filter(|_| folder.ends_with("deps"))
                .unwrap_or(folder);
            Some(folder.to_owned())
        };
        let folder = environment::binaries_folder().or_else(beside);
        let path = folder.unwrap_or_default().join(self.name());
        if path.is_file() {
            Ok(path)
        } else {
            Err(NotBuilt(path))
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

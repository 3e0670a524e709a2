//! Where the programs of this workspace lie once they are built.

use crate::environment;
use std::fmt;
use std::path::{Path, PathBuf};

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
#[error(
    "{program} is not built: {path:?} does not exist; `cargo build --workspace` builds it (with the profile of this run)"
)]
pub struct NotBuilt {
    /// Which.
    pub program: Program,
    /// Where it was looked for.
    pub path: PathBuf,
}

impl Program {
    /// Its file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::InventoryApi => "inventory-api",
            Self::PrefetchWorker => "prefetch-worker",
            Self::D365Simulator => "d365-simulator",
        }
    }

    /// Its file: in `CONNECTOR_TEST_BINARIES`, else beside the running executable.
    pub fn path(self) -> Result<PathBuf, NotBuilt> {
        let path = folder().join(self.name());
        if path.is_file() {
            Ok(path)
        } else {
            Err(NotBuilt {
                program: self,
                path,
            })
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn folder() -> PathBuf {
    environment::binaries_folder()
        .or_else(|| built_into(&std::env::current_exe().ok()?))
        .unwrap_or_default()
}

/// cargo puts programs into `target/<profile>`, test executables into `deps` below it.
fn built_into(executable: &Path) -> Option<PathBuf> {
    let folder = executable.parent()?;
    let folder = if folder.ends_with("deps") {
        folder.parent()?
    } else {
        folder
    };
    Some(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::built_into;
    use std::path::{Path, PathBuf};

    #[test]
    fn a_test_and_a_program_find_the_same_folder() {
        for executable in ["target/quick/demo", "target/quick/deps/it-0123456789abcdef"] {
            assert_eq!(
                built_into(Path::new(executable)),
                Some(PathBuf::from("target/quick"))
            );
        }
    }
}

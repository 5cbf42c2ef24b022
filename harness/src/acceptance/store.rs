//! Where a scenario's evidence lies while a run is going on.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Fragment;
use crate::Failure;

/// The environment variable that names the run's directory.
pub const RUN_VARIABLE: &str = "STACKPROOF_RUN";

/// A run's directory: `fragments/` and `evidence/`.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The run the environment names, or a directory of its own where a scenario is run by hand.
    pub fn from_environment() -> Result<Self, Failure> {
        match std::env::var_os(RUN_VARIABLE) {
            Some(root) => Ok(Self::at(root)),
            None => {
                let directory = tempfile::Builder::new()
                    .prefix("stackproof-")
                    .tempdir()
                    .map_err(|error| Failure::environment("no directory for evidence").because(error))?;
                // Kept: it is what a person looks at after a failure.
                Ok(Self::at(directory.keep()))
            }
        }
    }

    /// The run in this directory.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The run's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a fragment, whole or not at all. Two scenarios of one id would hide each other: the second is refused.
    pub(super) fn write(&self, fragment: &Fragment) -> Result<(), Failure> {
        let path = self.root.join("fragments").join(format!("{}.json", fragment.key()));
        if let Some(other) = read(&path)
            && other.test != fragment.test
        {
            return Err(Failure::usage(format!("two scenarios have the id {}", fragment.id))
                .because(format!("{} and {}", other.test, fragment.test))
                .next("give one of them a suffix, such as US1.1-import"));
        }
        let mut json = serde_json::to_vec_pretty(fragment).map_err(|error| Failure::failed(error.to_string()))?;
        json.push(b'\n');
        write_whole(&path, &json)
    }

    /// Writes a piece of evidence and answers its path as the report links it.
    pub(super) fn attach(&self, key: &str, name: &str, bytes: &[u8]) -> Result<String, Failure> {
        let relative = format!("evidence/{key}/{name}");
        write_whole(&self.root.join(&relative), bytes)?;
        Ok(relative)
    }

    /// Reads a piece of evidence back.
    pub(super) fn evidence(&self, relative: &str) -> Option<Vec<u8>> {
        fs::read(self.root.join(relative)).ok()
    }

    /// Writes over a piece of evidence that knew less secrets than we do now.
    pub(super) fn replace(&self, relative: &str, bytes: &[u8]) -> Result<(), Failure> {
        write_whole(&self.root.join(relative), bytes)
    }
}

fn read(path: &Path) -> Option<Fragment> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes a file beside its place, then renames it: a reader never meets half of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Temporary files are private; evidence is for everyone who may read the checkout.
            file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| Failure::environment(format!("cannot write {}", path.display())).because(error))
}

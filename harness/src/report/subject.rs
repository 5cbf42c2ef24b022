//! What was judged, and on which machine: kept apart, because only the first may change a verdict.

use std::{path::Path, process::Command};

use serde::{Deserialize, Serialize};

/// The identity of what was judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The commit of the checkout.
    #[serde(default)]
    pub git: Option<Git>,
    /// SHA-256 over the infrastructure program's files.
    #[serde(default)]
    pub program: String,
    /// Every tool that took part.
    #[serde(default)]
    pub tools: Vec<Tool>,
}

/// The state of the checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit's full id.
    pub commit: String,
    /// Whether files differ from the commit.
    pub dirty: bool,
}

impl Git {
    /// The checkout that this folder lies in; nothing where git does not answer.
    pub fn of(folder: &Path) -> Option<Self> {
        let ask = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let commit = ask(&["rev-parse", "HEAD"])?;
        let dirty = !ask(&["status", "--porcelain"])?.is_empty();
        Some(Self { commit, dirty })
    }
}

/// One tool, where it came from and what exactly it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name: `pulumi`.
    pub name: String,
    /// Its version, as it tells it.
    pub version: String,
    /// Where it came from: the user's own, built from pinned source, a package.
    pub provenance: String,
    /// SHA-256 of its binary.
    #[serde(default)]
    pub digest: String,
}

/// The machine it ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    /// Operating system and architecture.
    pub platform: String,
    /// Number of processors.
    pub processors: usize,
    /// The address of the run in a CI system, where there is one.
    #[serde(default)]
    pub ci: String,
}

impl Runner {
    /// This machine.
    pub fn here() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let (server, repository, run) =
            (variable("GITHUB_SERVER_URL"), variable("GITHUB_REPOSITORY"), variable("GITHUB_RUN_ID"));
        let ci = if run.is_empty() { String::new() } else { format!("{server}/{repository}/actions/runs/{run}") };
        Self {
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            ci,
        }
    }
}

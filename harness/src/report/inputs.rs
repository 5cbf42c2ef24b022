//! What a run's directory holds: everything the report is folded from.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Requirements, Runner, Subject, TestResult, suite};
use crate::Failure;
use crate::acceptance::{Fragment, TargetName};

/// What was asked of a run, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The run's name.
    pub id: String,
    /// The command that began it.
    pub command: String,
    /// The targets it ran on.
    pub targets: Vec<TargetName>,
    /// When it began (RFC 3339, UTC).
    pub started: String,
    /// When it ended; empty while it goes on.
    #[serde(default)]
    pub finished: String,
    /// The machine.
    #[serde(default)]
    pub runner: Runner,
    /// The checks that ran before and beside the tests.
    #[serde(default)]
    pub stages: Vec<Stage>,
}

/// One check of a run: a linter, a type checker, a test runner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name: `clippy`.
    pub name: String,
    /// What a person types to run it alone.
    pub command: String,
    /// Whether it passed.
    pub ok: bool,
    /// How long it took.
    pub seconds: f64,
    /// The last it said, where it failed: up to three lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

/// Everything the fold reads.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// What was asked, and when.
    pub run: RunInfo,
    /// What was judged.
    pub subject: Subject,
    /// What is demanded.
    pub requirements: Requirements,
    /// What the scenarios left.
    pub fragments: Vec<Fragment>,
    /// What the other tests left.
    pub tests: Vec<TestResult>,
    /// Evidence that a fragment names and that is not there.
    pub missing_evidence: Vec<String>,
}

impl Inputs {
    /// The file about the run itself.
    pub const RUN: &str = "run.json";
    /// The file about what was judged.
    pub const SUBJECT: &str = "subject.json";
    /// The run's copy of the table of requirements.
    pub const REQUIREMENTS: &str = "requirements.toml";
    /// The folder of nextest's JUnit files.
    pub const TESTS: &str = "nextest";

    /// Reads a run's directory.
    pub fn read(run: &Path) -> Result<Self, Failure> {
        let mut inputs = Self {
            run: read_json(&run.join(Self::RUN))?,
            subject: read_json(&run.join(Self::SUBJECT))?,
            requirements: Requirements::read(&run.join(Self::REQUIREMENTS))?,
            ..Self::default()
        };
        for path in files(&run.join("fragments"), "json") {
            inputs.fragments.push(read_json(&path)?);
        }
        for path in files(&run.join(Self::TESTS), "xml") {
            let xml = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            inputs.tests.extend(suite::read(&xml)?);
        }
        inputs.missing_evidence = inputs.fragments.iter().flat_map(Fragment::evidence).collect();
        inputs.missing_evidence.retain(|path| !run.join(path).is_file());
        Ok(inputs)
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("cannot read {}", path.display()))
        .because(error)
        .next("name a run's directory, or make one: stackproof accept")
}

/// The files of a folder with this ending, sorted; none where there is no folder.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")))
        .collect();
    paths.sort();
    paths
}

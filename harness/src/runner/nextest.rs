//! Runs tests through nextest and keeps its JUnit file.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{RunDir, Tools};
use crate::acceptance::{RUN_VARIABLE, TARGET_VARIABLE, TargetName};
use crate::{Failure, Workspace};

/// The environment variable that names this program for the scenarios that call it.
pub const BIN_VARIABLE: &str = "STACKPROOF_BIN";

/// The names scenarios bear: those of the seed's ids.
const SCENARIOS: &str = "test(/(^|::)(us|ec|fr_|sc_|nfr_)[0-9]/)";

/// What `accept --full` runs: the lock's long proof lies beside the lock.
const LONG: &str = "package(stackproof-scenarios) or binary(histories)";

/// How a test run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every test passed.
    Passed,
    /// Some test failed; the report says which.
    Failed,
    /// The tests could not be compiled.
    NotCompiled,
    /// No test has such a name.
    NoneFound,
}

/// One run of nextest.
#[derive(Clone, Debug)]
pub struct Nextest {
    profile: &'static str,
    arguments: Vec<String>,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Nextest {
    /// The scenarios; where ids are given, only theirs.
    pub fn scenarios(only: &[String], full: bool) -> Self {
        let profile = if full { "full" } else { "accept" };
        let mut words = match (full, only.is_empty()) {
            (true, true) => vec!["--workspace", "--filterset", LONG],
            _ => vec!["--package", "stackproof-scenarios"],
        };
        if full {
            words.extend(["--run-ignored", "all"]);
        }
        let mut arguments: Vec<String> = words.into_iter().map(str::to_owned).collect();
        if !only.is_empty() {
            arguments.extend(["--filterset".to_owned(), filter(only)]);
        }
        Self { profile, arguments, variables: Vec::new() }
    }

    /// The scenarios without the tests beside them, which say the same on every target.
    #[must_use]
    pub fn on_a_further_target(mut self) -> Self {
        if let Some(long) = self.arguments.iter_mut().find(|argument| *argument == LONG) {
            *long = SCENARIOS.to_owned();
        } else if !self.arguments.iter().any(|argument| argument == "--filterset") {
            self.arguments.extend(["--filterset".to_owned(), SCENARIOS.to_owned()]);
        }
        self
    }

    /// Every test of the workspace.
    pub fn everything() -> Self {
        Self { profile: "ci", arguments: vec!["--workspace".to_owned()], variables: Vec::new() }
    }

    /// The tests of the state on real servers.
    pub fn of_the_state() -> Self {
        let words = ["--workspace", "--filterset", "package(stackproof-state) and kind(test)"];
        Self { profile: "ci", arguments: words.map(str::to_owned).into(), variables: Vec::new() }
    }

    /// With this in the tests' environment.
    #[must_use]
    pub fn with(mut self, variable: &'static str, value: PathBuf) -> Self {
        self.variables.push((variable, value));
        self
    }

    /// What a person types for the same.
    pub fn command(&self) -> String {
        format!("cargo nextest run --profile {} {}", self.profile, self.arguments.join(" "))
    }

    /// Runs it; its progress goes to standard error as it comes.
    pub fn run(
        &self,
        workspace: &Workspace,
        tools: &Tools,
        run: &RunDir,
        target: TargetName,
        name: &str,
    ) -> Result<Ended, Failure> {
        // Nextest's store is the checkout's own, wherever cargo builds.
        let junit = workspace.root.join("target/nextest").join(self.profile).join("junit.xml");
        // An earlier run's file must not pass for this one's.
        let _ = fs::remove_file(&junit);
        let mut command = Command::new(&tools.nextest);
        command.args(["nextest", "run", "--profile", self.profile]).args(&self.arguments);
        command.current_dir(&workspace.root).stdin(Stdio::null()).stdout(standard_error()?);
        command.env(RUN_VARIABLE, absolute(run.path())?).env(TARGET_VARIABLE, target.to_string());
        command.env(BIN_VARIABLE, this_program()?);
        command.env(super::tools::PYTHON_VARIABLE, &tools.python);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        without_cargo_run(&mut command);
        let status = command.status().map_err(|error| {
            Failure::environment("cargo-nextest does not start").because(error).next("stackproof doctor")
        })?;
        keep(&junit, &run.junit(name))?;
        match status.code() {
            Some(0) => Ok(Ended::Passed),
            Some(100) => Ok(Ended::Failed),
            Some(101) => Ok(Ended::NotCompiled),
            Some(4) => Ok(Ended::NoneFound),
            _ => Err(Failure::environment(format!("cargo-nextest ended with {status}"))
                .because("it says above what it lacks")
                .next(self.command())),
        }
    }
}

/// `cargo run` sets variables for the program it runs; left in place, they would make cargo build crates anew.
pub(super) fn without_cargo_run(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let one_of = ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_BIN_NAME", "CARGO_CRATE_NAME", "OUT_DIR"];
        if name.starts_with("CARGO_PKG_") || one_of.contains(&name) {
            command.env_remove(name);
        }
    }
}

/// `us1_1` as the beginning of a test's name, but not of `us1_10`'s.
fn filter(only: &[String]) -> String {
    let names: Vec<String> = only.iter().map(|id| id.to_ascii_lowercase().replace(['.', '-'], "_")).collect();
    format!("test(/(^|::)({})(_|$)/)", names.join("|"))
}

fn keep(junit: &Path, place: &Path) -> Result<(), Failure> {
    match fs::read(junit) {
        Ok(xml) => crate::acceptance::write_whole(place, &xml),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::environment(format!("cannot read {}", junit.display())).because(error)),
    }
}

fn standard_error() -> Result<Stdio, Failure> {
    let copy = io::stderr().as_fd().try_clone_to_owned();
    copy.map(Stdio::from).map_err(|error| Failure::environment("standard error is closed").because(error))
}

fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::environment("this program has no path").because(error))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::environment("there is no working directory").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_selects_its_own_tests_only() {
        let ids = ["US1.1".to_owned(), "NFR-003".to_owned()];
        assert_eq!(filter(&ids), "test(/(^|::)(us1_1|nfr_003)(_|$)/)");
    }

    #[test]
    fn a_further_target_plays_scenarios_only_and_those_asked_for() {
        let filters = |nextest: Nextest| nextest.arguments.iter().filter(|word| word.starts_with("test(")).count();
        let all = Nextest::scenarios(&[], false);
        assert_eq!(filters(all.clone()), 0);
        assert_eq!(filters(all.on_a_further_target().on_a_further_target()), 1);
        assert_eq!(filters(Nextest::scenarios(&[], true).on_a_further_target()), 1);
        assert_eq!(filters(Nextest::scenarios(&["US1.1".to_owned()], false).on_a_further_target()), 1);
    }
}

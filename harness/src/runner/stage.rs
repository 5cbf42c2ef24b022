//! The checks of `verify`: linters and type checkers, each with what a person types for it alone.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Tools, nextest};
use crate::acceptance::rounded;
use crate::report::Stage;
use crate::{Failure, Workspace};

/// A check that can be run.
#[derive(Clone, Debug)]
pub struct Check {
    name: &'static str,
    program: Result<PathBuf, Failure>,
    /// What a person types, program first.
    words: Vec<String>,
    /// The directory of the checkout it runs in.
    folder: &'static str,
    /// Whether output alone means failure, as gofmt has it.
    silent: bool,
}

/// What became of a check.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the report holds.
    pub stage: Stage,
    /// What it printed, or why it could not run.
    pub output: String,
}

impl Check {
    /// Every check, the quick ones first.
    pub fn all(tools: &Tools) -> Vec<Self> {
        let on_path = |program: &str| {
            which::which(program).map_err(|_| {
                Failure::environment(format!("{program} is missing")).next("install it, or see stackproof doctor")
            })
        };
        let check = |name, program, words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            Self { name, program, words, folder: ".", silent: false }
        };
        let python =
            |name, words: &[&str]| Self { folder: "infra", ..check(name, tools.beside_python(words[0]), words) };
        let client = |name, words: &[&str]| Self { folder: "scenarios/clients", ..python(name, words) };
        let mut all = vec![
            check("rustfmt", on_path("cargo"), &["cargo", "fmt", "--all", "--check"]),
            python("ruff", &["ruff", "check", "."]),
            python("ruff format", &["ruff", "format", "--check", "."]),
            python("pyright", &["basedpyright"]),
            client("clients: ruff", &["ruff", "check", "."]),
            client("clients: ruff format", &["ruff", "format", "--check", "."]),
            client("clients: pyright", &["basedpyright", "--pythonpath", &tools.clients_python.to_string_lossy()]),
            Self { silent: true, ..check("gofmt", on_path("gofmt"), &["gofmt", "-l", "tools"]) },
            check(
                "clippy",
                on_path("cargo"),
                &["cargo", "clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"],
            ),
        ];
        // The provider we built serves what the program's package asks for.
        if let Some(schema) = &tools.schema {
            let schema = schema.to_string_lossy();
            all.push(check("provider", Ok(tools.python.clone()), &["python", "tools/provider/check.py", &schema]));
        }
        all.extend(Self::conformance(on_path("terraform")));
        all
    }

    /// The local cloud, judged by others: recorded requests of the real API, and some of the provider's own tests.
    /// Those need terraform; where it is missing they fail in CI only.
    fn conformance(terraform: Result<PathBuf, Failure>) -> Vec<Self> {
        let stackproof = std::env::current_exe()
            .map_err(|error| Failure::environment("where this program lies is not known").because(error));
        let check = |name, option: &str, program| {
            let words = ["stackproof", "conformance", option].map(str::to_owned).into();
            Self { name, program, words, folder: ".", silent: false }
        };
        let recordings = check("recordings", "--recordings", stackproof.clone());
        let wanted = terraform.is_ok() || std::env::var_os("CI").is_some();
        let subset = wanted.then(|| check("conformance", "--subset", terraform.and(stackproof)));
        std::iter::once(recordings).chain(subset).collect()
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it. A check whose program is missing fails: nothing is passed over in silence.
    pub fn run(&self, workspace: &Workspace) -> Outcome {
        let begun = Instant::now();
        let (ok, output) = match &self.program {
            Err(failure) => (false, failure.to_string()),
            Ok(program) => self.call(program, workspace),
        };
        let place = if self.folder == "." { String::new() } else { format!("cd {} && ", self.folder) };
        let stage = Stage {
            name: self.name.into(),
            command: format!("{place}{}", self.words.join(" ")),
            ok,
            seconds: rounded(begun.elapsed().as_secs_f64()),
            said: if ok { String::new() } else { last_of(&output) },
        };
        Outcome { stage, output }
    }

    fn call(&self, program: &PathBuf, workspace: &Workspace) -> (bool, String) {
        let mut command = Command::new(program);
        command.args(&self.words[1..]).current_dir(workspace.root.join(self.folder)).stdin(Stdio::null());
        nextest::without_cargo_run(&mut command);
        // A type checker asks the `python` it finds first which packages there are.
        if let Some(beside) = program.parent() {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(beside.to_owned()).chain(std::env::split_paths(&path));
            if let Ok(path) = std::env::join_paths(folders) {
                command.env("PATH", path);
            }
        }
        match command.output() {
            Err(error) => (false, format!("{} does not start: {error}", self.words[0])),
            Ok(output) => {
                let text = [&output.stdout[..], &output.stderr[..]].concat();
                let quiet = !self.silent || output.stdout.is_empty();
                (output.status.success() && quiet, String::from_utf8_lossy(&text).into_owned())
            }
        }
    }
}

/// The last three lines that say anything.
fn last_of(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join("\n")
}

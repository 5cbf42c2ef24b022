//! What can be said of a stack before anything is contacted: its configuration, by the program's own rules.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::{Failure, Workspace, acceptance::TargetName, pulumi::Settings};

/// What the program's rules say of one configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The stack.
    pub stack: String,
    /// Whether it has no fault.
    pub ok: bool,
    /// Everything that is wrong with it.
    pub faults: Vec<Fault>,
    /// The file that was read.
    #[serde(default)]
    pub file: PathBuf,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The key.
    pub key: String,
    /// The value as it may be shown; none where the key is missing.
    pub value: Option<String>,
    /// The rule it breaks.
    pub rule: String,
    /// A value that keeps the rule, or the command that sets one.
    pub example: String,
}

/// The keys that `up` gives a value to on this target if nobody has.
pub fn supplied(target: TargetName) -> &'static [&'static str] {
    match target {
        TargetName::Scaleway => &["deployers"],
        _ => &["deployers", "databasePassword", "databaseAdminPassword", "container.image", "scaleway:projectId"],
    }
}

/// Judges the configuration of a stack as `up` would find it: its own file once it was opened, the
/// program's file for it before that. `supplied` keys count as set.
///
/// # Errors
/// When there is no such file, or the program's rules cannot be run.
pub fn configuration(
    workspace: &Workspace,
    python: &Path,
    settings: &Settings,
    supplied: &[&str],
) -> Result<Verdict, Failure> {
    let (own, template) = (settings.configuration_file(), settings.configuration_template());
    let file = if own.exists() { own } else { template };
    if !file.exists() {
        return Err(Failure::usage(format!("there is no stack {}", settings.name))
            .because(format!("{} does not exist", file.display()))
            .next("ls infra/Pulumi.*.yaml, or write that file"));
    }
    judge(workspace, python, &settings.name, &file, supplied)
}

/// What the type checker says of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Types {
    /// Whether it found nothing.
    pub ok: bool,
    /// What it printed.
    pub output: String,
}

/// Has the program's types checked, strictly.
///
/// # Errors
/// When the type checker cannot be run.
pub fn types(workspace: &Workspace, python: &Path) -> Result<Types, Failure> {
    let mut command = Command::new(python.with_file_name("basedpyright"));
    let output = command.current_dir(workspace.infra()).arg("--pythonpath").arg(python).output();
    let output = output.map_err(|error| {
        Failure::environment("basedpyright could not be run").because(error).next("stackproof doctor --install")
    })?;
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    Ok(Types { ok: output.status.success(), output: String::from_utf8_lossy(&text).into_owned() })
}

/// Judges one configuration file by the rules of the program.
///
/// # Errors
/// When the file cannot be read as a configuration, or the program's rules cannot be run.
pub fn judge(
    workspace: &Workspace,
    python: &Path,
    stack: &str,
    file: &Path,
    supplied: &[&str],
) -> Result<Verdict, Failure> {
    let mut command = Command::new(python);
    command.current_dir(workspace.infra()).args(["-m", "stackproof_infra.check", "--json", "--stack", stack]);
    for key in supplied {
        command.args(["--given", key]);
    }
    let file = std::path::absolute(file)
        .map_err(|error| Failure::environment("there is no working directory").because(error))?;
    let output = command.arg(&file).output();
    let output = output.map_err(|error| {
        Failure::environment("Python could not be run").because(error).next("stackproof doctor --install")
    })?;
    if output.status.code() == Some(2) {
        return Err(Failure::usage(format!("{} is no configuration", file.display()))
            .because(String::from_utf8_lossy(&output.stderr))
            .next("mend the file, then stackproof check again"));
    }
    let verdict: Verdict = serde_json::from_slice(&output.stdout).map_err(|_| {
        Failure::environment("the program's rules could not be run")
            .because(String::from_utf8_lossy(&output.stderr))
            .next("stackproof doctor --install")
    })?;
    Ok(Verdict { file, ..verdict })
}

impl Verdict {
    /// The verdict as a failure where there are faults.
    ///
    /// # Errors
    /// When there are faults: all of them, in one answer.
    pub fn refuse(&self) -> Result<(), Failure> {
        if self.ok {
            return Ok(());
        }
        let count = if self.faults.len() == 1 { "1 fault".to_owned() } else { format!("{} faults", self.faults.len()) };
        let lines: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        Err(Failure::usage(format!("the configuration of stack {} has {count}; nothing was contacted", self.stack))
            .because(lines.join("\n"))
            .next(format!("pulumi config set …, or edit {}", self.file.display())))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
        write!(f, "{}{shown}: {}, for example {}", self.key, self.rule, self.example)
    }
}

//! A checkout of somebody's own: the project's programs and rules, to be changed, and the `stackproof` command on them.

use std::{
    fs, io,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use stackproof::{Failure, Workspace, acceptance::Scenario, target::Target};
use stackproof_cloud::kernel::Profile;
use tempfile::TempDir;
use tokio::process::Command;

use crate::Said;

/// How long any one command may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What of `infra/` is copied.
const COPIED: [&str; 6] =
    ["Pulumi.yaml", "Pulumi.dev.yaml", "__main__.py", "policy", "stackproof_infra", "stackproof_policy"];

/// A checkout, and a cloud on which nothing was made yet; gone when dropped.
pub struct Checkout {
    root: TempDir,
    target: Arc<Target>,
}

impl Checkout {
    /// A copy of this one, on the scenario's target.
    ///
    /// # Errors
    /// When the target cannot be reached, or a folder cannot be used.
    pub async fn copied(s: &Scenario) -> Result<Self, Failure> {
        let unusable = |error: io::Error| Failure::environment("no scratch folder").because(error);
        let root = tempfile::tempdir().map_err(unusable)?;
        let target = Target::for_scenario(s.target(), &root.path().join("cloud"), Profile::Instant).await?;
        s.secret(&target.environment().credentials().secret_key);
        lay_out(&Workspace::find()?, root.path()).map_err(unusable)?;
        Ok(Self { root, target: Arc::new(target) })
    }

    /// Changes a file of it: the one place where `old` stands.
    ///
    /// # Errors
    /// When it stands nowhere or more than once, or the file cannot be written.
    pub fn change(&self, file: &str, old: &str, new: &str) -> Result<(), Failure> {
        let path = self.root.path().join(file);
        let cannot = |error: io::Error| Failure::environment(format!("{file} cannot be changed")).because(error);
        let text = fs::read_to_string(&path).map_err(cannot)?;
        if text.matches(old).count() != 1 {
            return Err(Failure::failed(format!("{file} has {} times {old}", text.matches(old).count())));
        }
        fs::write(&path, text.replacen(old, new, 1)).map_err(cannot)
    }

    /// Runs `stackproof`, known to the cloud by its environment alone.
    ///
    /// # Errors
    /// When it cannot be run, or takes too long.
    pub async fn run(&self, arguments: &[&str]) -> Result<Said, Failure> {
        let begun = Instant::now();
        let mut command = Command::new(stackproof::target::program()?);
        command.args(arguments).current_dir(self.root.path()).kill_on_drop(true);
        self.target.environment().apply(&mut command);
        command.env("STACKPROOF_ROOT", self.root.path()).env("GIT_CEILING_DIRECTORIES", self.root.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = tokio::time::timeout(LIMIT, command.output()).await;
        let output = output.map_err(|_| Failure::failed(format!("{arguments:?} took longer than {LIMIT:?}")))?;
        let output = output.map_err(|error| Failure::environment("stackproof could not be run").because(error))?;
        Ok(Said::of(&output, begun))
    }

    /// How many requests its cloud has answered so far, where it tells.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn requests(&self) -> Result<Option<u64>, Failure> {
        match self.target.control() {
            Some(control) => control.totals().await.map(|totals| Some(totals.requests)),
            None => Ok(None),
        }
    }
}

fn lay_out(workspace: &Workspace, root: &Path) -> io::Result<()> {
    let infra = root.join("infra");
    fs::create_dir_all(&infra)?;
    for name in COPIED {
        copy(&workspace.infra().join(name), &infra.join(name))?;
    }
    let link = |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to);
    for name in ["state", "requirements.txt", "requirements-dev.txt"] {
        link(&workspace.infra().join(name), &infra.join(name))?;
    }
    for name in ["tools", "scenarios"] {
        link(&workspace.root.join(name), &root.join(name))?;
    }
    Ok(())
}

/// Copies a file, or a folder with what is in it but for compiled Python.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != "__pycache__" {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

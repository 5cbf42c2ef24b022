//! One acceptance test, in a process of its own, against a local cloud of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::time::timeout;

use super::build::Tests;
use super::fixtures;
use super::result::{Case, Status};
use crate::Failure;
use crate::target::{CloudProcess, Launch};

/// How long a test may take. The longest recorded ones poll a few times at an interval we shorten.
const LIMIT: Duration = Duration::from_secs(300);

/// Terraform on this machine.
pub(super) struct Terraform {
    path: PathBuf,
    pub(super) version: String,
}

impl Terraform {
    /// The one on PATH.
    pub(super) fn find() -> Result<Self, Failure> {
        let missing = |what: &str| {
            Failure::environment(what)
                .because("the provider's acceptance tests drive it")
                .next("install terraform 1.11 or newer, so that `terraform version` answers")
        };
        let path = which::which("terraform").map_err(|_| missing("terraform is missing"))?;
        let output = std::process::Command::new(&path)
            .args(["version", "-json"])
            .env("CHECKPOINT_DISABLE", "1")
            .stdin(Stdio::null())
            .output()
            .map_err(|_| missing("terraform does not run"))?;
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let version = answer["terraform_version"].as_str().ok_or_else(|| missing("terraform tells no version"))?;
        Ok(Self { version: version.to_owned(), path })
    }
}

/// Runs a test. That it fails is a [`Case`]; what it printed then is kept in the folder `logs`.
pub(super) async fn run(
    tests: &Tests,
    name: &str,
    terraform: &Terraform,
    gateway: bool,
    logs: &Path,
) -> Result<Case, Failure> {
    let broken = |error: std::io::Error| Failure::environment("an acceptance test could not be started").because(error);
    let scratch = tempfile::Builder::new().prefix("conformance-").tempdir().map_err(broken)?;
    // The tests take the product's name, and where recordings go, from the folder they run in.
    let folder = scratch.path().join("internal/services").join(&tests.product);
    for folder in [folder.join("testdata"), scratch.path().join("home"), scratch.path().join("cloud")] {
        std::fs::create_dir_all(folder).map_err(broken)?;
    }
    fixtures::lay(tests, &folder)?;
    let cloud = scratch.path().join("cloud");
    fixtures::settle(&cloud, &fixtures::organization(None))?;
    let cloud = CloudProcess::launch(&Launch { control: false, ..Launch::new(&cloud) }).await?;
    let mut command = Command::new(&tests.program);
    command.args(["-test.v", "-test.run", &format!("^{name}$")]).current_dir(&folder);
    command.env_clear().env("HOME", scratch.path().join("home"));
    for variable in ["PATH", "TMPDIR", "LANG"] {
        if let Some(value) = std::env::var_os(variable) {
            command.env(variable, value);
        }
    }
    cloud.environment(!gateway).apply(&mut command);
    command.env("TF_ACC", "1").env("TF_UPDATE_CASSETTES", "true").env("TF_RETRY_DELAY", "50ms");
    command.env("CHECKPOINT_DISABLE", "1").env("TF_ACC_TERRAFORM_PATH", &terraform.path);
    command.env("TF_TEST_DOMAIN", "scaleway-terraform.com").env("TF_TEST_DOMAIN_ZONE", "tf");
    let started = Instant::now();
    let output = finish(command).await?;
    let seconds = crate::acceptance::rounded(started.elapsed().as_secs_f64());
    let (status, reason) = judge(output.as_deref(), name);
    if status == Status::Failed {
        std::fs::create_dir_all(logs).map_err(broken)?;
        std::fs::write(logs.join(format!("{name}.log")), output.unwrap_or_default()).map_err(broken)?;
    }
    Ok(Case { name: name.to_owned(), status, reason, seconds })
}

/// Everything the process says; nothing where it took too long and was ended with all its children.
async fn finish(mut command: Command) -> Result<Option<String>, Failure> {
    let broken = |error: std::io::Error| Failure::environment("an acceptance test could not be run").because(error);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let child = command.spawn().map_err(broken)?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let finished = timeout(LIMIT, child.wait_with_output()).await;
    // Terraform and the provider outlive a test that is ended, or that ends in a panic.
    if let Some(group) = group
        && let Err(error) = killpg(group, Signal::SIGKILL)
    {
        tracing::trace!(%error, "the test's process group is gone, as it should be");
    }
    let Ok(output) = finished else { return Ok(None) };
    let output = output.map_err(broken)?;
    let both = [output.stdout, output.stderr].concat();
    Ok(Some(String::from_utf8_lossy(&both).into_owned()))
}

/// What a test's output says: the word of Go's test runner, and of a failure the first line that tells it.
fn judge(output: Option<&str>, name: &str) -> (Status, String) {
    let Some(output) = output else {
        return (Status::Failed, format!("it took longer than {} s", LIMIT.as_secs()));
    };
    let verdict =
        |word: &str| output.lines().any(|line| line.trim_start().starts_with(&format!("--- {word}: {name} ")));
    if verdict("PASS") {
        return (Status::Passed, String::new());
    }
    let told = |line: &&str| line.contains("Error:") || line.contains("panic:");
    // The tests' own remark on the interval we set is no error.
    let placed = |line: &&str| line.contains("_test.go:") && !line.contains("delay retry set to");
    let lines = || output.lines().map(str::trim).filter(|line| !line.is_empty());
    if verdict("SKIP") {
        let why =
            lines().find(placed).map_or("it skips itself", |line| line.split_once(": ").map_or(line, |(_, why)| why));
        return (Status::NotApplicable, why.to_owned());
    }
    let first = lines().find(told).or_else(|| lines().find(placed)).or_else(|| lines().next_back());
    (Status::Failed, first.unwrap_or("it said nothing").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_judged_by_the_words_of_gos_runner() {
        let passed = "=== RUN   TestAccVPC_Basic\n--- PASS: TestAccVPC_Basic (3.20s)\nPASS\n";
        assert_eq!(judge(Some(passed), "TestAccVPC_Basic"), (Status::Passed, String::new()));
        let failed = "=== RUN   TestAccVPC_Basic\n    vpc_test.go:20: Step 1/2 error: Error running apply: exit status 1\n\n        Error: scaleway-sdk-go: not found\n--- FAIL: TestAccVPC_Basic (1.0s)\n";
        let told = judge(Some(failed), "TestAccVPC_Basic");
        assert_eq!(told.0, Status::Failed);
        assert_eq!(told.1, "Error: scaleway-sdk-go: not found");
        let skipped = "=== RUN   TestAccX\n    x_test.go:9: needs a key\n--- SKIP: TestAccX (0.00s)\nPASS\n";
        assert_eq!(judge(Some(skipped), "TestAccX"), (Status::NotApplicable, "needs a key".into()));
    }

    #[test]
    fn silence_and_another_tests_success_are_failures() {
        assert_eq!(judge(Some("--- PASS: TestAccVPC_BasicTwo (1s)\nPASS\n"), "TestAccVPC_Basic").0, Status::Failed);
        assert_eq!(judge(Some(""), "TestAccX"), (Status::Failed, "it said nothing".into()));
        assert_eq!(judge(None, "TestAccX").0, Status::Failed);
    }
}

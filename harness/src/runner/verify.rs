//! `stackproof verify`: linters, type checkers and every test of the workspace, then the report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Check, Ended, Finished, Nextest, RunDir, Tools, conclude};
use crate::acceptance::{TargetName, rounded};
use crate::report::Stage;
use crate::{Failure, Progress, Toolchain, Workspace};

/// The environment variable that names MinIO for the state's tests.
const MINIO_VARIABLE: &str = "STACKPROOF_TEST_MINIO";

/// Runs every check and every test. All checks run, so that one look shows all that is wrong.
pub fn verify(report: &Path) -> Result<Finished, Failure> {
    let workspace = Workspace::find()?;
    let progress = Progress::detect();
    let tools = Tools::ensure(&progress)?;
    let minio = minio(&progress)?;
    let target = TargetName::Local;
    let mut run = RunDir::begin(&workspace, "stackproof verify".into(), &[target])?;
    run.judge(&workspace, &tools)?;
    for check in Check::all(&tools) {
        anstream::eprint!("{:<13}", check.name());
        let outcome = check.run(&workspace);
        say(&outcome.stage);
        if !outcome.stage.ok {
            anstream::eprintln!("{}", outcome.output.trim_end());
        }
        run.record(outcome.stage)?;
    }
    if which::which("terraform").is_err() && std::env::var_os("CI").is_none() {
        let name = "conformance";
        anstream::eprintln!("{name:<13}not run: terraform is missing; CI runs it (stackproof conformance --subset)");
    }
    let nextest = minio.into_iter().fold(Nextest::everything(), |nextest, minio| nextest.with(MINIO_VARIABLE, minio));
    anstream::eprintln!("{:<13}{}", "tests", nextest.command());
    let begun = Instant::now();
    let ended = nextest.run(&workspace, &tools, &run, target, "workspace")?;
    let stage = Stage {
        name: "tests".into(),
        command: nextest.command(),
        ok: ended == Ended::Passed,
        seconds: rounded(begun.elapsed().as_secs_f64()),
        said: String::new(),
    };
    anstream::eprint!("{:<13}", stage.name);
    say(&stage);
    run.record(stage)?;
    run.finish()?;
    conclude(run.path(), report)
}

/// The MinIO that the state's own tests run on too. Where it cannot be had they say so; there they run on the local
/// cloud alone.
fn minio(progress: &Progress) -> Result<Option<PathBuf>, Failure> {
    if let Some(own) = std::env::var_os(MINIO_VARIABLE) {
        return Ok(Some(own.into()));
    }
    match Toolchain::minio(progress) {
        Ok(tool) => Ok(Some(tool.path)),
        Err(failure) if std::env::var_os("CI").is_none() => {
            let name = "minio";
            anstream::eprintln!("{name:<13}not there, the state's tests run without it: {}", failure.what);
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn say(stage: &Stage) {
    anstream::eprintln!("{} in {:.1} s", if stage.ok { "passed" } else { "failed" }, stage.seconds);
}

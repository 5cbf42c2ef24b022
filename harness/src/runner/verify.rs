//! `stackproof verify`: linters, type checkers and every test of the workspace, then the report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use stackproof_planes::docker::Daemon;

use super::{Check, Ended, Finished, Nextest, RunDir, Tools, conclude};
use crate::acceptance::{TargetName, rounded};
use crate::report::Stage;
use crate::{Failure, Progress, Toolchain, Workspace};

/// The environment variable that names MinIO for the state's tests.
const MINIO_VARIABLE: &str = "STACKPROOF_TEST_MINIO";

/// And the one that says how their servers are to run.
const SERVERS_VARIABLE: &str = "STACKPROOF_TEST_SERVERS";

/// Runs every check and every test. All checks run, so that one look shows all that is wrong.
pub fn verify(report: &Path) -> Result<Finished, Failure> {
    let workspace = Workspace::find()?;
    let progress = Progress::detect();
    let tools = Tools::ensure(&progress)?;
    let minio = minio(&progress)?;
    let mut run = RunDir::begin(&workspace, "stackproof verify".into(), &[TargetName::Local])?;
    run.judge(&workspace, &tools)?;
    for check in Check::all(&tools) {
        anstream::eprint!("{:<21}", check.name());
        let outcome = check.run(&workspace);
        say(&outcome.stage);
        if !outcome.stage.ok {
            anstream::eprintln!("{}", outcome.output.trim_end());
        }
        run.record(outcome.stage)?;
    }
    if which::which("terraform").is_err() && std::env::var_os("CI").is_none() {
        let name = "conformance";
        anstream::eprintln!("{name:<21}not run: terraform is missing; CI runs it (stackproof conformance --subset)");
    }
    let with_minio = |nextest: Nextest| match &minio {
        Some(minio) => nextest.with(MINIO_VARIABLE, minio.clone()),
        None => nextest,
    };
    let everything = with_minio(Nextest::everything());
    test(&workspace, &tools, &mut run, ("tests", "workspace"), &everything)?;
    match daemon(&workspace)? {
        Ok(daemon) => {
            anstream::eprintln!("{:<21}the state once more, on servers in containers of {daemon}", "docker");
            let state = with_minio(Nextest::of_the_state()).with(SERVERS_VARIABLE, "docker".into());
            test(&workspace, &tools, &mut run, ("docker", "docker"), &state)?;
        }
        Err(why) => anstream::eprintln!("{:<21}not run, the state's servers ran natively: {why}", "docker"),
    }
    run.finish()?;
    conclude(run.path(), report)
}

/// Runs tests, and records them as a stage of this name, with a JUnit file of that one.
fn test(
    workspace: &Workspace,
    tools: &Tools,
    run: &mut RunDir,
    (name, junit): (&str, &str),
    nextest: &Nextest,
) -> Result<(), Failure> {
    anstream::eprintln!("{name:<21}{}", nextest.command());
    let begun = Instant::now();
    let ended = nextest.run(workspace, tools, run, TargetName::Local, junit)?;
    let stage = Stage {
        name: name.into(),
        command: nextest.command(),
        ok: ended == Ended::Passed,
        seconds: rounded(begun.elapsed().as_secs_f64()),
        said: String::new(),
    };
    anstream::eprint!("{name:<21}");
    say(&stage);
    run.record(stage)
}

/// The Docker daemon of this machine, or why there is none.
fn daemon(workspace: &Workspace) -> Result<Result<String, String>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment("no thread could be started").because(error))?;
    let found = runtime.block_on(Daemon::find(&workspace.root));
    Ok(found.map(|daemon| daemon.told().to_owned()).map_err(|error| error.to_string()))
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
            anstream::eprintln!("{name:<21}not there, the state's tests run without it: {}", failure.what);
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn say(stage: &Stage) {
    anstream::eprintln!("{} in {:.1} s", if stage.ok { "passed" } else { "failed" }, stage.seconds);
}

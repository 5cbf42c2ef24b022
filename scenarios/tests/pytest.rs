//! Every pytest case of `infra/`, each as a test of its own, so that one runner lists all.
//!
//! nextest starts this program once per test, and importing Pulumi's SDK costs
//! a second each time. So the cases are collected once per state of the files,
//! and pytest runs once per run of nextest: the first test to come starts it,
//! the others wait and read their own result.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use stackproof::runner::{PYTHON_VARIABLE, program_digest};
use stackproof::toolchain::Toolchain;
use stackproof::{Failure, Progress, Workspace};

/// The test that stands for all where Python or the cases cannot be had.
const NO_CASES: &str = "the_cases_of_infra_can_be_collected";

/// What the plugin says in one line.
#[derive(Clone, Deserialize)]
struct Said {
    case: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    text: String,
}

/// One case's result.
#[derive(Clone)]
enum Ended {
    Passed,
    Otherwise(String),
}

type Results = BTreeMap<String, Ended>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suite = Suite::find();
    let trials = match suite.and_then(|suite| suite.cases().map(|cases| (suite, cases))) {
        Ok((suite, cases)) => {
            let suite = Arc::new(suite);
            let trial = |case: String| {
                let suite = Arc::clone(&suite);
                Trial::test(case.clone(), move || suite.result(&case)).with_kind("pytest")
            };
            cases.into_iter().map(trial).collect()
        }
        Err(failure) => vec![Trial::test(NO_CASES, move || Err(Failed::from(failure.to_string())))],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

struct Suite {
    infra: PathBuf,
    plugin: PathBuf,
    python: PathBuf,
    /// Where collections and results are kept; named by the state of the files.
    place: PathBuf,
    results: OnceLock<Result<Results, Failure>>,
}

impl Suite {
    fn find() -> Result<Self, Failure> {
        let plugin = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = Workspace::around(plugin).ok_or_else(|| Failure::usage("the tests lie in no checkout"))?;
        let python = match std::env::var_os(PYTHON_VARIABLE) {
            Some(python) => PathBuf::from(python),
            None => Toolchain::python(&Progress::detect())?.path,
        };
        Ok(Self {
            infra: workspace.infra(),
            plugin: plugin.to_owned(),
            python,
            place: workspace.root.join("target/pytest").join(program_digest(&workspace)),
            results: OnceLock::new(),
        })
    }

    /// The cases there are, remembered until a file changes.
    fn cases(&self) -> Result<Vec<String>, Failure> {
        let remembered = self.place.join("cases.json");
        if let Some(cases) = fs::read(&remembered).ok().and_then(|json| serde_json::from_slice(&json).ok()) {
            return Ok(cases);
        }
        let said = self.pytest(&["--collect-only"])?;
        let broken = said.iter().any(|said| !said.outcome.is_empty());
        let cases: Vec<String> = said.into_iter().map(|said| said.case).collect();
        if cases.is_empty() {
            return Err(Failure::failed("pytest finds no case in infra/tests"));
        }
        if !broken {
            let json = serde_json::to_vec(&cases).map_err(|error| Failure::failed(error.to_string()))?;
            // Beside, then renamed: another process may look at the same moment.
            let beside = self.place.join(format!("cases-{}.json", std::process::id()));
            fs::write(&beside, json)
                .and_then(|()| fs::rename(&beside, &remembered))
                .map_err(|error| no_place(&error))?;
        }
        Ok(cases)
    }

    /// The result of one case; a case that was skipped showed nothing and fails.
    fn result(&self, case: &str) -> Result<(), Failed> {
        let results = self.results.get_or_init(|| self.results());
        match results.as_ref().map_err(|failure| Failed::from(failure.to_string()))?.get(case) {
            Some(Ended::Passed) => Ok(()),
            Some(Ended::Otherwise(text)) => Err(Failed::from(text.as_str())),
            None => Err(Failed::from("pytest ended before it came to this case")),
        }
    }

    /// Every result: of this run of nextest, whichever process had pytest run.
    fn results(&self) -> Result<Results, Failure> {
        let Ok(run) = std::env::var("NEXTEST_RUN_ID") else { return Ok(judged(self.pytest(&[])?)) };
        fs::create_dir_all(&self.place).map_err(|error| no_place(&error))?;
        let lock = File::create(self.place.join("lock")).map_err(|error| no_place(&error))?;
        // Released when the file is closed, also by a kill.
        lock.lock().map_err(|error| no_place(&error))?;
        let kept = self.place.join("results.json");
        let mark = self.place.join("results-of");
        if fs::read_to_string(&mark).is_ok_and(|of| of == run) {
            return Ok(judged(read(&kept)?));
        }
        let written = self.run_pytest(&[])?;
        fs::rename(&written, &kept).and_then(|()| fs::write(&mark, run)).map_err(|error| no_place(&error))?;
        Ok(judged(read(&kept)?))
    }

    fn pytest(&self, arguments: &[&str]) -> Result<Vec<Said>, Failure> {
        let written = self.run_pytest(arguments)?;
        let said = read(&written);
        // What remains is only a file in `target/`.
        let _ = fs::remove_file(written);
        said
    }

    /// Runs pytest and answers the file with what its plugin said.
    fn run_pytest(&self, arguments: &[&str]) -> Result<PathBuf, Failure> {
        fs::create_dir_all(&self.place).map_err(|error| no_place(&error))?;
        let said = self.place.join(format!("said-{}.json", std::process::id()));
        fs::write(&said, "").map_err(|error| no_place(&error))?;
        let output = Command::new(&self.python)
            .args(["-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "pytest_cases"])
            .args(arguments)
            .current_dir(&self.infra)
            .env("PYTHONPATH", &self.plugin)
            .env("STACKPROOF_PYTEST_CASES", &said)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| {
                Failure::environment(format!("{} does not start", self.python.display()))
                    .because(error)
                    .next("stackproof doctor --install")
            })?;
        // 0: all passed, 1: some failed, 2: some could not be collected, as the plugin said. Beyond, pytest itself failed.
        if output.status.code().is_none_or(|code| code > 2) || fs::metadata(&said).is_ok_and(|file| file.len() == 0) {
            let text = [&output.stdout[..], &output.stderr[..]].concat();
            return Err(Failure::failed(format!("pytest ended with {}", output.status))
                .because(String::from_utf8_lossy(&text))
                .next("cd infra && python -m pytest"));
        }
        Ok(said)
    }
}

fn read(said: &Path) -> Result<Vec<Said>, Failure> {
    let text = fs::read_to_string(said).map_err(|error| no_place(&error))?;
    let line = |line: &str| serde_json::from_str(line).map_err(|error| Failure::failed("the plugin").because(error));
    text.lines().map(line).collect()
}

/// The worst word about each case counts: a case may pass and its fixture break afterwards.
fn judged(said: Vec<Said>) -> Results {
    let mut results = Results::new();
    for Said { case, outcome, text } in said {
        match outcome.as_str() {
            "" => {}
            "passed" => {
                results.entry(case).or_insert(Ended::Passed);
            }
            "skipped" => {
                results.insert(case, Ended::Otherwise(format!("skipped, so it shows nothing: {text}")));
            }
            _ => {
                results.insert(case, Ended::Otherwise(text));
            }
        }
    }
    results
}

fn no_place(error: &std::io::Error) -> Failure {
    Failure::environment("target/pytest cannot be used").because(error)
}

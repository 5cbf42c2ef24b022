//! The tools a run needs, and who they are.

use std::path::{Path, PathBuf};

use super::Checkout;
use crate::Failure;
use crate::report::Tool;

/// The environment variable that names the Python of the infrastructure's virtual environment.
pub const PYTHON_VARIABLE: &str = "STACKPROOF_PYTHON";

/// The tools of a run.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The test runner.
    pub nextest: PathBuf,
    /// The Python with the infrastructure's packages; the reason where there is none.
    pub python: Result<PathBuf, Failure>,
    /// Every tool's version, provenance and digest, for the report.
    pub identities: Vec<Tool>,
}

impl Tools {
    /// Finds the tools.
    pub fn ensure(checkout: &Checkout) -> Result<Self, Failure> {
        let nextest = which::which("cargo-nextest").map_err(|_| {
            Failure::environment("cargo-nextest is missing")
                .because("the scenarios are run by it")
                .next("cargo install cargo-nextest --locked")
        })?;
        Ok(Self { nextest, python: python(checkout.root()), identities: Vec::new() })
    }

    /// A program beside the Python, such as `ruff`.
    pub fn beside_python(&self, program: &str) -> Result<PathBuf, Failure> {
        let python = self.python.clone()?;
        let beside = python.with_file_name(program);
        if beside.is_file() {
            return Ok(beside);
        }
        Err(Failure::environment(format!("{program} is missing"))
            .because("it belongs into the infrastructure's virtual environment")
            .next("stackproof doctor"))
    }
}

fn python(root: &Path) -> Result<PathBuf, Failure> {
    let named = std::env::var_os(PYTHON_VARIABLE).map(PathBuf::from);
    let usual = root.join("infra/.venv/bin/python");
    named.into_iter().chain([usual]).find(|python| python.is_file()).ok_or_else(|| {
        Failure::environment("the Python environment of infra/ is missing")
            .because("its tests, linters and the Pulumi program need it")
            .next("stackproof doctor")
    })
}

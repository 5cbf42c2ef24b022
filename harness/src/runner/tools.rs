//! The tools a run needs, and who they are.

use std::path::PathBuf;

use crate::report::Tool;
use crate::toolchain::{Clients, Toolchain};
use crate::{Failure, Progress};

/// The environment variable that names the Python of the infrastructure's virtual environment.
pub const PYTHON_VARIABLE: &str = "STACKPROOF_PYTHON";

/// The tools of a run.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The test runner.
    pub nextest: PathBuf,
    /// The Python with the infrastructure's packages.
    pub python: PathBuf,
    /// The Python with the packages of the scenarios' clients.
    pub clients_python: PathBuf,
    /// The schema of the provider, where we built it: the official plugin carries none.
    pub schema: Option<PathBuf>,
    /// Every tool's version, provenance and digest, for the report.
    pub identities: Vec<Tool>,
}

impl Tools {
    /// Finds the tools, or installs them now: a scenario that had to would run out of time.
    pub fn ensure(progress: &Progress) -> Result<Self, Failure> {
        let toolchain = Toolchain::ensure(progress)?;
        let nextest = toolchain.nextest.as_ref().map(|tool| tool.path.clone()).ok_or_else(|| {
            Failure::environment("cargo-nextest is missing")
                .because("the scenarios are run by it")
                .next("cargo install cargo-nextest --locked")
        })?;
        let postgres = Toolchain::postgres(progress)?;
        let clients = Clients::ensure(progress)?;
        let identities = toolchain.tools().filter(|tool| tool.name != postgres.name).chain([&postgres]);
        let identities = identities.chain([&clients.node, &clients.scw]);
        let identities = identities.map(|tool| Tool {
            name: tool.name.into(),
            version: tool.version.clone(),
            provenance: tool.provenance.to_string(),
            digest: tool.sha256.clone(),
        });
        let schema = Some(toolchain.provider.path.with_file_name("schema.json")).filter(|schema| schema.is_file());
        let (python, clients_python) = (toolchain.python.path.clone(), clients.python.path.clone());
        Ok(Self { nextest, identities: identities.collect(), schema, python, clients_python })
    }

    /// A program beside the Python, such as `ruff`.
    pub fn beside_python(&self, program: &str) -> Result<PathBuf, Failure> {
        let beside = self.python.with_file_name(program);
        if beside.is_file() {
            return Ok(beside);
        }
        Err(Failure::environment(format!("{program} is missing"))
            .because("it belongs into the infrastructure's virtual environment")
            .next("stackproof doctor --install"))
    }
}

//! `stackproof verify`.

use std::path::PathBuf;

use clap::Args;
use stackproof::{Exit, Failure, runner};

/// Run every linter, type checker, test and scenario of this checkout, write the report.
#[derive(Args)]
pub(crate) struct Verify {
    /// Write the report into this directory.
    #[arg(long, value_name = "DIR", default_value = "report")]
    report: PathBuf,
    /// Print the report as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: Verify) -> Result<Exit, Failure> {
    super::accept::show(&runner::verify(&arguments.report)?, arguments.json)
}

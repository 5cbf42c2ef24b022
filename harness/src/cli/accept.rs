//! `stackproof accept`.

use std::path::PathBuf;

use clap::Args;
use stackproof::acceptance::TargetName;
use stackproof::runner::{self, Acceptance, Finished};
use stackproof::{Exit, Failure};

/// Deploy the whole stack, play every scenario, write the report.
#[derive(Args)]
pub(crate) struct Accept {
    /// Add the long proofs.
    #[arg(long)]
    full: bool,
    /// Where the scenarios run; several targets run one after the other.
    #[arg(long, value_enum, default_values_t = [TargetName::Local])]
    target: Vec<TargetName>,
    /// Play only the scenarios of these ids, such as US1.1.
    #[arg(long, value_name = "ID", num_args = 1..)]
    only: Vec<String>,
    /// Write the report into this directory.
    #[arg(long, value_name = "DIR", default_value = "report")]
    report: PathBuf,
    /// Print the report as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: Accept) -> Result<Exit, Failure> {
    let Accept { full, mut target, only, report, json } = arguments;
    target.dedup();
    show(&runner::accept(&Acceptance { full, targets: target, only, report })?, json)
}

/// Shows a finished run the way the person asked for.
pub(crate) fn show(finished: &Finished, json: bool) -> Result<Exit, Failure> {
    if json {
        let document = serde_json::to_string(&finished.report).map_err(|error| Failure::failed(error.to_string()))?;
        anstream::println!("{document}");
    } else {
        anstream::println!("{}", runner::summary(finished));
    }
    Ok(finished.exit())
}

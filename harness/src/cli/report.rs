//! `stackproof report`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stackproof::report::Manifest;
use stackproof::runner::{self, RunDir};
use stackproof::{Exit, Failure, Workspace};

/// Fold a run into its report again, or verify a report.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Report {
    #[command(subcommand)]
    command: Option<ReportCommand>,
    /// The run's directory; the newest run where none is named.
    run: Option<PathBuf>,
    /// Write the report into this directory.
    #[arg(long, value_name = "DIR", default_value = "report")]
    report: PathBuf,
    /// Print the report as one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum ReportCommand {
    /// Check every file of a report against its manifest.
    Verify {
        /// The report's directory.
        #[arg(value_name = "DIR", default_value = "report")]
        directory: PathBuf,
    },
}

/// Runs the command.
pub(crate) fn run(arguments: Report) -> Result<Exit, Failure> {
    if let Some(ReportCommand::Verify { directory }) = &arguments.command {
        return verify(directory);
    }
    let run = match arguments.run {
        Some(run) => run,
        None => RunDir::newest(&Workspace::find()?)?,
    };
    super::accept::show(&runner::conclude(&run, &arguments.report)?, arguments.json)
}

fn verify(directory: &std::path::Path) -> Result<Exit, Failure> {
    let (manifest, digest) = Manifest::read(directory)?;
    let differences = manifest.differences(directory)?;
    if differences.is_empty() {
        anstream::println!("{} files are as they were written\nmanifest sha256:{digest}", manifest.files.len());
        return Ok(Exit::Success);
    }
    let list: Vec<String> = differences.iter().map(ToString::to_string).collect();
    Err(Failure::failed(format!("{} is not as it was written", directory.display()))
        .because(list.join("\n"))
        .next("fold it again from its run: stackproof report"))
}

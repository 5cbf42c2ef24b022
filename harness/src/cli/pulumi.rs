//! `stackproof pulumi`: any command of Pulumi's, under the lock.

use clap::Args;
use stackproof::{Exit, Failure, Progress, Toolchain};

use super::which::Which;

/// Run any command of Pulumi's on the stack's state: under the lock, through the state gateway, with a row in the audit
/// trail.
#[derive(Args)]
pub(crate) struct Pulumi {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    line: super::line::Line,
    /// What Pulumi is told: state delete URN, stack export, import TYPE NAME ID, …
    #[arg(last = true, required = true)]
    arguments: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(pulumi: Pulumi) -> Result<Exit, Failure> {
    let opened = pulumi.which.open().await?;
    let progress = Progress::detect();
    let toolchain = Toolchain::ensure(&progress)?;
    let wait = pulumi.line.wait();
    let work = opened.work(&toolchain, &progress);
    let succeeded = opened.home.pulumi(work, &pulumi.arguments, wait).await?;
    Ok(if succeeded { Exit::Success } else { Exit::Failed })
}

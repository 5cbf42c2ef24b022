//! `stackproof pulumi`: any command of Pulumi's, under the lock.

use std::time::Duration;

use clap::Args;
use stackproof::{
    Exit, Failure, Progress, Toolchain,
    sovereign::{PATIENCE, Wait},
};

use super::which::Which;

/// Run any command of Pulumi's on the stack's state: under the lock, through the state gateway, with a row in the audit
/// trail.
#[derive(Args)]
pub(crate) struct Pulumi {
    #[command(flatten)]
    which: Which,
    /// Stand in line for the lock, for at most so long (10 minutes where none is said), such as 90s or 10m.
    #[arg(long, value_name = "TIME", num_args = 0..=1, value_parser = super::duration)]
    wait: Option<Option<Duration>>,
    /// What Pulumi is told: state delete URN, stack export, import TYPE NAME ID, …
    #[arg(last = true, required = true)]
    arguments: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(pulumi: Pulumi) -> Result<Exit, Failure> {
    let opened = pulumi.which.open().await?;
    let progress = Progress::detect();
    let toolchain = Toolchain::ensure(&progress)?;
    let wait = pulumi.wait.map_or(Wait::No, |time| Wait::UpTo(time.unwrap_or(PATIENCE)));
    let work = opened.work(&toolchain, &progress);
    let succeeded = opened.home.pulumi(work, &pulumi.arguments, wait).await?;
    Ok(if succeeded { Exit::Success } else { Exit::Failed })
}

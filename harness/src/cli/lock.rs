//! `stackproof lock`: who may change a stack.

use std::{process::Stdio, time::Duration};

use clap::{Args, Subcommand};
use owo_colors::OwoColorize;
use stackproof::{
    Exit, Failure, Progress,
    sovereign::{Broken, HOLD_VARIABLE, Wait},
};
use stackproof_state::lock::{Held, Status};
use uuid::Uuid;

use super::which::Which;

/// What to do with the lock.
#[derive(Subcommand)]
pub(crate) enum Locks {
    /// Who has it, who waits, and whose work was never cleaned up.
    Status {
        #[command(flatten)]
        which: Which,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Reserve the stack for maintenance: only commands within it may change the stack.
    Hold(Hold),
    /// End a maintenance.
    Release {
        #[command(flatten)]
        which: Which,
        /// Its token; that of the environment where none is given.
        #[arg(long, env = HOLD_VARIABLE, hide_env_values = true)]
        token: Uuid,
    },
    /// Take the lock away from a holder that is certainly gone; one of plain Pulumi's by the name of its lock file.
    Break {
        #[command(flatten)]
        which: Which,
        /// The holder, as the status shows it: never all.
        #[arg(long)]
        holder: Uuid,
        /// Why; it goes into the audit trail.
        #[arg(long)]
        reason: String,
    },
}

/// A maintenance.
#[derive(Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    which: Which,
    /// Why; others see it while they wait.
    #[arg(long)]
    reason: String,
    /// For how long at most, such as 90s or 1h.
    #[arg(long, default_value = "1h", value_parser = super::duration)]
    ttl: Duration,
    /// Stand in line for it, for at most so long.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    wait: Option<Duration>,
    /// A command to run within it; when that ends, so does the hold.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(command: Locks) -> Result<Exit, Failure> {
    match command {
        Locks::Status { which, json } => {
            let opened = which.open().await?;
            let status = opened.home.lock(&opened.project)?.status().await.map_err(database)?;
            if json {
                anstream::println!("{:#}", serde_json::json!(status));
            } else {
                show(&status);
            }
            Ok(Exit::Success)
        }
        Locks::Hold(hold) => hold.run().await,
        Locks::Release { which, token } => {
            let opened = which.open().await?;
            if opened.home.lock(&opened.project)?.end_hold(token).await.map_err(database)? {
                anstream::println!("the maintenance is over");
                return Ok(Exit::Success);
            }
            Err(Failure::failed("there is no such maintenance")
                .because("it was released, broken, or ran out")
                .next(format!("stackproof lock status {}", which.words())))
        }
        Locks::Break { which, holder, reason } => {
            let opened = which.open().await?;
            let broken = opened.home.break_lease(&opened.project, holder, &reason).await?;
            match broken {
                Broken::Lease(grant) => {
                    anstream::println!("taken away from {}", Held(&grant));
                    anstream::println!("the next command tidies up after it");
                    Ok(Exit::Success)
                }
                Broken::Pulumi(lock) => {
                    anstream::println!("removed: the lock file of {}@{} (pid {})", lock.user, lock.host, lock.pid);
                    anstream::println!("what its run left half done, the next command looks for in the cloud");
                    Ok(Exit::Success)
                }
                Broken::Nothing => Err(Failure::failed(format!("{holder} does not hold the lock"))
                    .next(format!("stackproof lock status {}", which.words()))),
            }
        }
    }
}

impl Hold {
    async fn run(self) -> Result<Exit, Failure> {
        let opened = self.which.open().await?;
        let wait = self.wait.map_or(Wait::No, Wait::UpTo);
        let progress = Progress::detect();
        let grant = opened.home.hold(&opened.project, &self.reason, self.ttl, wait, &progress).await?;
        let token = grant.holder.to_string();
        let Some((program, arguments)) = self.command.split_first() else {
            anstream::println!("export {HOLD_VARIABLE}={token}");
            anstream::eprintln!("held until {}; stackproof lock release {} ends it", grant.expires, self.which.words());
            return Ok(Exit::Success);
        };
        let mut child = tokio::process::Command::new(program);
        child.args(arguments).env(HOLD_VARIABLE, &token).stdin(Stdio::inherit());
        let ended = child.status().await;
        opened.home.lock(&opened.project)?.end_hold(grant.holder).await.map_err(database)?;
        let status = ended.map_err(|error| Failure::usage(format!("{program} cannot be run")).because(error))?;
        if status.success() { Ok(Exit::Success) } else { Ok(Exit::Failed) }
    }
}

fn show(status: &Status) {
    match (&status.run, &status.hold) {
        (None, None) => anstream::println!("{}", "free".green()),
        (run, hold) => {
            for grant in hold.iter().chain(run) {
                anstream::println!("{}  {}", "held".yellow(), Held(grant));
                anstream::println!("      holder {}, lease {} until {}", grant.holder, grant.fence, grant.expires);
            }
        }
    }
    for (place, waiter) in (1..).zip(&status.queue) {
        let owner = &waiter.owner;
        anstream::println!("{place:>4}.  {} on {}, `{}`, since {}", owner.who, owner.host, owner.command, waiter.since);
    }
    for left in &status.abandoned {
        anstream::println!("{}  {}, ended {}", "left ".red(), Held(&left.grant), left.ended);
        anstream::println!("      something unexpected happened; the next command tidies up after it");
    }
}

pub(super) fn database(error: stackproof_state::database::Error) -> Failure {
    let text = error.to_string();
    let (what, meaning) = text.split_once('\n').unwrap_or((&text, ""));
    Failure::environment(what).because(meaning).next("stackproof doctor")
}

//! The command line: one file a command, each thin.

mod accept;
mod audit;
mod bench;
mod check;
mod cloud;
mod compliance;
mod conformance;
mod deploy;
mod doctor;
mod exec;
mod fault;
mod guard;
mod image;
mod line;
mod lock;
mod next;
mod pulumi;
mod report;
mod rotate;
mod rules;
mod scan;
mod state;
mod verify;
mod which;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use futures::FutureExt;
use stackproof::{Exit, Failure, Workspace, pulumi::Operation};

/// Prove a Scaleway stack written with Pulumi, end to end, before it meets a customer.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Accept(accept::Accept),
    Verify(verify::Verify),
    Check(check::Check),
    Compliance(compliance::Compliance),
    Conformance(conformance::Arguments),
    Bench(bench::Arguments),
    #[command(hide = true)]
    BenchResponder(bench::Responder),
    Report(report::Report),
    Doctor(doctor::Doctor),
    Scan(scan::Arguments),
    /// The local Scaleway cloud: start, stop, status, exec.
    #[command(subcommand)]
    Cloud(cloud::Cloud),
    /// Images for the stack's container: push.
    #[command(subcommand)]
    Image(image::Images),
    /// Make the local cloud's requests fail: add, list, clear.
    #[command(subcommand)]
    Fault(fault::Faults),
    /// The local cloud's clock: show, advance.
    #[command(subcommand)]
    Clock(fault::Clock),
    /// Create and update what differs from the program.
    Up(deploy::Deploy),
    /// Tell what `up` would do.
    Preview {
        #[command(flatten)]
        deploy: deploy::Deploy,
        /// Ask the cloud first; without it a preview compares the program with the state alone.
        #[arg(long)]
        refresh: bool,
        /// Fail when anything differs.
        #[arg(long)]
        expect_no_changes: bool,
    },
    /// Take over into the state what the cloud says.
    Refresh {
        #[command(flatten)]
        deploy: deploy::Deploy,
        #[command(flatten)]
        pending: deploy::Pending,
    },
    /// Delete everything the stack made.
    Destroy(deploy::Deploy),
    /// Any other command of Pulumi's, under the lock: stackproof pulumi -- state delete URN.
    Pulumi(pulumi::Pulumi),
    Guard(guard::Guard),
    /// Who may change a stack: status, hold, release, break.
    #[command(subcommand)]
    Lock(lock::Locks),
    /// The state: init, history, show, diff, restore, backup, verify, size, recover.
    #[command(subcommand)]
    State(state::States),
    Rotate(rotate::Rotate),
    /// Who changed what: list, verify, export.
    #[command(subcommand)]
    Audit(audit::Audits),
}

/// Parses the command line, runs the command, prints a failure and turns it into the exit code.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments.command) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            let words = next::words(std::env::args());
            anstream::eprintln!("error: {}", next::complete(&failure.to_string(), &words));
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// A time as people write it: `90s`, `10m`, `1h 30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration = text.parse().map_err(|_| "expected a time such as 90s, 10m or 1h")?;
    duration.try_into().map_err(|_| "expected a time that is not negative".to_owned())
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment("no threads could be started").because(error))?;
    let work = match command {
        Command::Guard(guard) => return guard::run(guard),
        Command::Accept(arguments) => return accept::run(arguments),
        Command::Verify(arguments) => return verify::run(arguments),
        Command::Check(arguments) if arguments.iam() => return runtime.block_on(check::permissions(&arguments)),
        Command::Check(arguments) => return check::run(&arguments),
        Command::Bench(arguments) => return runtime.block_on(bench::run(arguments)),
        Command::BenchResponder(responder) => bench::respond(responder).boxed(),
        Command::Compliance(arguments) => return runtime.block_on(compliance::run(arguments)),
        Command::Conformance(arguments) => return runtime.block_on(conformance::run(arguments)),
        Command::Report(arguments) => return report::run(arguments),
        Command::Doctor(doctor) => doctor.run().boxed(),
        Command::Cloud(command) => cloud::run(command).boxed(),
        Command::Image(command) => image::run(command).boxed(),
        Command::Fault(command) => fault::run(command).boxed(),
        Command::Clock(command) => fault::run_clock(command).boxed(),
        Command::Up(arguments) => deploy::run(arguments, Operation::Up).boxed(),
        Command::Preview { deploy, refresh, expect_no_changes } => {
            deploy::run(deploy, Operation::Preview { refresh, expect_no_changes }).boxed()
        }
        Command::Refresh { deploy, pending } => deploy::run(deploy, pending.operation()?).boxed(),
        Command::Destroy(arguments) => deploy::run(arguments, Operation::Destroy).boxed(),
        Command::Pulumi(arguments) => return runtime.block_on(pulumi::run(arguments)),
        Command::Scan(arguments) => return runtime.block_on(scan::run(arguments)),
        Command::Lock(command) => return runtime.block_on(lock::run(command)),
        Command::State(command) => return runtime.block_on(state::run(command)),
        Command::Rotate(arguments) => return runtime.block_on(rotate::run(arguments)),
        Command::Audit(command) => return runtime.block_on(audit::run(command)),
    };
    runtime.block_on(work).map(|()| Exit::Success)
}

/// Writes a page of the documentation that a command makes.
fn write_page(workspace: &Workspace, page: &str, text: &str) -> Result<(), Failure> {
    let path = workspace.root.join(page);
    std::fs::write(&path, text)
        .map_err(|error| Failure::environment(format!("{} cannot be written", path.display())).because(error))
}

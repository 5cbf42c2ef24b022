//! The command line: one file a command, each thin.

mod accept;
mod check;
mod cloud;
mod conformance;
mod deploy;
mod doctor;
mod fault;
mod image;
mod report;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use futures::FutureExt;
use stackproof::{Exit, Failure, pulumi::Operation};

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
    Conformance(conformance::Arguments),
    Report(report::Report),
    Doctor(doctor::Doctor),
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
    Refresh(deploy::Deploy),
    /// Delete everything the stack made.
    Destroy(deploy::Deploy),
}

/// Parses the command line, runs the command, prints a failure and turns it into the exit code.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments.command) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            anstream::eprintln!("error: {failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::environment("no threads could be started").because(error))?;
    let work = match command {
        Command::Accept(arguments) => return accept::run(arguments),
        Command::Verify(arguments) => return verify::run(arguments),
        Command::Check(arguments) => return check::run(&arguments),
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
        Command::Refresh(arguments) => deploy::run(arguments, Operation::Refresh).boxed(),
        Command::Destroy(arguments) => deploy::run(arguments, Operation::Destroy).boxed(),
    };
    runtime.block_on(work).map(|()| Exit::Success)
}

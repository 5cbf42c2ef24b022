//! The command line: one file a command, each thin.

mod accept;
mod report;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stackproof::{Exit, Failure};

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
    Report(report::Report),
    Verify(verify::Verify),
}

/// Parses the command line, runs the command, prints a failure and turns it into the exit code.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome: Result<Exit, Failure> = match arguments.command {
        Command::Accept(arguments) => accept::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
    };
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            anstream::eprintln!("error: {failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

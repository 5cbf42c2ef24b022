//! The command line: one file a command, each thin.

mod doctor;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use stackproof::Failure;

/// Prove a Scaleway stack written with Pulumi, end to end, before it meets a customer.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Doctor(doctor::Doctor),
}

/// Parses the command line, runs the command, prints a failure and turns it into the exit code.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome: Result<(), Failure> = match arguments.command {
        Command::Doctor(doctor) => doctor.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            anstream::eprintln!("error: {failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

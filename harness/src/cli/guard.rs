//! `stackproof guard`: a program that ends with whoever supervises it, however that ends.

use std::{os::unix::process::CommandExt, process::Command};

use clap::Args;
use nix::{
    sys::signal::Signal,
    unistd::{Pid, getppid},
};
use stackproof::{Exit, Failure};

/// Become this program, killed when the process that started it ends. Not for people: it is how Pulumi is run.
#[derive(Args)]
#[command(hide = true)]
pub(crate) struct Guard {
    /// The process that started this one.
    #[arg(long)]
    parent: i32,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<String>,
}

/// Becomes it.
pub(crate) fn run(guard: Guard) -> Result<Exit, Failure> {
    // Whoever had the lease is gone, and with it the way to the state: nothing more must begin.
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| Failure::environment("this process cannot be tied to its supervisor").because(error))?;
    if getppid() != Pid::from_raw(guard.parent) {
        return Err(Failure::new(Exit::Interrupted, "the supervisor ended before its program began"));
    }
    let (program, arguments) =
        guard.program.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let error = Command::new(program).args(arguments).exec();
    Err(Failure::environment(format!("{program} cannot be run")).because(error).next("stackproof doctor"))
}

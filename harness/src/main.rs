//! The `stackproof` command: parses arguments, calls the library.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}

//! Running programs that install things: what they print goes into a log, the
//! last of it into the failure.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Failure;
use crate::progress::Step;

/// How many of the last lines a failure repeats.
const LINES_TOLD: usize = 6;

/// Runs a command to its end, its output into `log` and its last line beside the step.
pub(crate) fn run(command: &mut Command, step: &Step, log: &Path) -> Result<(), Failure> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let broken = |error: std::io::Error| {
        Failure::environment(format!("{name} could not be run: {error}"))
            .next("stackproof doctor, to see which tools are there")
    };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(log).map_err(broken)?;
    let (output, input) = std::io::pipe().map_err(broken)?;
    command.stdin(Stdio::null()).stdout(input.try_clone().map_err(broken)?).stderr(input);
    let mut child = command.spawn().map_err(broken)?;
    // The command holds the pipe's writing ends: without this the reading below never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last: std::collections::VecDeque<String> = std::collections::VecDeque::new();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(broken)? == 0 {
            break;
        }
        file.write_all(&line).map_err(broken)?;
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if text.is_empty() {
            continue;
        }
        step.note(&text);
        if last.len() == LINES_TOLD {
            last.pop_front();
        }
        last.push_back(text);
    }
    let status = child.wait().map_err(broken)?;
    if status.success() {
        return Ok(());
    }
    let told: Vec<String> = last.into_iter().collect();
    Err(Failure::environment(format!("{name} failed ({status})"))
        .because(told.join("\n"))
        .next(format!("read {}, fix it, then stackproof doctor --install", log.display())))
}

/// What a program prints on standard output when asked for its version; none if it fails.
pub(crate) fn ask(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Progress;

    #[test]
    fn a_failure_repeats_the_last_lines_and_names_the_log() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let step = Progress::Silent.step("building");
        let mut command = Command::new("sh");
        command.args(["-c", "for i in 1 2 3 4 5 6 7 8; do echo line $i; done; echo broken >&2; exit 3"]);
        let failure = run(&mut command, &step, &log).unwrap_err();
        assert_eq!(failure.what, "sh failed (exit status: 3)");
        assert_eq!(failure.meaning, "line 4\nline 5\nline 6\nline 7\nline 8\nbroken");
        assert!(failure.next.contains("log"));
        assert!(std::fs::read_to_string(log).unwrap().starts_with("line 1\n"));
    }
}

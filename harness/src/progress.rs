//! What long work shows while it runs: a spinner with the elapsed time on a
//! terminal, a line per step elsewhere, nothing when asked to be silent.
//!
//! Everything goes to standard error; standard output stays the command's own.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a step that runs on says so where there is no spinner.
const REMINDER: Duration = Duration::from_secs(60);

/// Where and how progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A spinner, redrawn in place.
    Terminal,
    /// A line when a step starts, ends, or has run for another minute.
    Plain,
    /// Nothing.
    Silent,
}

impl Progress {
    /// A spinner if standard error is a terminal, lines otherwise.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() { Self::Terminal } else { Self::Plain }
    }

    /// Starts a step, named by what is being done: "building Pulumi v3.259.0 (about 6 minutes)".
    pub fn step(&self, what: impl Into<String>) -> Step {
        let what = what.into();
        let spinner = match self {
            Self::Terminal => {
                let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed:.dim} {wide_msg:.dim}");
                let spinner = ProgressBar::new_spinner().with_prefix(what.clone());
                if let Ok(style) = style {
                    spinner.set_style(style);
                }
                spinner.enable_steady_tick(Duration::from_millis(120));
                Some(spinner)
            }
            Self::Plain => {
                anstream::eprintln!("{what} …");
                None
            }
            Self::Silent => None,
        };
        let started = Instant::now();
        Step { shown: *self, what, spinner, started, reminded: Cell::new(started) }
    }

    /// Says one line that is worth reading later.
    pub fn say(&self, line: impl AsRef<str>) {
        if *self != Self::Silent {
            anstream::eprintln!("{}", line.as_ref());
        }
    }
}

/// A step under way. Dropped without [`Step::done`], it leaves no line of success.
#[derive(Debug)]
pub struct Step {
    shown: Progress,
    what: String,
    spinner: Option<ProgressBar>,
    started: Instant,
    reminded: Cell<Instant>,
}

impl Step {
    /// What the step is busy with right now; shown beside the spinner only.
    pub fn note(&self, detail: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(detail.trim().to_owned());
        } else if self.shown == Progress::Plain && self.reminded.get().elapsed() >= REMINDER {
            self.reminded.set(Instant::now());
            anstream::eprintln!("{} … {}", self.what, spoken(self.started.elapsed()));
        }
    }

    /// Ends the step well.
    pub fn done(self) {
        let took = spoken(self.started.elapsed());
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        if self.shown != Progress::Silent {
            anstream::eprintln!("{}: done in {took}", self.what);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// A duration as people say it: `0.4 s`, `12 s`, `5 min 50 s`.
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_spoken() {
        assert_eq!(spoken(Duration::from_millis(420)), "0.4 s");
        assert_eq!(spoken(Duration::from_secs(12)), "12 s");
        assert_eq!(spoken(Duration::from_secs(350)), "5 min 50 s");
    }
}

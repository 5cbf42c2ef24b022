//! Whether a command stands in line for the lock.

use std::time::Duration;

use clap::Args;
use stackproof::sovereign::{PATIENCE, Wait};

/// Whether to stand in line, and for how long.
#[derive(Args)]
pub(crate) struct Line {
    /// Stand in line for the lock, for at most so long (10 minutes where none is said), such as 90s or 10m.
    #[arg(long, value_name = "TIME", num_args = 0..=1, value_parser = super::duration)]
    wait: Option<Option<Duration>>,
}

impl Line {
    /// The same for the lock.
    pub(crate) fn wait(&self) -> Wait {
        self.wait.map_or(Wait::No, |time| Wait::UpTo(time.unwrap_or(PATIENCE)))
    }
}

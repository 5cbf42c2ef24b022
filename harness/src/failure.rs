//! What every command of stackproof says when it cannot do what it was asked.

use std::fmt;

/// The exit code of the command. Names and numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Success = 0,
    /// The thing under test failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Someone else holds the stack's lock.
    Locked = 3,
    /// A tool or the environment is missing.
    Environment = 4,
    /// The user interrupted it.
    Interrupted = 130,
}

/// A failure a person can act on: what happened, what it means, what to run next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code the command ends with.
    pub exit: Exit,
    /// What happened, to what: one sentence.
    pub what: String,
    /// What it means or why it happened; empty where `what` says it all.
    pub meaning: String,
    /// The next command to run, or the next thing to do.
    pub next: String,
}

impl Failure {
    /// A failure with this exit code; add the rest with [`Self::because`] and [`Self::next`].
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), meaning: String::new(), next: String::new() }
    }

    /// A missing or broken tool (exit 4).
    pub fn environment(what: impl Into<String>) -> Self {
        Self::new(Exit::Environment, what)
    }

    /// A wrong command line or configuration (exit 2).
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Something under test that failed (exit 1).
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// Adds what it means.
    #[must_use]
    pub fn because(mut self, meaning: impl fmt::Display) -> Self {
        self.meaning = meaning.to_string();
        self
    }

    /// Adds the next command to run.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if !self.meaning.is_empty() {
            write!(f, "\n  {}", self.meaning.trim_end().replace('\n', "\n  "))?;
        }
        if !self.next.is_empty() {
            write!(f, "\n  next: {}", self.next)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

//! Serverless databases: a listener that knows who may log in, before a server that runs only while it is used.
//!
//! Whoever connects speaks TLS, then tells a name and a password as they are; someone else decides about them (see
//! [`Logins`]). Who is let in acts as a role of the server behind, which is reached over a socket that nobody else
//! enters and is started for the first connection (see [`Backend`]). Some time after the last one it is ended.

mod entry;
mod gate;
mod listener;
mod wire;

use std::time::Duration;

pub use gate::{Awake, Backend, State};
pub use listener::{Certificate, Listener};

/// What becomes of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It acts as this role of the server. Never one that may do what its user may not: the server asks no more.
    Admitted {
        /// The role's name.
        role: String,
    },
    /// Name and password do not go together, or nobody has that name; which of the two is not told.
    WrongPassword,
    /// It is known and may not use this database.
    Denied {
        /// What is told to who asked.
        told: String,
    },
    /// There is no such database.
    NoDatabase,
    /// It cannot be said now.
    Unavailable {
        /// Why; told to who asked.
        reason: String,
    },
}

/// Decides who may log in.
#[async_trait::async_trait]
pub trait Logins: Send + Sync + 'static {
    /// Decides about one login. The password is as it was sent: keep it out of logs.
    async fn check(&self, user: &str, password: &str, database: &str) -> Verdict;
}

/// How long a server is kept awake for nobody.
#[async_trait::async_trait]
pub trait Idle: Send + Sync + 'static {
    /// Resolves when that time is over, counted from now.
    async fn over(&self);
}

/// Time that passes by itself.
#[async_trait::async_trait]
impl Idle for Duration {
    async fn over(&self) {
        tokio::time::sleep(*self).await;
    }
}

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine refused a step.
    #[error("{step}: {source}")]
    Machine {
        /// What was tried.
        step: String,
        /// What the machine said.
        source: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
}

/// What opening a listener gives.
pub type Result<T> = std::result::Result<T, Error>;

//! Managed databases: PostgreSQL servers, one for each instance.
//!
//! Each instance has a keeper, a task that makes what is wanted so and looks after the server's process. It administers
//! over a socket in a folder that only the servers' user can enter; whoever connects over a network needs TLS, an
//! address the ACL lists, and a password. Nothing is synced to the disk: what a server was told survives its process,
//! however that ends, but not the machine's.

mod config;
mod door;
mod dump;
mod engine;
mod files;
mod keeper;
mod make;
mod measure;
mod open;
mod roles;
mod server;
mod settings;
mod spec;
mod sql;
mod standby;
mod sweep;
mod template;

pub use measure::Measure;
pub use open::Databases;
pub use spec::{
    Database, DatabaseInfo, Instance, LocalRole, Permission, Phase, Private, Privilege, Secret, Status, User,
};

/// Why something about databases could not be done.
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
    /// The server refused a step.
    #[error("{step}: {}", told(.source))]
    Server {
        /// What was tried.
        step: String,
        /// What the server said.
        source: Box<tokio_postgres::Error>,
    },
    /// What is wanted makes no sense, or cannot be had here.
    #[error("{0}")]
    Wrong(String),
    /// A program or a server ended with an error.
    #[error("{program}: {said}")]
    Failed {
        /// Which.
        program: String,
        /// Its last words.
        said: String,
    },
    /// An instance or a snapshot nobody told of.
    #[error("no {what} {id:?} here")]
    Unknown {
        /// Which kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// It has been stopped.
    #[error("the databases have been stopped")]
    Stopped,
}

/// The server's own words; the error itself says no more than that there are some.
fn told(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

impl Error {
    fn machine(step: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Machine { step: step.into(), source }
    }

    fn server(step: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Server { step: step.into(), source: Box::new(source) }
    }
}

/// What a step on databases gives.
pub type Result<T> = std::result::Result<T, Error>;

//! A Docker daemon runs the containers, where this machine has no network namespaces to be had: macOS, or Linux without
//! root.
//!
//! Private networks are Docker's own, internal ones, containers are Docker's, and requests go through ports published
//! on 127.0.0.1. Everything made carries labels with the mark of the cloud's folder: it is removed when the cloud stops,
//! and what an unclean end left when it starts anew. Other objects of the daemon are never touched.

mod archive;
mod container;
mod containers;
mod daemon;
mod networks;

pub use containers::Containers;
pub use daemon::{Daemon, FOLDER, MARK};
pub use networks::Networks;

/// Why something was not done by a Docker daemon.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None answers.
    #[error(
        "no Docker daemon answers ({0}). Start one, give this user the right to its socket, or name the socket in \
         DOCKER_HOST (unix://…)"
    )]
    NoDaemon(String),
    /// It refused a step, or broke off.
    #[error("{step}: Docker: {source}")]
    Said {
        /// What was tried.
        step: String,
        /// What it said.
        source: bollard::errors::Error,
    },
    /// A container that is being removed is still there.
    #[error(
        "container {container} is still there {within:?} after its removal was begun: docker rm --force {container}"
    )]
    Stays {
        /// Its name.
        container: String,
        /// How long it was waited.
        within: std::time::Duration,
    },
    /// A private network has a range that the daemon has given already.
    #[error(
        "private network {network} has range {range}, which overlaps with another network of the Docker daemon. Stop \
         the other cloud, remove that network (`docker network ls`), or give this one another range"
    )]
    Overlaps {
        /// The private network.
        network: String,
        /// Its range.
        range: String,
    },
}

impl Error {
    fn said(step: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        move |source| Self::Said { step: step.into(), source }
    }
}

/// Whether the daemon says that there is no such thing.
fn is_gone(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}

/// What a step gives.
pub type Result<T> = std::result::Result<T, Error>;

//! Containers: images unpacked, run as processes of their own namespaces, kept as many as are wanted.
//!
//! An image comes as a manifest and its blobs. A container is started through a helper process (see [`helper`]), which
//! has the container's mounts in a mount namespace of its own and ends with whoever started it: nothing is left of a
//! container but a folder and a control group, and those are swept when the runtime is opened anew.

mod container;
mod control;
mod engine;
mod health;
pub mod helper;
pub(crate) mod image;
mod init;
mod instance;
pub(crate) mod layer;
mod logs;
mod runtime;
mod service;
mod spec;
mod storage;
mod trust;

pub use container::Container;
pub use control::Usage;
pub use engine::Engine;
pub(crate) use engine::Inside;
pub use health::{Unhealthy, check, listening};
pub use helper::Helper;
pub use image::{Blobs, Folder, Image};
pub use instance::{Places, Unattached};
pub use logs::{Line, Logs, Stream};
pub use runtime::Runtime;
pub use service::{Connection, DialError, Request, Service};
pub use spec::{
    Check, ContainerSpec, Ended, Exit, Health, Limits, Refused, ScaleBy, ServiceSpec, ServiceState, ServiceStatus,
    ServiceUsage,
};

/// Why something about containers could not be done.
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
    /// The image is not one that can be run.
    #[error("image: {0}")]
    Image(String),
    /// The container did not come to run.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// Its network could not be made.
    #[error(transparent)]
    Network(#[from] crate::network::Error),
    /// The Docker daemon did not do it.
    #[error(transparent)]
    Docker(#[from] crate::docker::Error),
    /// No container starts any more.
    #[error("the containers have been stopped")]
    Closed,
    /// The machine cannot run containers.
    #[error("containers are not supported on this machine: {missing}. {next_step}")]
    NotSupported {
        /// What is missing.
        missing: String,
        /// What to do about that.
        next_step: String,
    },
}

impl Error {
    pub(crate) fn machine(step: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Machine { step: step.into(), source }
    }
}

/// What a step on containers gives.
pub type Result<T> = std::result::Result<T, Error>;

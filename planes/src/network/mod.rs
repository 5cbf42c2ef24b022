//! Private networks: what is attached reaches each other, what is not has no way in.
//!
//! Everything lives in network namespaces that only open files of this process (and the processes inside) keep: a
//! router for each VPC, with a bridge for each private network, and one namespace for each member. The network of the
//! machine is not touched: no interface, route, rule or mount of it. When the process ends, however it ends, so do the
//! namespaces.
//!
//! Where there are none to be had, private networks are those of a Docker daemon ([`crate::docker`]), or there are none
//! and everything reaches everything.

mod acl;
mod driver;
mod fabric;
mod forward;
mod links;
mod names;
mod namespace;
mod outside;
mod place;
mod router;
mod spec;
mod world;

pub use driver::{Choice, Driver, Isolation};
pub use fabric::{Fabric, Member};
pub use forward::Forward;
pub use names::{Resolver, View};
pub use namespace::Namespace;
pub use place::{Place, Probe, Reached};
pub use spec::{
    Acl, AclRule, Attachment, Door, MemberSpec, NetworkSpec, Ports, Protocol, Route, Subnet, Verdict, VpcSpec,
};

/// Why something about networks could not be done.
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
    /// The kernel refused a change of links, addresses, routes or rules.
    #[error("{step}: {source}")]
    Link {
        /// What was tried.
        step: String,
        /// What the kernel said.
        source: rtnetlink::Error,
    },
    /// What is wanted makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// A VPC, network or member nobody told of.
    #[error("no {what} {id:?} here")]
    Unknown {
        /// Which kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The Docker daemon did not do it.
    #[error(transparent)]
    Docker(#[from] crate::docker::Error),
    /// It is still used.
    #[error("{what} {id:?} is still used by {by:?}")]
    Used {
        /// Which kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
        /// Who uses it.
        by: String,
    },
}

impl Error {
    fn machine(step: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Machine { step: step.into(), source }
    }

    fn link(step: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> Self {
        move |source| Self::Link { step: step.into(), source }
    }
}

/// What a step on networks gives.
pub type Result<T> = std::result::Result<T, Error>;

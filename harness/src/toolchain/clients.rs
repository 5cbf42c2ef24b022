//! What the programs in `scenarios/clients/` run on: Scaleway's SDKs and its CLI.

use std::path::PathBuf;

use super::machine::Machine;
use super::{Found, Tool, javascript, python, scw};
use crate::{Failure, Progress};

/// The clients of Scaleway that the local cloud is tried with beside Pulumi.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The Python with Scaleway's SDK and boto3.
    pub python: Tool,
    /// The Node that Scaleway's JavaScript SDK runs on.
    pub node: Tool,
    /// The folder whose `node_modules` has that SDK.
    pub javascript: PathBuf,
    /// Scaleway's CLI.
    pub scw: Tool,
}

impl Clients {
    /// All of them: found, or installed now with progress.
    ///
    /// # Errors
    /// When one can neither be found nor be installed.
    pub fn ensure(progress: &Progress) -> Result<Self, Failure> {
        let machine = Machine::here()?;
        let found = scw::find(&machine)?;
        let python = python::clients(&machine).install(&machine, progress)?;
        let javascript::Packages { node, folder } = javascript::install(&machine, progress)?;
        let scw = found.or_install(|| scw::install(&machine, progress))?;
        Ok(Self { python, node, javascript: folder, scw })
    }
}

/// Which of them are there, and how to come by the others.
pub(super) fn look(machine: &Machine) -> [Found; 3] {
    [
        Found::from(python::clients(machine).find(machine)).named("clients-python"),
        Found::from(javascript::find(machine)).named("clients-node"),
        Found::from(scw::find(machine)).named("scw"),
    ]
}

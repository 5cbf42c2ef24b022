//! The names of the targets and what each can do beyond the public API.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Failure;

/// The environment variable that names the target of a scenario's process.
pub const TARGET_VARIABLE: &str = "STACKPROOF_TARGET";

/// Where a scenario runs. The scenario itself never asks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum TargetName {
    /// The local cloud, reached by `SCW_API_URL` and its own S3 listener.
    #[default]
    Local,
    /// The local cloud, reached only by Scaleway's real host names through the TLS gateway.
    Gateway,
    /// A local cloud known by environment variables alone, without its control API.
    Blind,
    /// The real Scaleway.
    Scaleway,
}

/// Something only a local cloud can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Making chosen API requests fail.
    Faults,
    /// Turning the cloud's clock.
    Clock,
    /// Forking or restoring a named state of the whole cloud.
    Snapshots,
    /// Reading the cloud's own request log and events.
    Inspection,
    /// Trying private networks from inside and outside, and killing what runs.
    Machines,
}

impl TargetName {
    /// The target named by the environment; the local one where nothing is named.
    pub fn from_environment() -> Result<Self, Failure> {
        match std::env::var(TARGET_VARIABLE) {
            Ok(name) => name.parse(),
            Err(_) => Ok(Self::default()),
        }
    }

    /// The reason why this target lacks the capability, or nothing where it has it.
    pub fn lacks(self, capability: Capability) -> Option<String> {
        match self {
            Self::Local | Self::Gateway => None,
            Self::Blind => Some(format!("a blind target has no control API and cannot {capability}")),
            Self::Scaleway => Some(format!("Scaleway itself cannot {capability} on request")),
        }
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Gateway => "gateway",
            Self::Blind => "blind",
            Self::Scaleway => "scaleway",
        })
    }
}

impl FromStr for TargetName {
    type Err = Failure;

    fn from_str(name: &str) -> Result<Self, Failure> {
        [Self::Local, Self::Gateway, Self::Blind, Self::Scaleway]
            .into_iter()
            .find(|target| target.to_string() == name)
            .ok_or_else(|| {
                Failure::usage(format!("there is no target {name:?}"))
                    .next(format!("set {TARGET_VARIABLE} to local, gateway, blind or scaleway"))
            })
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Faults => "inject faults",
            Self::Clock => "turn the clock",
            Self::Snapshots => "fork a snapshot",
            Self::Inspection => "show its request log",
            Self::Machines => "try private networks from inside and kill what runs",
        })
    }
}

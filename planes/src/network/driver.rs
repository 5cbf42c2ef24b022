//! How networks are made on this machine.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Error, Namespace, Result, links};

/// Which driver is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Namespaces where the machine has them, else Docker where a daemon answers, else loopback.
    #[default]
    Automatic,
    /// Namespaces.
    Native,
    /// Docker.
    Docker,
    /// Loopback.
    Loopback,
}

impl Choice {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Native => "native",
            Self::Docker => "docker",
            Self::Loopback => "loopback",
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(said: &str) -> std::result::Result<Self, String> {
        match said {
            "" | "automatic" => Ok(Self::Automatic),
            "native" => Ok(Self::Native),
            "docker" => Ok(Self::Docker),
            "loopback" => Ok(Self::Loopback),
            other => Err(format!("{other:?} is none of native, docker, loopback and automatic")),
        }
    }
}

/// How networks are made. Chosen by trying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// Linux network namespaces: what must not be reachable is not.
    Namespaces,
    /// A Docker daemon's networks: containers are kept apart.
    Docker {
        /// Which one.
        daemon: String,
    },
    /// Addresses of 127.0.0.0/8: everything reaches everything.
    Loopback {
        /// Why not better.
        missing: String,
    },
}

/// Whether isolation can be proven here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Whether what must not be reachable is not, and can be shown not to be by trying from anywhere.
    pub provable: bool,
    /// What is missing for it.
    pub missing: Option<String>,
    /// What to do about that.
    pub next_step: Option<String>,
    /// What is kept apart where not everything is.
    #[serde(default)]
    pub holds: Vec<String>,
    /// What is not.
    #[serde(default)]
    pub open: Vec<String>,
}

impl Driver {
    /// Asks the machine by making two namespaces and a cable between them.
    pub async fn detect() -> Self {
        match attempt().await {
            Ok(()) => Self::Namespaces,
            Err(error) => Self::Loopback { missing: error.to_string() },
        }
    }

    /// Its name, as it is chosen by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Namespaces => "native",
            Self::Docker { .. } => "docker",
            Self::Loopback { .. } => "loopback",
        }
    }

    /// Whether isolation can be proven with it.
    pub fn isolation(&self) -> Isolation {
        let list = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
        match self {
            Self::Namespaces => {
                Isolation { provable: true, missing: None, next_step: None, holds: Vec::new(), open: Vec::new() }
            }
            Self::Docker { daemon } => Isolation {
                provable: false,
                missing: Some(format!(
                    "{daemon} keeps containers apart, but not this machine from them, and nothing of stackproof's own \
                     can be started inside a network of it to try"
                )),
                next_step: Some(NATIVE.to_owned()),
                holds: list(&[
                    "a container reaches those of its own private networks only, none of another",
                    "what a container sends out of its networks gets no answer",
                ]),
                open: list(&[
                    "a container reaches ports of the daemon's machine that are open to everybody",
                    "this machine reaches containers and private databases where the daemon's networks are its own",
                    "a private database is reached by containers of other private networks of the same machine; it \
                     lets none of them in",
                ]),
            },
            Self::Loopback { missing } => Isolation {
                provable: false,
                missing: Some(missing.clone()),
                next_step: Some(NATIVE.to_owned()),
                holds: Vec::new(),
                open: list(&["everything reaches everything"]),
            },
        }
    }
}

const NATIVE: &str = "run on Linux as root (or with CAP_SYS_ADMIN and CAP_NET_ADMIN), or inside \
                      `unshare --user --map-root-user`, with a kernel that has bridge and veth";

async fn attempt() -> Result<()> {
    let (near, far) = (Namespace::create("a trial").await?, Namespace::create("a trial's end").await?);
    let bridge = links::bridge(&near, "trial", None).await?;
    let cable = links::Cable { bridge, port: "port", name: "eth0", address: None, isolated: true };
    links::plug(&near, &far, &cable).await.map(drop).map_err(|error| match error {
        Error::Link { step, source } => Error::Link { step: format!("{step} (veth)"), source },
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_one_of_those_there_are() {
        assert_eq!("docker".parse(), Ok(Choice::Docker));
        assert_eq!("".parse(), Ok(Choice::Automatic));
        let wrong = "podman".parse::<Choice>().unwrap_err();
        assert_eq!(wrong, "\"podman\" is none of native, docker, loopback and automatic");
    }

    #[test]
    fn only_namespaces_prove_everything() {
        assert!(Driver::Namespaces.isolation().provable);
        for driver in [Driver::Docker { daemon: "Docker 1".to_owned() }, Driver::Loopback { missing: "x".to_owned() }] {
            let told = driver.isolation();
            assert!(!told.provable && told.next_step.is_some() && !told.open.is_empty(), "{told:?}");
        }
    }
}

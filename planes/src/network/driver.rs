//! How networks are made on this machine.

use serde::{Deserialize, Serialize};

use super::{Error, Namespace, Result, links};

/// How networks are made. Chosen by trying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// Linux network namespaces: what must not be reachable is not.
    Namespaces,
    /// Addresses of 127.0.0.0/8: everything reaches everything.
    Loopback {
        /// Why not namespaces.
        missing: String,
    },
}

/// Whether isolation can be proven here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Whether what must not be reachable is not.
    pub provable: bool,
    /// What is missing for it.
    pub missing: Option<String>,
    /// What to do about that.
    pub next_step: Option<String>,
}

impl Driver {
    /// Asks the machine by making two namespaces and a cable between them.
    pub async fn detect() -> Self {
        match attempt().await {
            Ok(()) => Self::Namespaces,
            Err(error) => Self::Loopback { missing: error.to_string() },
        }
    }

    /// Whether isolation can be proven with it.
    pub fn isolation(&self) -> Isolation {
        match self {
            Self::Namespaces => Isolation { provable: true, missing: None, next_step: None },
            Self::Loopback { missing } => Isolation {
                provable: false,
                missing: Some(missing.clone()),
                next_step: Some(
                    "run on Linux as root (or with CAP_SYS_ADMIN and CAP_NET_ADMIN), or inside \
                     `unshare --user --map-root-user`, with a kernel that has bridge and veth"
                        .to_owned(),
                ),
            },
        }
    }
}

async fn attempt() -> Result<()> {
    let (near, far) = (Namespace::create("a trial").await?, Namespace::create("a trial's end").await?);
    let bridge = links::bridge(&near, "trial", None).await?;
    let cable = links::Cable { bridge, port: "port", name: "eth0", address: None, isolated: true };
    links::plug(&near, &far, &cable).await.map(drop).map_err(|error| match error {
        Error::Link { step, source } => Error::Link { step: format!("{step} (veth)"), source },
        other => other,
    })
}

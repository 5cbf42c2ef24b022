//! What is wanted of databases and what became of them, as plain values.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::network::Attachment;

/// One managed instance.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// Its id: letters, digits and `-`.
    pub id: String,
    /// Its certificate, as PEM.
    pub certificate: String,
    /// The private key of the certificate, as PEM.
    pub key: String,
    /// Settings of the server, by name.
    pub settings: BTreeMap<String, String>,
    /// Who may log in.
    pub users: Vec<User>,
    /// Its databases.
    pub databases: Vec<String>,
    /// What users may do.
    pub privileges: Vec<Privilege>,
    /// From where the public endpoint may be used.
    pub allowed: Vec<IpNet>,
    /// Its public endpoint: a port of this machine, 0 for any free one.
    pub public: Option<u16>,
    /// Its places in private networks.
    pub private: Vec<Attachment>,
    /// The port of its private endpoints.
    pub port: u16,
    /// How many connections it takes.
    pub max_connections: u32,
    /// Counts restarts that were asked for.
    pub restarts: u64,
    /// The folder of a snapshot it is made of.
    pub made_of: Option<PathBuf>,
}

impl fmt::Debug for InstanceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceSpec").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Who may log in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name.
    pub name: String,
    /// The SCRAM verifier of the password, as PostgreSQL keeps it: never the password itself.
    pub verifier: String,
    /// Whether it may make users and databases.
    pub admin: bool,
}

/// What a user may do in a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privilege {
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// What it may do there.
    pub permission: Permission,
}

/// What a user may do in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Read all tables.
    ReadOnly,
    /// Read and write all tables.
    ReadWrite,
    /// Anything, tables of its own included.
    All,
    /// What was granted by hand.
    Custom,
    /// Nothing.
    None,
}

/// Where an instance is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// On this machine.
    pub public: Option<SocketAddr>,
    /// In its networks.
    pub private: Vec<Attached>,
}

/// An address in a private network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The private network.
    pub network: String,
    /// Where it listens there.
    pub at: SocketAddr,
}

/// How an instance is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being made or started.
    Starting,
    /// It answers.
    Ready,
    /// Its server has died and is started again.
    Recovering {
        /// How it died.
        why: String,
    },
    /// It does not come to run.
    Error {
        /// Why.
        message: String,
    },
    /// It was stopped.
    Stopped,
}

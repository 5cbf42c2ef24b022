//! What is wanted of a database instance, and what became of it, as plain values.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// An instance: a PostgreSQL server of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id: letters, digits, `-` and `_`.
    pub id: String,
    /// The major version wanted. The nearest one this machine has is taken.
    pub version: u32,
    /// The certificates the server shows, its own first, in PEM.
    pub certificate: String,
    /// The private key of the first, in PEM.
    pub key: Secret,
    /// Settings by name.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Who can log in.
    #[serde(default)]
    pub users: Vec<User>,
    /// Databases.
    #[serde(default)]
    pub databases: Vec<Database>,
    /// Who may do what where.
    #[serde(default)]
    pub privileges: Vec<Privilege>,
    /// Whom others act as who reach the server's socket, and have been asked for a password before they do.
    #[serde(default)]
    pub local_roles: Vec<LocalRole>,
    /// From where connections are taken; from nowhere else. Those to the public endpoint come from 127.0.0.1.
    #[serde(default)]
    pub acl: Vec<IpNet>,
    /// An address of this machine to be reached at; port 0: any free one, which the status tells.
    #[serde(default)]
    pub public: Option<SocketAddr>,
    /// Where to be reached in the place it runs in.
    #[serde(default)]
    pub private: Option<Private>,
    /// How many connections at once, where the settings don't say.
    pub max_connections: u32,
    /// Whether a second server follows each commit, and takes over when the first dies.
    #[serde(default)]
    pub standby: bool,
    /// The instance this one follows, read-only. Taken away: it goes on by itself.
    #[serde(default)]
    pub replica_of: Option<String>,
    /// The snapshot it begins with, when it is new.
    #[serde(default)]
    pub snapshot: Option<String>,
}

/// Addresses and port in the place an instance runs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// The port, one for all.
    pub port: u16,
}

/// Who can log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its password, or the SCRAM verifier of it. The server is only told how to verify it.
    pub password: Secret,
    /// Whether it may make users and databases.
    pub admin: bool,
}

/// A role of those who reach the server's socket. The server asks them for nothing more, and no network lets it in.
///
/// It may log in to every database of the instance, and make nothing temporary there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalRole {
    /// Its name.
    pub name: String,
    /// The server's own roles that it is a member of, such as `pg_read_all_data`.
    pub member_of: Vec<String>,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The user that owns it.
    #[serde(default)]
    pub owner: Option<String>,
}

/// What a user may do in a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privilege {
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// What it may do.
    pub permission: Permission,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read.
    Readonly,
    /// Read, and change rows.
    Readwrite,
    /// That, and make tables.
    All,
    /// Nothing.
    None,
    /// Whatever was granted by hand: left alone.
    Custom,
}

/// What is not to be shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// How an instance is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// The version that runs.
    pub version: Option<String>,
    /// Where it is reached from this machine.
    pub public: Option<SocketAddr>,
    /// What was wanted and is not so, by what it is about: a setting's name, `version`.
    pub problems: BTreeMap<String, String>,
    /// Whether the standby has every commit.
    pub standby: bool,
    /// How often the server died and was started again.
    pub restarts: u32,
    /// How often the standby took over.
    pub failovers: u32,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            phase: Phase::Starting,
            version: None,
            public: None,
            problems: BTreeMap::new(),
            standby: false,
            restarts: 0,
            failovers: 0,
        }
    }
}

/// What an instance is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// It is being made or started.
    Starting,
    /// It takes connections.
    Ready,
    /// It is started again.
    Restarting,
    /// The first server died, and the standby is taking over.
    FailedOver,
    /// It does not run.
    Error {
        /// Why.
        message: String,
    },
    /// It was stopped.
    Stopped,
}

/// A database as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseInfo {
    /// Its name.
    pub name: String,
    /// Who owns it; none: nobody that can log in.
    pub owner: Option<String>,
    /// How much it takes on the disk.
    pub bytes: u64,
    /// Whether it was asked for through the plane, not with SQL.
    pub managed: bool,
}

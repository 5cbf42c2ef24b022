//! What is wanted of containers and what became of them, as plain values.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// One container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Its id: lower-case letters, digits and `-`.
    pub id: String,
    /// What is run instead of the image's entry point.
    #[serde(default)]
    pub command: Vec<String>,
    /// What is given to it instead of the image's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment, on top of the image's.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The ports it may be asked at.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
}

/// What a container may use; none: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub cpu: Option<u32>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Bytes of files of its own.
    #[serde(default)]
    pub storage: Option<u64>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// In which way.
    pub ended: Ended,
    /// How many of its processes were killed because memory had run out.
    pub out_of_memory: u64,
    /// How long it was on processors.
    #[serde(default)]
    pub cpu: Duration,
}

/// In which way a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// With the helper that watched over it.
    Lost(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ended {
            Ended::Signal(_) if self.out_of_memory > 0 => write!(f, "it was killed: out of memory"),
            Ended::Code(code) if self.out_of_memory > 0 => {
                write!(f, "it ended with code {code} after a process of it was killed: out of memory")
            }
            Ended::Code(code) => write!(f, "it ended with code {code}"),
            Ended::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "it was ended by signal {name}"),
                Err(_) => write!(f, "it was ended by signal {signal}"),
            },
            Ended::Lost(how) => write!(f, "it was lost: {how}"),
        }
    }
}

/// Why a container did not come to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// Its program is not in the image.
    #[error("exec not found: {program:?} is not in the image")]
    NotFound {
        /// The program.
        program: String,
    },
    /// Its program cannot be run.
    #[error("{program:?} cannot be run: {reason}")]
    NotRunnable {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
    /// It is to run as a user the image does not know.
    #[error("no user {user:?} in the image")]
    NoUser {
        /// The user.
        user: String,
    },
    /// The machine refused to set it up.
    #[error("{step}: {reason}")]
    SetUp {
        /// What was tried.
        step: String,
        /// What the machine said.
        reason: String,
    },
}

/// How one sees whether a container is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is tried.
    pub check: Check,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// After how many failures in a row it is not.
    pub failures: u32,
}

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Connecting to its port.
    Tcp,
    /// Asking this path; an answer below 400 is a good one.
    Http {
        /// The path.
        path: String,
    },
}

/// By what it is decided how many containers are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleBy {
    /// The requests under way, against how many one takes at a time.
    #[default]
    Requests,
    /// The use of processors, against this percentage of what each may use.
    Cpu(u32),
    /// The use of memory, against this percentage of what each may use.
    Memory(u32),
}

/// Containers of one kind, as many as are needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its id: lower-case letters, digits and `-`.
    pub id: String,
    /// What to run: the digest of a manifest the runtime has.
    pub image: String,
    /// What is run instead of the image's entry point.
    #[serde(default)]
    pub command: Vec<String>,
    /// What is given to it instead of the image's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment, on top of the image's. `PORT` is added.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The port it listens on.
    pub port: u16,
    /// How many there are at least.
    pub min: u32,
    /// How many there are at most.
    pub max: u32,
    /// How many requests one takes at a time.
    pub concurrency: u32,
    /// By what it is decided how many are needed.
    #[serde(default)]
    pub scale_by: ScaleBy,
    /// What each may use.
    #[serde(default)]
    pub limits: Limits,
    /// How one sees whether it is well.
    pub health: Option<Health>,
    /// How one sees whether it has started; none: as whether it is well.
    #[serde(default)]
    pub startup: Option<Health>,
    /// How long it may take to listen, and a request to wait for that. A startup check of its own says how long.
    pub start_within: Duration,
    /// After how long without a request the last one is stopped where none is to be kept.
    pub idle: Duration,
    /// After how long without a request one more than needed is stopped where others stay.
    pub spare: Duration,
    /// How long one that is stopped may take to end its requests, and itself.
    pub grace: Duration,
}

impl ServiceSpec {
    /// Whether what runs for one also does for the other.
    pub(super) fn runs_the_same(&self, other: &Self) -> bool {
        let probes = (&self.health, &self.startup) == (&other.health, &other.startup);
        probes
            && (&self.image, &self.command, &self.args, &self.env, self.port, &self.limits)
                == (&other.image, &other.command, &other.args, &other.env, other.port, &other.limits)
    }

    /// How long one may take until it takes requests.
    pub(super) fn patience(&self) -> Duration {
        self.startup.as_ref().map_or(self.start_within, Health::budget)
    }

    /// How many are kept. What is measured has to run: where its use decides, there is always one.
    pub(super) fn least(&self) -> u32 {
        if self.scale_by == ScaleBy::Requests { self.min } else { self.min.max(1) }
    }
}

impl Health {
    /// How long it takes until it is said to be not well.
    pub(super) fn budget(&self) -> Duration {
        self.interval.saturating_mul(self.failures.max(1))
    }
}

/// How a service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// In which state it is.
    pub state: ServiceState,
    /// Counts deployments: a status is about this one.
    pub deployment: u64,
    /// How many containers take requests.
    pub ready: u32,
    /// How many containers there are.
    pub running: u32,
    /// How many requests are under way.
    pub requests: u32,
}

/// What a service has used and done, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceUsage {
    /// How many containers were started.
    pub started: u64,
    /// How many ended, or were ended for not being well, without anybody having wanted that.
    pub lost: u64,
    /// How many containers there are.
    pub running: u32,
    /// How many of them take requests.
    pub ready: u32,
    /// How many requests they are at.
    pub requests: u32,
    /// How many requests wait for a container.
    pub waiting: u32,
    /// Bytes of memory, of all together, now.
    pub memory: u64,
    /// Time on processors, of all there were.
    pub cpu: Duration,
}

/// In which state a service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// The first container of this deployment is being started.
    Creating,
    /// It takes requests; where none runs, one is started for the first.
    Ready,
    /// Its containers do not come to run, or do not stay. It goes on trying.
    Error {
        /// What happened.
        message: String,
    },
    /// It is stopped.
    Stopped,
}

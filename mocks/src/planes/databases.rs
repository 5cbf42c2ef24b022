//! Managed PostgreSQL instances.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parking_lot::Mutex;
use stackproof_planes::{
    databases::{Databases, Phase, Status},
    network::{Fabric, MemberSpec},
};
use tokio::sync::watch;

use super::{Task, unit};
use crate::{
    kernel::{Cloud, Record, Tables},
    services::rdb_plane as plane,
};

/// How much of a log is told.
const MOST_LOG: u64 = 256 << 10;

pub(super) struct Plane {
    databases: Arc<Databases>,
    fabric: Arc<Fabric>,
    cloud: Weak<Cloud>,
    watched: Mutex<BTreeMap<String, Task>>,
}

impl Plane {
    pub(super) fn new(databases: Databases, fabric: Arc<Fabric>, cloud: Weak<Cloud>) -> Self {
        Self { databases: Arc::new(databases), fabric, cloud, watched: Mutex::default() }
    }

    pub(super) async fn stop(&self) {
        self.watched.lock().clear();
        self.databases.stop().await;
    }

    /// Kills the process that serves an instance, as a machine's failure would. Gives which it was.
    pub(super) fn kill(&self, key: &str) -> Result<u32, String> {
        let process = self.databases.process(key).map_err(|error| error.to_string())?;
        let process = process.ok_or_else(|| format!("no server runs for instance {key}"))?;
        let pid = i32::try_from(process).map_err(|error| error.to_string())?;
        kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| format!("process {pid}: {error}"))?;
        Ok(process)
    }

    /// What the server of an instance said last.
    pub(super) fn logs(&self, key: &str) -> Option<String> {
        self.databases.logs(key, MOST_LOG).ok()
    }

    /// Tells of a server's death and return, from now on.
    fn watch(&self, key: &str) {
        if self.watched.lock().contains_key(key) {
            return;
        }
        let Ok(state) = self.databases.watch(key) else { return };
        let task = tokio::spawn(tell(self.cloud.clone(), key.to_owned(), state));
        self.watched.lock().insert(key.to_owned(), Task::new(task));
    }
}

#[async_trait::async_trait]
impl unit::Plane for Plane {
    const KIND: &'static str = plane::KIND;
    type Wanted = plane::Wanted;

    fn wanted(&self, tables: &Tables, key: &str, record: &Record) -> Option<plane::Wanted> {
        plane::wanted(tables, key, record)
    }

    async fn apply(&self, key: &str, wanted: &plane::Wanted) -> Result<(), String> {
        let attachments = wanted.attachments.clone();
        let member = MemberSpec { id: key.to_owned(), attachments, doors: false };
        let member = self.fabric.set_server(member).await.map_err(|error| error.to_string())?;
        let mut server = wanted.server.clone();
        // Where it has no address in a private network, it is reached at the public endpoint only.
        server.private = server.private.and_then(|mut private| {
            private.addresses.retain(|address| member.addresses.contains(address));
            (!private.addresses.is_empty()).then_some(private)
        });
        let status = self.databases.apply(server, member.place.clone()).await.map_err(|error| error.to_string())?;
        for (what, problem) in &status.problems {
            tracing::warn!(key, what, problem, "a database is not in everything as it is wanted");
        }
        self.watch(key);
        let Some(cloud) = self.cloud.upgrade() else { return Ok(()) };
        let told = cloud.report(plane::KIND, key, |record| plane::opened(record, status.public).then_some("endpoint"));
        told.map_err(|refusal| refusal.to_string())
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        self.watched.lock().remove(key);
        self.databases.remove(key).await.map_err(|error| error.to_string())?;
        self.fabric.remove_member(key).await.map_err(|error| error.to_string())
    }

    fn failed(&self, record: &mut Record, _: &str) {
        plane::failed(record);
    }
}

async fn tell(cloud: Weak<Cloud>, key: String, mut state: watch::Receiver<Status>) {
    while state.changed().await.is_ok() {
        let lives = match &state.borrow_and_update().phase {
            Phase::Ready => true,
            Phase::Restarting | Phase::FailedOver | Phase::Error { .. } => false,
            Phase::Starting | Phase::Stopped => continue,
        };
        let Some(cloud) = cloud.upgrade() else { return };
        let told = cloud.report(plane::KIND, &key, |record| plane::lives(record, lives).then_some("state"));
        if let Err(refusal) = told {
            tracing::error!(%refusal, key, "what became of a database could not be written");
        }
    }
}

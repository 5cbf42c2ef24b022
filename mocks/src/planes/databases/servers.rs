//! The servers: of instances, and of read replicas.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
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

use super::{super::Task, cloud, metrics::Metrics, origin};
use crate::{
    kernel::{Cloud, Record, Tables},
    planes::unit::{self, Units},
    services::rdb_plane::{self as plane, Health},
};

/// How often it is measured how much an instance uses.
const MEASURED: Duration = Duration::from_secs(3);

/// What the servers of all instances and replicas share.
pub(super) struct Servers {
    pub(super) databases: Arc<Databases>,
    fabric: Arc<Fabric>,
    pub(super) cloud: Weak<Cloud>,
    pub(super) metrics: Arc<Metrics>,
    watched: Mutex<BTreeMap<String, Task>>,
    /// How often each was to begin anew, as far as that was done.
    rounds: Mutex<BTreeMap<String, u64>>,
}

impl Servers {
    pub(super) fn new(databases: Arc<Databases>, fabric: Arc<Fabric>, cloud: Weak<Cloud>) -> Self {
        Self { databases, fabric, cloud, metrics: Arc::default(), watched: Mutex::default(), rounds: Mutex::default() }
    }

    pub(super) async fn stop(&self) {
        self.watched.lock().clear();
        self.databases.stop().await;
    }

    pub(super) fn kill(&self, key: &str) -> Result<u32, String> {
        let process = self.databases.process(key).map_err(|error| error.to_string())?;
        let process = process.ok_or_else(|| format!("no server runs for instance {key}"))?;
        let pid = i32::try_from(process).map_err(|error| error.to_string())?;
        kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(|error| format!("process {pid}: {error}"))?;
        Ok(process)
    }

    /// Whether a server is to begin anew that has been running: not one that is only just brought about here.
    fn is_new_round(&self, key: &str, round: u64) -> bool {
        self.rounds.lock().insert(key.to_owned(), round).is_some_and(|done| done != round)
    }

    async fn bring_about(&self, kind: &'static str, key: &str, wanted: &plane::Wanted) -> Result<(), String> {
        let attachments = wanted.attachments.clone();
        let member = MemberSpec { id: key.to_owned(), attachments, doors: false };
        let member = self.fabric.set_server(member).await.map_err(|error| error.to_string())?;
        let mut server = wanted.server.clone();
        // Where it has no address in a private network, it is reached at the public endpoint only.
        server.private = server.private.and_then(|mut private| {
            private.addresses.retain(|address| member.addresses.contains(address));
            (!private.addresses.is_empty()).then_some(private)
        });
        let mut begins = server.clone();
        if let Some(origin) = &wanted.origin {
            origin::prepare(self, &mut begins, origin).await?;
        }
        let status = self.databases.apply(begins, member.place.clone()).await.map_err(|error| error.to_string())?;
        for (what, problem) in &status.problems {
            tracing::warn!(key, what, problem, "a database is not in everything as it is wanted");
        }
        if let Some(origin) = &wanted.origin {
            origin::complete(self, &server, member.place.clone(), origin).await?;
        }
        self.watch(kind, key);
        if kind == plane::KIND {
            measure(&self.databases, &self.metrics, &self.cloud, key).await;
        }
        let told = cloud(&self.cloud)?.report(kind, key, |record| {
            let begun = plane::begun(record);
            (plane::opened(record, status.public) || begun).then_some("endpoint")
        });
        told.map_err(|refusal| refusal.to_string())?;
        self.show(kind, key);
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        self.watched.lock().remove(key);
        self.rounds.lock().remove(key);
        self.metrics.forget(key);
        self.databases.remove(key).await.map_err(|error| error.to_string())?;
        self.leave_networks(key).await
    }

    /// Takes what is gone out of its networks.
    pub(super) async fn leave_networks(&self, key: &str) -> Result<(), String> {
        self.fabric.remove_member(key).await.map_err(|error| error.to_string())
    }

    /// Tells of a server's death and return, from now on.
    fn watch(&self, kind: &'static str, key: &str) {
        if self.watched.lock().contains_key(key) {
            return;
        }
        let Ok(state) = self.databases.watch(key) else { return };
        let (cloud, mine) = (self.cloud.clone(), key.to_owned());
        let (databases, metrics) = (Arc::clone(&self.databases), Arc::clone(&self.metrics));
        let task = tokio::spawn(async move {
            tokio::select! {
                () = tell(cloud.clone(), kind, mine.clone(), state) => {}
                () = keep_measuring(&databases, &metrics, &cloud, &mine), if kind == plane::KIND => {}
            }
        });
        self.watched.lock().insert(key.to_owned(), Task::new(task));
    }

    /// Lets an instance show how its replica is now.
    fn show(&self, kind: &str, key: &str) {
        if let Some(cloud) = self.cloud.upgrade().filter(|_| kind == plane::REPLICA) {
            show(&cloud, key);
        }
    }
}

fn show(cloud: &Cloud, key: &str) {
    let replica = cloud.store().read(|tables| tables.get(plane::REPLICA, key).cloned());
    let Some(replica) = replica else { return };
    let told = cloud
        .report(plane::KIND, replica.text("instance_id"), |record| plane::shows(record, &replica).then_some("replica"));
    if let Err(refusal) = told {
        tracing::error!(%refusal, key, "what became of a replica could not be written");
    }
}

/// Looks from time to time how much an instance uses: nobody tells.
async fn keep_measuring(databases: &Databases, metrics: &Metrics, cloud: &Weak<Cloud>, key: &str) {
    let mut again = tokio::time::interval(MEASURED);
    loop {
        again.tick().await;
        measure(databases, metrics, cloud, key).await;
    }
}

/// Keeps how much an instance uses, and tells whether its volume is full.
async fn measure(databases: &Databases, metrics: &Metrics, cloud: &Weak<Cloud>, key: &str) {
    let Ok(measure) = databases.measure(key).await else { return };
    let Some(cloud) = cloud.upgrade() else { return };
    let used = measure.bytes;
    if let Some(node) = cloud.store().read(|tables| tables.get(plane::KIND, key).map(|record| plane::node(record))) {
        metrics.add(key, cloud.store().clock().now(), measure, &node);
    }
    let told = cloud.report(plane::KIND, key, |record| {
        plane::fills(record, plane::is_full(used, plane::volume(record))).then_some("volume")
    });
    if let Err(refusal) = told {
        tracing::error!(%refusal, key, "how full a volume is could not be written");
    }
}

async fn tell(cloud: Weak<Cloud>, kind: &'static str, key: String, mut state: watch::Receiver<Status>) {
    loop {
        let health = match &state.borrow_and_update().phase {
            Phase::Ready => Some(Health::Lives),
            Phase::Restarting | Phase::FailedOver => Some(Health::Returns),
            Phase::Error { .. } => Some(Health::Broken),
            Phase::Starting | Phase::Stopped => None,
        };
        if let Some(health) = health {
            let Some(cloud) = cloud.upgrade() else { return };
            let told = cloud.report(kind, &key, |record| plane::tell(kind, record, health).then_some("state"));
            if let Err(refusal) = told {
                tracing::error!(%refusal, key, "what became of a database could not be written");
            }
            if kind == plane::REPLICA {
                show(&cloud, &key);
            }
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

/// The servers of instances.
pub(super) struct Instances(pub(super) Arc<Servers>);

#[async_trait::async_trait]
impl unit::Plane for Instances {
    const KIND: &'static str = plane::KIND;
    type Wanted = plane::Wanted;

    fn wanted(&self, tables: &Tables, key: &str, record: &Record) -> Option<plane::Wanted> {
        plane::wanted(tables, key, record)
    }

    async fn apply(&self, key: &str, wanted: &plane::Wanted) -> Result<(), String> {
        let anew = self.0.is_new_round(key, wanted.round);
        self.0.bring_about(plane::KIND, key, wanted).await?;
        if anew {
            self.0.databases.restart(key).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        self.0.remove(key).await
    }

    fn failed(&self, record: &mut Record, _: &str) {
        plane::failed(record);
    }
}

/// The servers of read replicas.
pub(super) struct Replicas {
    pub(super) servers: Arc<Servers>,
    pub(super) instances: Units<Instances>,
}

impl Replicas {
    /// Whether a replica's data is another instance's by now, or about to be.
    fn was_promoted(&self, key: &str) -> bool {
        let Some(cloud) = self.servers.cloud.upgrade() else { return false };
        cloud.store().read(|tables| {
            let mut instances = tables.all(plane::KIND);
            instances.any(|(_, record)| plane::origin(record) == Some(plane::Origin::Replica(key.to_owned())))
        })
    }
}

#[async_trait::async_trait]
impl unit::Plane for Replicas {
    const KIND: &'static str = plane::REPLICA;
    type Wanted = plane::Wanted;

    fn wanted(&self, tables: &Tables, key: &str, record: &Record) -> Option<plane::Wanted> {
        plane::replica(tables, key, record)
    }

    async fn apply(&self, key: &str, wanted: &plane::Wanted) -> Result<(), String> {
        if let Some(instance) = &wanted.server.replica_of {
            self.instances.reached(std::slice::from_ref(instance)).await;
        }
        if self.servers.is_new_round(key, wanted.round) {
            self.servers.watched.lock().remove(key);
            self.servers.databases.remove(key).await.map_err(|error| error.to_string())?;
        }
        self.servers.bring_about(plane::REPLICA, key, wanted).await
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        if self.was_promoted(key) {
            // Its data stays for the instance, which also ends the server.
            self.servers.watched.lock().remove(key);
            self.servers.rounds.lock().remove(key);
            return Ok(());
        }
        self.servers.remove(key).await
    }

    fn failed(&self, record: &mut Record, _: &str) {
        plane::failed(record);
    }
}

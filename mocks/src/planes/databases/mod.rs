//! Managed PostgreSQL: the servers of instances and of their read replicas, and what is copied from them.

mod copies;
mod metrics;
mod origin;
mod servers;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Weak},
};

use serde_json::{Value, json};
use stackproof_planes::{databases::Databases, network::Fabric};

use self::{
    copies::{Backups, Logs, Room, Snapshots},
    servers::{Instances, Replicas, Servers},
};
use super::unit::Units;
use crate::{
    kernel::{Blobs, Cloud, Store, Tables},
    services::{rdb_copies as told, rdb_plane as plane, sdb_plane},
};

/// How much of a log is told.
const MOST_LOG: u64 = 256 << 10;

/// All servers, and all that is copied from them.
pub(super) struct Rdb {
    servers: Arc<Servers>,
    instances: Units<Instances>,
    replicas: Units<Replicas>,
    backups: Units<Backups>,
    snapshots: Units<Snapshots>,
    logs: Units<Logs>,
    store: Arc<Store>,
}

impl Rdb {
    /// Takes the folder, and removes what is in it of resources that the cloud does not know: it was in memory, or was
    /// reset.
    pub(super) async fn open(
        databases: &Arc<Databases>,
        folder: &Path,
        cloud: &Arc<Cloud>,
        fabric: &Arc<Fabric>,
        blobs: Blobs,
    ) -> Result<Self, String> {
        if databases.versions().is_empty() {
            return Err("no PostgreSQL on this machine: install it, or name the folder of its programs in \
                        STACKPROOF_POSTGRES_BIN"
                .to_owned());
        }
        let store = Arc::clone(cloud.store());
        let files = folder.join("backups");
        std::fs::create_dir_all(&files).map_err(|error| format!("making {}: {error}", files.display()))?;
        forget_unknown(databases, &files, &store).await;
        let servers = Arc::new(Servers::new(Arc::clone(databases), Arc::clone(fabric), Arc::downgrade(cloud)));
        let instances = Units::new(Instances(Arc::clone(&servers)), cloud);
        let replicas = Units::new(Replicas { servers: Arc::clone(&servers), instances: instances.clone() }, cloud);
        let room = Arc::new(Room::new(Arc::clone(&servers), instances.clone(), files, blobs, Arc::downgrade(cloud)));
        Ok(Self {
            backups: Units::new(Backups(Arc::clone(&room)), cloud),
            snapshots: Units::new(Snapshots(Arc::clone(&room)), cloud),
            logs: Units::new(Logs(room), cloud),
            servers,
            instances,
            replicas,
            store,
        })
    }

    pub(super) fn update(&self) {
        self.instances.update();
        self.replicas.update();
        self.backups.update();
        self.snapshots.update();
        self.logs.update();
    }

    pub(super) fn runs(kind: &str) -> bool {
        [plane::KIND, plane::REPLICA, told::BACKUP, told::SNAPSHOT, told::LOG].contains(&kind)
    }

    pub(super) fn holds(&self, tables: &Tables, kind: &str, key: &str) -> bool {
        self.instances.holds(tables, kind, key)
            || self.replicas.holds(tables, kind, key)
            || self.backups.holds(tables, kind, key)
            || self.snapshots.holds(tables, kind, key)
            || self.logs.holds(tables, kind, key)
    }

    pub(super) async fn reached(&self, keys: &[String]) {
        self.instances.reached(keys).await;
        self.replicas.reached(keys).await;
        self.backups.reached(keys).await;
        self.snapshots.reached(keys).await;
        // Logs are asked for, and told, by their instance.
        let logs: Vec<String> = self.store.read(|tables| {
            let logs = tables.all(told::LOG);
            let mine = logs.filter(|(_, log)| keys.iter().any(|key| key == told::log_instance(log)));
            mine.map(|(key, _)| key.to_owned()).collect()
        });
        self.logs.reached(&logs).await;
    }

    /// What is to be known right now of the server of an instance.
    pub(super) fn told(&self, kind: &str, key: &str) -> Value {
        if kind != plane::KIND {
            return Value::Null;
        }
        let files = self.servers.databases.node_logs(key).unwrap_or_default().into_iter().flatten();
        let logs: Vec<Value> = files
            .filter_map(|file| {
                let (name, there) = (file.file_name()?.display().to_string(), file.metadata().ok()?);
                Some(json!({"log_name": name, "size": there.len()}))
            })
            .collect();
        json!({"logs": logs, "metrics": self.servers.metrics.told(key)})
    }

    /// Kills the server of an instance or a replica, as a machine's failure would. Gives which process it was.
    pub(super) fn kill(&self, key: &str) -> Result<u32, String> {
        self.servers.kill(key)
    }

    /// What the server of an instance or a replica said last.
    pub(super) fn logs(&self, key: &str) -> Option<String> {
        self.servers.databases.logs(key, MOST_LOG).ok()
    }

    pub(super) async fn stop(&self) {
        self.servers.stop().await;
    }
}

async fn forget_unknown(databases: &Databases, files: &Path, store: &Store) {
    let (servers, snapshots, backups) = store.read(|tables| {
        let keys = |kind: &str| tables.all(kind).map(|(key, _)| key.to_owned()).collect::<BTreeSet<String>>();
        let mut servers = keys(plane::KIND);
        servers.extend(keys(plane::REPLICA));
        // Serverless ones are in the same folder.
        servers.extend(keys(sdb_plane::KIND));
        // What was a replica, and is to be an instance.
        servers.extend(tables.all(plane::KIND).filter_map(|(_, record)| match plane::origin(record) {
            Some(plane::Origin::Replica(id)) => Some(id),
            _ => None,
        }));
        (servers, keys(told::SNAPSHOT), keys(told::BACKUP))
    });
    for id in databases.kept().into_iter().filter(|id| !servers.contains(id)) {
        if let Err(error) = databases.remove(&id).await {
            tracing::warn!(%error, id, "a database that nobody knows could not be removed");
        }
    }
    for id in databases.snapshots().into_keys().filter(|id| !snapshots.contains(id)) {
        if let Err(error) = databases.remove_snapshot(&id).await {
            tracing::warn!(%error, id, "a snapshot that nobody knows could not be removed");
        }
    }
    let there = std::fs::read_dir(files).into_iter().flatten().flatten().map(|entry| entry.path());
    for file in there {
        let known = file.extension().is_some_and(|extension| extension == copies::DUMP)
            && file.file_stem().and_then(|stem| stem.to_str()).is_some_and(|id| backups.contains(id));
        if !known && let Err(error) = std::fs::remove_file(&file) {
            tracing::warn!(%error, file = %file.display(), "a backup that nobody knows could not be removed");
        }
    }
}

/// The cloud, while it is there.
fn cloud(cloud: &Weak<Cloud>) -> Result<Arc<Cloud>, String> {
    cloud.upgrade().ok_or_else(|| "the cloud is being stopped".to_owned())
}

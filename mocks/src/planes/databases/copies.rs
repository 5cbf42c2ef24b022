//! What is copied from servers: backups, snapshots, and logs.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, Weak},
};

use tokio::sync::Semaphore;

use super::{
    cloud,
    servers::{Instances, Servers},
};
use crate::{
    kernel::{Blobs, Cloud, Record, Tables},
    object::Kept,
    planes::unit::{self, Units},
    services::{rdb_copies as told, rdb_download as download},
};

/// How the file of a backup ends.
pub(super) const DUMP: &str = "dump";
/// How many are made or restored at once: each takes a processor.
const AT_ONCE: usize = 2;

/// Where copies are made and kept.
pub(super) struct Room {
    servers: Arc<Servers>,
    instances: Units<Instances>,
    /// The folder of backups.
    files: PathBuf,
    blobs: Blobs,
    cloud: Weak<Cloud>,
    turns: Semaphore,
}

impl Room {
    pub(super) fn new(
        servers: Arc<Servers>,
        instances: Units<Instances>,
        files: PathBuf,
        blobs: Blobs,
        cloud: Weak<Cloud>,
    ) -> Self {
        Self { servers, instances, files, blobs, cloud, turns: Semaphore::new(AT_ONCE) }
    }

    fn file(&self, backup: &str) -> PathBuf {
        self.files.join(backup).with_extension(DUMP)
    }

    /// Waits until the server of an instance is as it is wanted, and takes connections.
    async fn ready(&self, instance: &str) -> Result<(), String> {
        self.instances.reached(&[instance.to_owned()]).await;
        self.servers.databases.ready(instance).await.map_err(|error| error.to_string())
    }

    fn report(
        &self,
        kind: &str,
        key: &str,
        what: &'static str,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), String> {
        let told = cloud(&self.cloud)?.report(kind, key, |record| {
            change(record);
            Some(what)
        });
        told.map_err(|refusal| refusal.to_string())
    }

    /// Takes files in among the blobs, one after the other as one.
    async fn take_in(&self, files: Vec<PathBuf>) -> Result<Kept, String> {
        let blobs = self.blobs.clone();
        let work = move || -> io::Result<Kept> {
            let mut all: Box<dyn Read> = Box::new(io::empty());
            for file in files {
                all = Box::new(all.chain(File::open(file)?));
            }
            Kept::take(&blobs, all)
        };
        let taken = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
        taken.map_err(|error| format!("taking in a file for download: {error}"))
    }

    /// Removes the download of what is gone.
    fn withdraw(&self, key: &str) -> Result<(), String> {
        let Some(cloud) = self.cloud.upgrade() else { return Ok(()) };
        let gone = cloud.store().write::<(), crate::kernel::Refusal>(|tx| {
            download::withdraw(tx, key);
            Ok(())
        });
        gone.map_err(|refusal| refusal.to_string())
    }
}

/// Backups of databases.
pub(super) struct Backups(pub(super) Arc<Room>);

impl Backups {
    async fn make(&self, key: &str, from: &told::Source) -> Result<(), String> {
        self.0.ready(&from.instance).await?;
        let _turn = self.0.turns.acquire().await.map_err(|error| error.to_string())?;
        let file = self.0.file(key);
        let databases = &self.0.servers.databases;
        databases.backup(&from.instance, &from.database, &file).await.map_err(|error| error.to_string())?;
        let bytes = file.metadata().map_err(|error| format!("looking at {}: {error}", file.display()))?.len();
        self.0.report(told::BACKUP, key, "made", |record| told::made(record, bytes))
    }

    async fn restore(&self, key: &str, into: &told::Source) -> Result<(), String> {
        self.0.ready(&into.instance).await?;
        {
            let _turn = self.0.turns.acquire().await.map_err(|error| error.to_string())?;
            let databases = &self.0.servers.databases;
            let done = databases.restore(&into.instance, &into.database, &self.0.file(key)).await;
            done.map_err(|error| error.to_string())?;
        }
        // Privileges on what was restored.
        self.0.instances.again(&into.instance);
        self.0.ready(&into.instance).await?;
        self.0.report(told::BACKUP, key, "restored", told::restored)
    }
}

#[async_trait::async_trait]
impl unit::Plane for Backups {
    const KIND: &'static str = told::BACKUP;
    type Wanted = told::Backup;

    fn wanted(&self, tables: &Tables, _: &str, record: &Record) -> Option<told::Backup> {
        told::backup(tables, record)
    }

    async fn apply(&self, key: &str, wanted: &told::Backup) -> Result<(), String> {
        if let Some(from) = &wanted.make {
            self.make(key, from).await?;
        }
        if let Some(into) = &wanted.restore {
            self.restore(key, into).await?;
        }
        if wanted.export {
            let file = self.0.take_in(vec![self.0.file(key)]).await?;
            self.0.report(told::BACKUP, key, "exported", |record| told::taken_in(record, &file))?;
        }
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        self.0.withdraw(key)?;
        match std::fs::remove_file(self.0.file(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    fn failed(&self, record: &mut Record, _: &str) {
        told::failed(told::BACKUP, record);
    }
}

/// Snapshots of instances.
pub(super) struct Snapshots(pub(super) Arc<Room>);

#[async_trait::async_trait]
impl unit::Plane for Snapshots {
    const KIND: &'static str = told::SNAPSHOT;
    type Wanted = told::Snapshot;

    fn wanted(&self, tables: &Tables, _: &str, record: &Record) -> Option<told::Snapshot> {
        told::snapshot(tables, record)
    }

    async fn apply(&self, key: &str, wanted: &told::Snapshot) -> Result<(), String> {
        let Some(instance) = &wanted.0 else { return Ok(()) };
        self.0.ready(instance).await?;
        let _turn = self.0.turns.acquire().await.map_err(|error| error.to_string())?;
        let databases = &self.0.servers.databases;
        databases.snapshot(instance, key).await.map_err(|error| error.to_string())?;
        let bytes = databases.snapshots().get(key).copied().unwrap_or_default();
        self.0.report(told::SNAPSHOT, key, "made", |record| told::made(record, bytes))
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        let databases = &self.0.servers.databases;
        if !databases.snapshots().contains_key(key) {
            return Ok(());
        }
        databases.remove_snapshot(key).await.map_err(|error| error.to_string())
    }

    fn failed(&self, record: &mut Record, _: &str) {
        told::failed(told::SNAPSHOT, record);
    }
}

/// Logs to download.
pub(super) struct Logs(pub(super) Arc<Room>);

#[async_trait::async_trait]
impl unit::Plane for Logs {
    const KIND: &'static str = told::LOG;
    type Wanted = told::Log;

    fn wanted(&self, tables: &Tables, _: &str, record: &Record) -> Option<told::Log> {
        told::log(tables, record)
    }

    async fn apply(&self, key: &str, wanted: &told::Log) -> Result<(), String> {
        let Some((instance, node)) = &wanted.0 else { return Ok(()) };
        // What a server that does not start says is wanted most.
        self.0.instances.reached(std::slice::from_ref(instance)).await;
        let files = self.0.servers.databases.node_logs(instance).map_err(|error| error.to_string())?;
        let files = files.into_iter().nth(*node).unwrap_or_default();
        let file = self.0.take_in(files).await?;
        self.0.report(told::LOG, key, "made", |record| told::taken_in(record, &file))
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        self.0.withdraw(key)
    }

    fn failed(&self, record: &mut Record, _: &str) {
        told::failed(told::LOG, record);
    }
}

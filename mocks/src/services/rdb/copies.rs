//! Backups, snapshots and logs: what is wanted of the server behind their instance, and what became of it.

use serde_json::{Value, json};

use super::{download, plane};
use crate::{
    kernel::{Record, Tables},
    object::Kept,
};

/// The kinds of records that are copies of something on a server.
pub(crate) const BACKUP: &str = "rdb.backup";
pub(crate) const SNAPSHOT: &str = "rdb.snapshot";
pub(crate) const LOG: &str = "rdb.log";

/// Where a backup or snapshot keeps how many bytes it takes, hidden: there is data in it.
const BYTES: &str = "bytes";
/// Where a backup keeps into which database it is to be restored, hidden.
const RESTORE: &str = "restore";

/// A database of an instance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    /// The instance.
    pub(crate) instance: String,
    /// The database's name.
    pub(crate) database: String,
}

/// What is wanted of a backup.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backup {
    /// To be made of this.
    pub(crate) make: Option<Source>,
    /// To be restored into this.
    pub(crate) restore: Option<Source>,
    /// To be taken in for download.
    pub(crate) export: bool,
}

/// What is wanted of a backup; none where it is on its way out, or no server is behind its instance.
pub(crate) fn backup(tables: &Tables, record: &Record) -> Option<Backup> {
    let instance = record.text("instance_id").to_owned();
    plane::has_server(tables.get(plane::KIND, &instance)?).then_some(())?;
    let status = record.text("status");
    (status != "deleting").then_some(())?;
    let restore = record.hidden.get(RESTORE).filter(|_| status == "restoring").map(|to| {
        let text = |field: &str| to.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Source { instance: text("instance_id"), database: text("database_name") }
    });
    let make = status == "creating" && bytes(record).is_none();
    Some(Backup {
        make: make.then(|| Source { instance, database: record.text("database_name").to_owned() }),
        restore,
        export: status == "exporting" && !download::is_kept(record),
    })
}

/// The instance that a snapshot is still to be made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot(pub(crate) Option<String>);

/// What is wanted of a snapshot; none where it is on its way out, or no server is behind its instance.
pub(crate) fn snapshot(tables: &Tables, record: &Record) -> Option<Snapshot> {
    let instance = record.text("instance_id").to_owned();
    plane::has_server(tables.get(plane::KIND, &instance)?).then_some(())?;
    let status = record.text("status");
    (status != "deleting").then_some(())?;
    let make = status == "creating" && bytes(record).is_none();
    Some(Snapshot(make.then_some(instance)))
}

/// The instance whose node's log is still to be taken in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Log(pub(crate) Option<(String, usize)>);

/// What is wanted of a log; none where no server is behind its instance.
pub(crate) fn log(tables: &Tables, record: &Record) -> Option<Log> {
    let instance = log_instance(record).to_owned();
    plane::has_server(tables.get(plane::KIND, &instance)?).then_some(())?;
    let node = record.text("node_name").rsplit('-').next()?.parse::<usize>().ok()?.checked_sub(1)?;
    let make = record.text("status") == "creating" && !download::is_kept(record);
    Some(Log(make.then_some((instance, node))))
}

/// Whose log it is.
pub(crate) fn log_instance(record: &Record) -> &str {
    record.hidden.get("instance_id").and_then(Value::as_str).unwrap_or_default()
}

/// How many bytes a backup or snapshot takes, once there is data in it.
pub(super) fn bytes(record: &Record) -> Option<u64> {
    record.hidden.get(BYTES)?.as_u64()
}

/// Writes that there is data now.
pub(crate) fn made(record: &mut Record, bytes: u64) {
    record.hidden.insert(BYTES.into(), json!(bytes));
}

/// Asks for a restoration.
pub(super) fn restore_into(record: &mut Record, instance: &str, database: &str) {
    record.hidden.insert(RESTORE.into(), json!({"instance_id": instance, "database_name": database}));
}

/// Writes that it is restored.
pub(crate) fn restored(record: &mut Record) {
    record.hidden.remove(RESTORE);
}

/// Writes that there is a file to download.
pub(crate) fn taken_in(record: &mut Record, file: &Kept) {
    download::keep(record, file);
}

/// Writes that something asked for did not come to be.
pub(crate) fn failed(kind: &str, record: &mut Record) {
    record.body.insert("status".into(), "error".into());
    restored(record);
    record.next = None;
    if kind == BACKUP {
        super::backup::await_next(record);
    } else if kind == SNAPSHOT {
        super::backup::expire(record);
    }
}

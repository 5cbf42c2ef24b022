//! Backup: a dump of a database, made every day and kept for seven.
//!
//! Scaleway makes them by itself, at the time of day the database was made, and nobody else can (documented). They are
//! made on the cloud's clock: `stackproof clock advance 1d` makes one. Each is a dump in PostgreSQL's custom format;
//! they go with their database.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{READ, WRITE, plane};
use crate::{
    kernel::{Act, Answer, Making, Passage, Record, Refusal, Resource, Transaction, computed, moment, rfc3339, states},
    object::{Kept, ServiceBucket},
};

/// The kind of backups.
pub(crate) const KIND: &str = "sdb.backup";

const ITEM: &str = "/serverless-sqldb/v1alpha1/regions/{region}/backups/{backup_id}";
const EXPORT: &str = "/serverless-sqldb/v1alpha1/regions/{region}/backups/{backup_id}/export";

/// How often one is made, and for how long it is kept (documented).
const PERIOD: Duration = Duration::DAY;
const KEPT: Duration = Duration::days(7);
/// For how long an exported one can be downloaded.
const DOWNLOAD: Duration = Duration::HOUR;

/// Where a database keeps when its next backup is due, hidden.
const NEXT: &str = "next_backup_at";
/// Where a backup keeps which file has its content, hidden.
const CONTENT: &str = "content";
/// What a backup is while it is made: Scaleway's API has no word for it, and tells of none.
const MAKING: &str = "unknown_status";

pub(super) fn backup() -> Resource {
    let nothing = |field| computed(field, |_| Ok(Value::Null));
    Resource::new(KIND)
        .at(ITEM)
        .under(plane::KIND)
        .untimed()
        .fields(
            ["database_id", "created_at", "expires_at", "size", "db_size", "download_url", "download_url_expires_at"]
                .map(nothing),
        )
        .states(states(MAKING, std::time::Duration::ZERO, "ready"))
        .without(&["POST", "PATCH", "DELETE"])
        .filters(&["database_id"])
        .order(&["created_at_desc"])
        .listed_if(|record, _| record.text("status") != MAKING)
        .permissions(READ, WRITE)
        .settled(|making| {
            let expires = moment(making.text("expires_at"));
            making.record.next = expires.map(|due| Passage { to: None, due });
            Ok(())
        })
        .act("POST", EXPORT, export)
}

/// The first backup is due a day after its database was made.
pub(super) fn plan_first(making: &mut Making<'_, '_>) {
    let first = making.tx.now() + PERIOD;
    making.record.hidden.insert(NEXT.into(), rfc3339(first).into());
}

/// Begins the backups of a database that are due, and waits for the next one. What would be over already is not made.
pub(super) fn make_due(making: &mut Making<'_, '_>) {
    let now = making.tx.now();
    let mut next = making.record.hidden.get(NEXT).and_then(Value::as_str).and_then(moment).unwrap_or(now + PERIOD);
    while next <= now {
        if next + KEPT > now {
            begin(making, next);
        }
        next += PERIOD;
    }
    making.record.hidden.insert(NEXT.into(), rfc3339(next).into());
    await_next(making.record);
}

/// The clock wakes a database when its next backup is due.
pub(super) fn await_next(record: &mut Record) {
    let due = record.hidden.get(NEXT).and_then(Value::as_str).and_then(moment);
    record.next = due.map(|due| Passage { to: Some("ready".into()), due });
}

/// Nothing is begun where nothing runs that could be backed up.
fn begin(making: &mut Making<'_, '_>, at: OffsetDateTime) {
    if !plane::runs(making.record) {
        return;
    }
    let id = making.tx.ids().uuid();
    let text = |field: &str| making.text(field).to_owned();
    let mut record = Record::of(&json!({
        "id": id, "status": MAKING, "organization_id": text("organization_id"), "project_id": text("project_id"),
        "database_id": making.key, "created_at": rfc3339(at), "expires_at": rfc3339(at + KEPT), "size": null,
        "db_size": null, "download_url": null, "download_url_expires_at": null, "region": text("region"),
    }));
    record.next = Some(Passage { to: Some("ready".into()), due: making.tx.now() });
    making.tx.put(KIND, &id, record);
    making.tx.event(KIND, &id, "created", Some(MAKING));
}

/// The database that a backup in the making is to be made of: its key.
pub(crate) fn wanted(record: &Record) -> Option<String> {
    kept(record).is_none().then(|| record.text("database_id").to_owned())
}

/// Writes down what a backup has become: its file, and how large its database was.
pub(crate) fn made(record: &mut Record, file: &Kept, bytes: u64) {
    record.hidden.insert(CONTENT.into(), json!(file));
    record.body.insert("size".into(), file.size.into());
    record.body.insert("db_size".into(), bytes.into());
}

/// Writes down that it could not be made.
pub(crate) fn failed(record: &mut Record) {
    record.body.insert("status".into(), "error".into());
    // It is forgotten like any other.
    record.next = moment(record.text("expires_at")).map(|due| Passage { to: None, due });
}

fn kept(record: &Record) -> Option<Kept> {
    serde_json::from_value(record.hidden.get(CONTENT)?.clone()).ok()
}

/// The content of a backup of this project. `route` is what asks for it.
pub(super) fn content(act: &Act<'_, '_>, id: &str, project: &str, route: &str) -> Result<Kept, Refusal> {
    let record = act.find_settled(KIND, id)?;
    if record.text("project_id") != project {
        return Err(Refusal::not_found("backup", id));
    }
    kept(&record).ok_or_else(|| Refusal::NotImplemented { route: format!("{route} for a backup without content") })
}

/// POST export: from now on the dump can be downloaded, by whoever knows the address.
fn export(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("backup_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled(KIND, &key)?);
    let file = content(act, &key, record.text("project_id"), &format!("POST {EXPORT}"))?;
    let url = publish(act.tx, record.text("region"), &key, &file);
    record.body.insert("download_url".into(), url.into());
    record.body.insert("download_url_expires_at".into(), rfc3339(act.tx.now() + DOWNLOAD).into());
    Ok(Answer::record(&act.change(KIND, &key, record, "exported")))
}

fn publish(tx: &mut Transaction<'_>, region: &str, backup: &str, file: &Kept) -> String {
    let name = format!("serverless-sqldb-backups-{region}");
    let bucket = ServiceBucket { service: "serverless-sqldb", name: &name, region };
    let object = format!("{backup}.pg_dump");
    bucket.put(tx, &object, file, &object);
    bucket.presign(tx, "GET", &object, &[])
}

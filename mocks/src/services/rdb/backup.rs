//! Backup: one database of an instance, on demand or by the schedule.
//!
//! Where a server runs behind the instance, a backup is a dump of the database in
//! PostgreSQL's custom format. Where none does, there is nothing in it: exporting
//! and restoring answer 501. Backups go with their instance.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{READ, WRITE, copies, database, download, plane, user};
use crate::kernel::{
    Act, Answer, Making, Passage, Reason, Record, Refusal, Resource, computed, moment, optional, required, rfc3339,
    states,
};

/// The size of a backup of an empty database, in bytes (recorded): told where no server runs.
const EMPTY_SIZE: u64 = 1_255;

const TAKES: Duration = Duration::from_secs(30);

const EXPORT: &str = "/rdb/v1/regions/{region}/backups/{database_backup_id}/export";
const RESTORE: &str = "/rdb/v1/regions/{region}/backups/{database_backup_id}/restore";

pub(super) fn backup() -> Resource {
    Resource::new("rdb.backup")
        .called("database_backup")
        .at("/rdb/v1/regions/{region}/backups/{database_backup_id}")
        .listed_as("database_backups")
        .under("rdb.instance")
        .of_parent()
        .fields([
            required("instance_id").refers_to("rdb.instance").fixed(),
            required("database_name").text(1..=63).fixed(),
            required("name").text(1..=255),
            optional("expires_at").time(),
            computed("region", |making| Ok(making.call.param("region").unwrap_or_default().into())),
            computed("instance_name", |making| Ok(of_instance(making, "name"))),
            computed("same_region", |making| Ok(of_instance(making, "backup_same_region"))),
            computed("size", |_| Ok(Value::Null)),
            computed("download_url", |_| Ok(Value::Null)),
            computed("download_url_expires_at", |_| Ok(Value::Null)),
        ])
        .states(
            states("creating", TAKES, "ready")
                .deleting("deleting", Duration::from_secs(10))
                .passing(&["exporting", "restoring"]),
        )
        .filters(&["name", "instance_id"])
        .order(&["created_at", "name", "status"])
        .permissions(READ, WRITE)
        .made(|making| {
            making.set("updated_at", Value::Null);
            let database = format!("{}/{}", making.text("instance_id"), making.text("database_name"));
            making.act("rdb.database", |act| act.find("rdb.database", &database).map(drop))
        })
        .settled(settle)
        .updated(|making| {
            await_next(making.record);
            Ok(())
        })
        .act("POST", EXPORT, export)
        .act("POST", RESTORE, restore)
}

/// What is there once it is made, restored or exported.
fn settle(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let now = making.tx.now();
    if making.record.body.get("updated_at").is_none_or(Value::is_null) {
        making.set("size", copies::bytes(making.record).unwrap_or(EMPTY_SIZE));
        making.set("updated_at", rfc3339(now));
    }
    let save_as = format!("{}.custom", making.text("database_name"));
    if let Some(url) = download::publish(making.tx, making.record, &save_as) {
        making.set("download_url", url);
        making.set("download_url_expires_at", rfc3339(now + download::LASTS));
    } else if moment(making.text("download_url_expires_at")).is_some_and(|over| over <= now) {
        download::withdraw(making.tx, making.key);
        making.set("download_url", Value::Null);
        making.set("download_url_expires_at", Value::Null);
    }
    await_next(making.record);
    Ok(())
}

/// The backup that the path names, with data in it.
fn with_data(act: &Act<'_, '_>, route: &str) -> Result<(String, Record), Refusal> {
    let key = act.call.param("database_backup_id").unwrap_or_default().to_owned();
    let record = Record::clone(&*act.find_settled("rdb.backup", &key)?);
    if copies::bytes(&record).is_some() {
        return Ok((key, record));
    }
    if !act.tx.runs(plane::KIND) {
        return Err(Refusal::NotImplemented { route: format!("POST {route} where no database runs") });
    }
    let help = format!("backup {key} holds no data: no server ran behind its instance, or it failed; make another one");
    Err(Refusal::Precondition { precondition: "resource_not_usable", help })
}

/// Recorded: what is done with a backup is no update of it.
fn pass_through(act: &mut Act<'_, '_>, key: &str, mut record: Record, through: &str) -> Answer {
    act.pass_through("rdb.backup", &mut record, through, TAKES);
    act.tx.put("rdb.backup", key, record.clone());
    act.tx.event("rdb.backup", key, "state", Some(through));
    Answer::record(&record)
}

/// POST export: the file is taken in, and can be downloaded for a while.
fn export(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, record) = with_data(act, EXPORT)?;
    Ok(pass_through(act, &key, record, "exporting"))
}

/// POST restore: into the database it was made of, or another one, which is made where it is missing.
fn restore(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, mut record) = with_data(act, RESTORE)?;
    let instance = act.call.text("instance_id").map(str::to_owned);
    let instance =
        instance.ok_or_else(|| Refusal::argument("instance_id", Reason::Required, "instance_id is required"))?;
    if !plane::has_server(&*act.find_settled("rdb.instance", &instance)?) {
        let help = "must be an instance of the same engine as the backup";
        return Err(Refusal::argument("instance_id", Reason::Constraint, help));
    }
    let name = act.call.text("database_name").unwrap_or(record.text("database_name")).to_owned();
    user::plain_name(&json!(name)).map_err(|help| Refusal::argument("database_name", Reason::Format, help))?;
    let database = format!("{instance}/{name}");
    if act.tx.get("rdb.database", &database).is_none() {
        act.tx.put("rdb.database", &database, database::new(&name));
        act.tx.event("rdb.database", &database, "created", None);
    }
    copies::restore_into(&mut record, &instance, &name);
    Ok(pass_through(act, &key, record, "restoring"))
}

fn of_instance(making: &Making<'_, '_>, field: &str) -> Value {
    let instance = making.tx.get("rdb.instance", making.text("instance_id"));
    instance.and_then(|instance| instance.body.get(field).cloned()).unwrap_or_default()
}

/// What the clock brings next: the end of the download, or of the backup.
pub(super) fn await_next(record: &mut Record) {
    expire(record);
    let over = moment(record.text("download_url_expires_at"));
    if let Some(due) = over.filter(|over| record.next.as_ref().is_none_or(|next| *over < next.due))
        && record.text("status") == "ready"
    {
        record.next = Some(Passage { to: Some("ready".into()), due });
    }
}

/// A backup or snapshot is gone when its time is over.
pub(super) fn expire(record: &mut Record) {
    let due = moment(record.text("expires_at"));
    record.next = due.map(|due| Passage { to: None, due });
}

/// Makes a backup of each database of an instance, as the schedule does.
pub(super) fn make_automated(making: &mut Making<'_, '_>, at: OffsetDateTime, expires: OffsetDateTime) {
    let instance = making.key.to_owned();
    let prefix = format!("{instance}/");
    let databases: Vec<String> = making
        .tx
        .tables()
        .under("rdb.database", &prefix, None)
        .map(|(_, database)| database.text("name").to_owned())
        .collect();
    for database in databases {
        let (id, at_text) = (making.tx.ids().uuid(), rfc3339(at));
        let mut record = Record::of(&json!({
            "id": id, "instance_id": instance, "instance_name": making.text("name"), "database_name": database,
            "name": format!("autobackup-{database}-{}", at_text.get(..16).unwrap_or_default()),
            "created_at": at_text, "updated_at": null, "expires_at": rfc3339(expires), "region": making.text("region"),
            "same_region": making.record.body.get("backup_same_region"), "size": null, "status": "creating",
            "download_url": null, "download_url_expires_at": null,
        }));
        record.next = Some(Passage { to: Some("ready".into()), due: at + making.tx.lasts(TAKES) });
        making.tx.put("rdb.backup", &id, record);
        making.tx.event("rdb.backup", &id, "created", Some("creating"));
    }
}

/// The databases, users and privileges of an instance, as a snapshot keeps them: with what users log in by.
pub(super) fn contents(act: &Act<'_, '_>, instance: &str) -> Value {
    let prefix = format!("{instance}/");
    let of = |kind: &str| -> serde_json::Map<String, Value> {
        let records = act.tx.tables().under(kind, &prefix, None);
        records.map(|(key, record)| (key.strip_prefix(&prefix).unwrap_or(key).to_owned(), json!(**record))).collect()
    };
    json!({"rdb.database": of("rdb.database"), "rdb.user": of("rdb.user"), "rdb.privilege": of("rdb.privilege")})
}

/// Puts what [`contents`] gave into another instance.
pub(super) fn fill(act: &mut Act<'_, '_>, instance: &str, contents: &Value) -> Result<(), Refusal> {
    for (kind, records) in contents.as_object().into_iter().flatten() {
        for (name, record) in records.as_object().into_iter().flatten() {
            let record = Record::deserialize(record)
                .map_err(|error| Refusal::Internal(format!("{kind} {name} of another instance: {error}")))?;
            act.tx.put(kind, &format!("{instance}/{name}"), record);
        }
    }
    Ok(())
}

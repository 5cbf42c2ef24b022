//! Backup: one database of an instance, on demand or by the schedule.
//!
//! Backups say when they were made and how large they are, but nothing runs
//! behind an instance yet, so there is nothing in them: exporting and restoring
//! answer 501. They go with their instance.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{READ, WRITE};
use crate::kernel::{
    Act, Making, Passage, Record, Refusal, Resource, computed, moment, optional, required, rfc3339, states,
};

/// The size of a backup of an empty database, in bytes (recorded).
const EMPTY_SIZE: u64 = 1_255;

const TAKES: Duration = Duration::from_secs(30);

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
        .states(states("creating", TAKES, "ready").deleting("deleting", Duration::from_secs(10)))
        .filters(&["name", "instance_id"])
        .order(&["created_at", "name", "status"])
        .permissions(READ, WRITE)
        .made(|making| {
            making.set("updated_at", Value::Null);
            let database = format!("{}/{}", making.text("instance_id"), making.text("database_name"));
            making.act("rdb.database", |act| act.find("rdb.database", &database).map(drop))
        })
        .settled(|making| {
            making.set("size", EMPTY_SIZE);
            making.set("updated_at", rfc3339(making.tx.now()));
            expire(making.record);
            Ok(())
        })
        .updated(|making| {
            expire(making.record);
            Ok(())
        })
}

fn of_instance(making: &Making<'_, '_>, field: &str) -> Value {
    let instance = making.tx.get("rdb.instance", making.text("instance_id"));
    instance.and_then(|instance| instance.body.get(field).cloned()).unwrap_or_default()
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

/// The databases, users and privileges of an instance, as a snapshot keeps them.
pub(super) fn contents(act: &Act<'_, '_>, instance: &str) -> Value {
    let prefix = format!("{instance}/");
    let of = |kind: &str| -> serde_json::Map<String, Value> {
        let records = act.tx.tables().under(kind, &prefix, None);
        records
            .map(|(key, record)| {
                (key.strip_prefix(&prefix).unwrap_or(key).to_owned(), Value::Object(record.body.clone()))
            })
            .collect()
    };
    json!({"rdb.database": of("rdb.database"), "rdb.user": of("rdb.user"), "rdb.privilege": of("rdb.privilege")})
}

/// Puts what [`contents`] gave into another instance.
pub(super) fn fill(act: &mut Act<'_, '_>, instance: &str, contents: &Value) -> Result<(), Refusal> {
    for (kind, records) in contents.as_object().into_iter().flatten() {
        for (name, body) in records.as_object().into_iter().flatten() {
            act.tx.put(kind, &format!("{instance}/{name}"), Record::of(body));
        }
    }
    Ok(())
}

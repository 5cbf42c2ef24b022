//! Database.
//!
//! One that is not there is refused with `permissions_denied`, a deleted one too (recorded; the provider takes 403,
//! and only that, for the end of a deletion).

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    READ, WRITE, backup,
    plane::{self, KIND},
};
use crate::kernel::{
    Act, Answer, Making, Passage, Reason, Record, Refusal, Resource, computed, optional, required, states,
};

const ITEM: &str = "/serverless-sqldb/v1alpha1/regions/{region}/databases/{database_id}";
const RESTORE: &str = "/serverless-sqldb/v1alpha1/regions/{region}/databases/{database_id}/restore";

/// How long it takes to make one and to take one away (recorded: 11 to 15 s, and less than 5 s).
const CREATION: Duration = Duration::from_secs(12);
const DELETION: Duration = Duration::from_secs(3);
/// How long it takes to restore a small one.
const RESTORATION: Duration = Duration::from_secs(30);

/// The most processors of a database (documented).
const MOST_CPU: i64 = 15;

pub(super) fn database() -> Resource {
    Resource::new(KIND)
        .at(ITEM)
        .denied_when_absent()
        .fields([
            required("name").text(1..=63).check(database_name).fixed(),
            optional("cpu_min").integer(0..=MOST_CPU),
            optional("cpu_max").integer(1..=MOST_CPU).default(MOST_CPU),
            optional("from_backup_id").uuid().input_only().fixed(),
            computed("cpu_current", |_| Ok(json!(0))),
            computed("started", |_| Ok(json!(false))),
            computed("engine_major_version", |_| Ok(json!(plane::VERSION))),
            computed("endpoint", endpoint),
        ])
        .states(states("creating", CREATION, "ready").deleting("deleting", DELETION).passing(&["restoring"]))
        .filters(&["name"])
        .order(&["created_at", "name"])
        .permissions(READ, WRITE)
        .made(|making| {
            let (name, project, region) = (making.text("name"), making.text("project_id"), making.text("region"));
            let same = |other: &Record| {
                (other.text("name"), other.text("project_id"), other.text("region")) == (name, project, region)
            };
            if making.tx.tables().all(KIND).any(|(_, other)| same(other)) {
                return Err(Refusal::argument("name", Reason::Constraint, format!("{name} already exists")));
            }
            processors(making)?;
            backup::plan_first(making);
            begin_with(making)
        })
        .updated(processors)
        .settled(|making| {
            backup::make_due(making);
            Ok(())
        })
        .act("DELETE", ITEM, delete)
        .act("POST", RESTORE, restore)
}

fn database_name(value: &Value) -> Result<(), String> {
    let name = value.as_str().unwrap_or_default();
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(inside) {
        Ok(())
    } else {
        Err("must consist of letters, digits, '-' and '_', and start with a letter or digit".into())
    }
}

/// `postgres://<id>.pg.sdb.<region>.scw.cloud:5432/<name>?sslmode=require` (recorded).
fn endpoint(making: &mut Making<'_, '_>) -> Result<Value, Refusal> {
    let (host, name) = (plane::host(making.key, making.text("region")), making.text("name"));
    Ok(format!("postgres://{host}:{}/{name}?sslmode=require", plane::PORT).into())
}

fn processors(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let number = |field: &str| making.record.body.get(field).and_then(Value::as_i64).unwrap_or_default();
    if number("cpu_min") <= number("cpu_max") {
        return Ok(());
    }
    let help = format!("must not be greater than cpu_max, {}", number("cpu_max"));
    Err(Refusal::argument("cpu_min", Reason::Constraint, help))
}

/// A new database may begin with the content of a backup.
fn begin_with(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let backup = making.input.get("from_backup_id").and_then(Value::as_str).filter(|id| !id.is_empty());
    let Some(backup) = backup.map(str::to_owned) else { return Ok(()) };
    let route = "POST /serverless-sqldb/v1alpha1/regions/{region}/databases with from_backup_id";
    let project = making.text("project_id").to_owned();
    let content = making.act(backup::KIND, |act| backup::content(act, &backup, &project, route))?;
    plane::restore_from(making.record, content);
    Ok(())
}

/// POST restore: the content that a backup has takes the place of what is there.
fn restore(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("database_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled(KIND, &key)?);
    let call = act.call;
    let backup = call.text("backup_id");
    let backup = backup.ok_or_else(|| Refusal::argument("backup_id", Reason::Required, "backup_id is required"))?;
    let content = backup::content(act, backup, record.text("project_id"), &format!("POST {RESTORE}"))?;
    plane::restore_from(&mut record, content);
    act.pass_through(KIND, &mut record, "restoring", RESTORATION);
    Ok(Answer::record(&act.change(KIND, &key, record, "state")))
}

/// DELETE answers what there was, its state untouched (recorded: `ready`), and then it is on its way out.
fn delete(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("database_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled(KIND, &key)?);
    let answer = Answer::record(&record);
    record.body.insert("status".into(), "deleting".into());
    record.next = Some(Passage { to: None, due: act.tx.now() + act.tx.lasts(DELETION) });
    act.change(KIND, &key, record, "state");
    Ok(answer)
}

//! Serverless SQL Databases. API reference: Serverless SQL Databases API v1alpha1.
//!
//! A database that is not there is refused with `permissions_denied`, a deleted one too (recorded; the
//! provider takes 403, and only that, for the end of a deletion). Nothing runs behind an endpoint yet: it is
//! well-formed and nobody answers there. Not emulated: backups, which need the data.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kernel::{
    Act, Answer, Making, Passage, Product, Reason, Record, Refusal, Resource, computed, optional, required, states,
};

const DATABASE: &str = "sdb.database";
const ITEM: &str = "/serverless-sqldb/v1alpha1/regions/{region}/databases/{database_id}";

/// How long it takes to make one and to take one away (recorded: 11 to 15 s, and less than 5 s).
const CREATION: Duration = Duration::from_secs(12);
const DELETION: Duration = Duration::from_secs(3);

/// The most processors of a database (documented).
const MOST_CPU: i64 = 15;

pub(super) fn product() -> Product {
    Product { name: "sdb", title: "Serverless SQL Databases", resources: vec![database()] }
}

fn database() -> Resource {
    Resource::new(DATABASE)
        .at(ITEM)
        .denied_when_absent()
        .fields([
            required("name").text(1..=63).check(database_name).fixed(),
            optional("cpu_min").integer(0..=MOST_CPU),
            optional("cpu_max").integer(1..=MOST_CPU).default(MOST_CPU),
            optional("from_backup_id").uuid().input_only().check(no_backups).fixed(),
            computed("cpu_current", |_| Ok(json!(0))),
            computed("started", |_| Ok(json!(false))),
            computed("engine_major_version", |_| Ok(json!(16))),
            computed("endpoint", endpoint),
        ])
        .states(states("creating", CREATION, "ready").deleting("deleting", DELETION).passing(&["restoring"]))
        .filters(&["name"])
        .order(&["created_at", "name"])
        .permissions(
            &["ServerlessSQLDatabaseReadOnly", "ServerlessSQLDatabaseReadWrite"],
            &["ServerlessSQLDatabaseFullAccess"],
        )
        .made(|making| {
            let (name, project, region) = (making.text("name"), making.text("project_id"), making.text("region"));
            let same = |other: &Record| {
                (other.text("name"), other.text("project_id"), other.text("region")) == (name, project, region)
            };
            if making.tx.tables().all(DATABASE).any(|(_, other)| same(other)) {
                return Err(Refusal::argument("name", Reason::Constraint, format!("{name} already exists")));
            }
            processors(making)
        })
        .updated(processors)
        .act("DELETE", ITEM, delete)
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

fn no_backups(value: &Value) -> Result<(), String> {
    match value.as_str() {
        None | Some("") => Ok(()),
        Some(_) => Err("the local cloud keeps no backups of serverless databases".into()),
    }
}

/// `postgres://<id>.pg.sdb.<region>.scw.cloud:5432/<name>?sslmode=require` (recorded).
fn endpoint(making: &mut Making<'_, '_>) -> Result<Value, Refusal> {
    let (id, region, name) = (making.key, making.text("region"), making.text("name"));
    Ok(format!("postgres://{id}.pg.sdb.{region}.scw.cloud:5432/{name}?sslmode=require").into())
}

fn processors(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let number = |field: &str| making.record.body.get(field).and_then(Value::as_i64).unwrap_or_default();
    if number("cpu_min") <= number("cpu_max") {
        return Ok(());
    }
    let help = format!("must not be greater than cpu_max, {}", number("cpu_max"));
    Err(Refusal::argument("cpu_min", Reason::Constraint, help))
}

/// DELETE answers what there was, its state untouched (recorded: `ready`), and then it is on its way out.
fn delete(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("database_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled(DATABASE, &key)?);
    let answer = Answer::record(&record);
    record.body.insert("status".into(), "deleting".into());
    record.next = Some(Passage { to: None, due: act.tx.now() + act.tx.lasts(DELETION) });
    act.change(DATABASE, &key, record, "state");
    Ok(answer)
}

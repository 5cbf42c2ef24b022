//! Secret version: one value of a secret, numbered from 1.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{RETENTION, ephemeral, refuse_deleted, value};
use crate::kernel::{
    Act, Answer, Call, Look, Making, Passage, Reason, Record, Refusal, Resource, Tables, computed, moment, optional,
    required, rfc3339, states,
};

const ITEM: &str = "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/versions/{revision}";
const ACCESS: &str = "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/versions/{revision}/access";

const ENABLE: &str = "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/versions/{revision}/enable";
const DISABLE: &str = "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/versions/{revision}/disable";
const RESTORE: &str = "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/versions/{revision}/restore";
const ACCESS_BY_PATH: &str = "/secret-manager/v1beta1/regions/{region}/secrets-by-path/versions/{revision}/access";

/// The largest value of a version, in bytes (documented).
const MOST: usize = 65_536;

pub(super) fn version() -> Resource {
    Resource::new("secret.version")
        .at(ITEM)
        .under("secret.secret")
        .named_by("revision")
        .timed()
        .fields([
            required("data").text(0..=MOST * 2).input_only().fixed(),
            optional("description").text(0..=255),
            optional("data_crc32").integer(0..=i64::from(u32::MAX)).default(Value::Null).input_only().fixed(),
            optional("disable_previous").flag().input_only(),
            computed("revision", next_revision),
            computed("secret_id", |making| Ok(making.call.param("secret_id").unwrap_or_default().into())),
            computed("region", |making| Ok(making.call.param("region").unwrap_or_default().into())),
            computed("deleted_at", |_| Ok(Value::Null)),
            computed("latest", |_| Ok(json!(true))),
            // Only updates carry these; what a version begins with follows from the secret's policy.
            optional("ephemeral_properties").object(ephemeral::properties()),
            computed("deletion_requested_at", |_| Ok(Value::Null)),
        ])
        .states(states("enabled", Duration::ZERO, "enabled"))
        .listed_if(|version, call| call.asks_for("status", version.text("status")))
        // Recorded: the newest first.
        .order(&["revision_desc", "revision", "created_at"])
        .permissions(super::READ, super::FULL)
        .allowing(&["access"], super::ACCESS)
        .found_by(|tables, call| by_path(tables, call).map(|key| ("secret.secret", key)))
        .allowing(&["POST"], super::CREATE)
        .allowing(&["PATCH", "enable", "disable"], super::WRITE)
        .allowing(&["DELETE"], super::DELETE)
        .allowing(&["restore"], super::RESTORE)
        .made(take_over)
        .look(ITEM, |look| Ok(Value::Object(find(look)?.body.clone())))
        .updated(ephemeral::reschedule)
        .settled(|making| if is_scheduled(making.record) { end(making) } else { ephemeral::expire(making) })
        .act("GET", ACCESS, access)
        .act("GET", ACCESS_BY_PATH, access_by_path)
        .act("DELETE", ITEM, delete)
        .act("POST", ENABLE, |act| switch(act, "enabled"))
        .act("POST", DISABLE, |act| switch(act, "disabled"))
        .act("POST", RESTORE, restore)
}

fn next_revision(making: &mut Making<'_, '_>) -> Result<Value, Refusal> {
    let secret = making.call.param("secret_id").unwrap_or_default().to_owned();
    let prefix = format!("{secret}/");
    let last =
        making.tx.tables().under("secret.version", &prefix, None).filter_map(|(_, version)| revision(version)).max();
    Ok(json!(last.unwrap_or(0) + 1))
}

fn revision(version: &Record) -> Option<u64> {
    version.body.get("revision").and_then(Value::as_u64)
}

/// The new version is the latest one; the secret counts it.
fn take_over(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let data = STANDARD.decode(making.text("data"));
    let data = data.map_err(|_| Refusal::argument("data", Reason::Format, "must be base64"))?;
    if data.len() > MOST {
        return Err(Refusal::argument("data", Reason::Constraint, format!("must have at most {MOST} bytes")));
    }
    if let Some(expected) = making.input.get("data_crc32").and_then(Value::as_u64)
        && expected != u64::from(crc32fast::hash(&data))
    {
        return Err(Refusal::argument("data_crc32", Reason::Constraint, "does not match data"));
    }
    ephemeral::begin(making);
    let secret = making.text("secret_id").to_owned();
    let owner = making.tx.get("secret.secret", &secret).cloned();
    let owner = owner.ok_or_else(|| Refusal::not_found("secret", &secret))?;
    refuse_deleted(&owner)?;
    check_form(owner.text("type"), &data)?;
    value::seal(making.tx, &owner, making.record, &data)?;
    let disable = making.input.get("disable_previous") == Some(&json!(true));
    making.act("secret.version", |act| {
        let mut record = Record::clone(&*act.find("secret.secret", &secret)?);
        let prefix = format!("{secret}/");
        let versions: Vec<(String, Record)> = act
            .tx
            .tables()
            .under("secret.version", &prefix, None)
            .map(|(key, version)| (key.to_owned(), Record::clone(version)))
            .collect();
        record.body.insert("version_count".into(), json!(versions.len() + 1));
        act.change("secret.secret", &secret, record, "updated");
        for (key, mut version) in versions {
            if version.body.insert("latest".into(), json!(false)) != Some(json!(true)) {
                continue;
            }
            if disable {
                version.body.insert("status".into(), json!("disabled"));
            }
            act.tx.put("secret.version", &key, version);
        }
        Ok(())
    })
}

/// What a secret's type demands of its values. Recorded for `key_value`: a flat object of texts.
fn check_form(kind: &str, data: &[u8]) -> Result<(), Refusal> {
    let fields: &[&str] = match kind {
        "key_value" => &[],
        "basic_credentials" => &["username", "password"],
        _ => return Ok(()),
    };
    let fault = |help: String| Err(Refusal::argument("data", Reason::Format, help));
    let Ok(Value::Object(object)) = serde_json::from_slice(data) else {
        return fault(format!("must be a JSON object for a secret of type {kind}"));
    };
    let mut wrong = String::new();
    for field in fields.iter().filter(|field| !object.contains_key(**field)) {
        wrong.push_str(&format!("- (root): {field} is required\n"));
    }
    for (name, value) in object.iter().filter(|(_, value)| !value.is_string()) {
        let given = match value {
            Value::Object(_) => "object",
            Value::Array(_) => "array",
            Value::Bool(_) => "boolean",
            Value::Null => "null",
            Value::Number(number) if number.is_f64() => "number",
            _ => "integer",
        };
        wrong.push_str(&format!("- {name}: Invalid type. Expected: string, given: {given}\n"));
    }
    if wrong.is_empty() { Ok(()) } else { fault(wrong) }
}

/// The version that a revision names: a number, `latest` or `latest_enabled`.
fn resolve<'t>(tables: &'t Tables, secret: &str, asked: &str) -> Result<(&'t str, &'t Record), Refusal> {
    let prefix = format!("{secret}/");
    let newest = |wanted: &dyn Fn(&Record) -> bool| {
        let versions = tables.under("secret.version", &prefix, None);
        versions
            .map(|(key, version)| (key, version.as_ref()))
            .filter(|(_, version)| wanted(version))
            .max_by_key(|(_, version)| revision(version))
    };
    let found = match asked {
        "latest" => newest(&|_| true),
        "latest_enabled" => newest(&|version| version.text("status") == "enabled"),
        number => {
            let wanted = format!("{prefix}{number}");
            tables
                .under("secret.version", &wanted, None)
                .next()
                .filter(|(key, _)| *key == wanted)
                .map(|(key, it)| (key, it.as_ref()))
        }
    };
    found.ok_or_else(|| Refusal::not_found("secret_version", asked))
}

fn find<'a>(look: &Look<'a>) -> Result<&'a Record, Refusal> {
    let secret = look.call.param("secret_id").unwrap_or_default();
    look.find("secret.secret", secret)?;
    Ok(resolve(look.tables, secret, look.call.param("revision").unwrap_or_default())?.1)
}

/// The version that the path names, to be changed: its key and record.
fn named(act: &Act<'_, '_>) -> Result<(String, Record), Refusal> {
    let secret = act.call.param("secret_id").unwrap_or_default();
    act.find("secret.secret", secret)?;
    let asked = act.call.param("revision").unwrap_or_default();
    let (key, version) = resolve(act.tx.tables(), secret, asked)?;
    Ok((key.to_owned(), Record::clone(version)))
}

/// GET access: the value, which may expire with that.
fn access(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let secret = act.call.param("secret_id").unwrap_or_default().to_owned();
    access_to(act, &secret)
}

/// GET access by the secret's path, name and project.
fn access_by_path(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let name = act.call.query("secret_name").unwrap_or_default();
    let secret = by_path(act.tx.tables(), act.call).ok_or_else(|| Refusal::not_found("secret", name))?;
    access_to(act, &secret)
}

/// The secret that a request names by its path and name.
fn by_path(tables: &Tables, call: &Call) -> Option<String> {
    let (path, name) = (call.query("secret_path").unwrap_or("/"), call.query("secret_name")?);
    let project = call.query("project_id").unwrap_or(&call.caller.default_project_id);
    let is_it = |record: &Record| {
        record.text("name") == name
            && record.text("path") == path
            && record.text("project_id") == project
            && record.body.get("deletion_requested_at").is_none_or(Value::is_null)
            && call.param("region") == Some(record.text("region"))
    };
    tables.all("secret.secret").find(|(_, record)| is_it(record)).map(|(key, _)| key.to_owned())
}

fn access_to(act: &mut Act<'_, '_>, secret: &str) -> Result<Answer, Refusal> {
    let owner = act.find("secret.secret", secret)?;
    let (key, version) = resolve(act.tx.tables(), secret, act.call.param("revision").unwrap_or_default())?;
    if version.text("status") != "enabled" {
        return Err(Refusal::Precondition {
            precondition: "resource_not_usable",
            help: format!("the version is {}", version.text("status")),
        });
    }
    let answer = json!({
        "secret_id": version.text("secret_id"),
        "revision": version.body.get("revision"),
        "data": value::open(act.tx.tables(), &owner, version)?,
        "data_crc32": version.hidden.get("data_crc32"),
        "type": owner.text("type"),
    });
    let (key, version) = (key.to_owned(), Record::clone(version));
    ephemeral::accessed(act, &key, version);
    Ok(Answer::Ok(answer))
}

/// POST enable and disable.
fn switch(act: &mut Act<'_, '_>, status: &str) -> Result<Answer, Refusal> {
    let (key, mut version) = named(act)?;
    refuse_ended(&version)?;
    if is_scheduled(&version) {
        return Err(Refusal::Precondition {
            precondition: "resource_not_usable",
            help: "the version is scheduled for deletion".into(),
        });
    }
    let before = version.body.insert("status".into(), status.into());
    if status == "enabled" && before == Some(json!("disabled")) {
        let secret = act.find("secret.secret", version.text("secret_id"))?;
        ephemeral::renew(&secret, &mut version, act.tx.now());
    }
    Ok(Answer::record(&act.change("secret.version", &key, version, status)))
}

fn delete(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, mut version) = named(act)?;
    refuse_ended(&version)?;
    schedule(&mut version, &rfc3339(act.tx.now()));
    act.change("secret.version", &key, version, "deleted");
    Ok(Answer::NoContent)
}

/// POST restore: takes a deletion back.
fn restore(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (key, mut version) = named(act)?;
    refuse_ended(&version)?;
    unschedule(&mut version);
    Ok(Answer::record(&act.change("secret.version", &key, version, "restored")))
}

/// A version that is to be deleted says so, and can be restored until it is.
pub(super) fn schedule(version: &mut Record, at: &str) {
    if ["scheduled_for_deletion", "deleted"].contains(&version.text("status")) {
        return;
    }
    let before = version.text("status").to_owned();
    version.hidden.insert("status_before".into(), before.into());
    version.body.insert("status".into(), "scheduled_for_deletion".into());
    version.body.insert("deletion_requested_at".into(), at.into());
    // What it settles in then, `end` says.
    version.next = moment(at).map(|at| Passage { to: Some("enabled".into()), due: at + RETENTION });
}

fn is_scheduled(version: &Record) -> bool {
    version.hidden.contains_key("status_before")
}

/// The time for a version to be restored is over: its value is no more, its number stays taken.
fn end(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let now = rfc3339(making.tx.now());
    making.record.hidden.remove("status_before");
    value::destroy(making.record);
    making.set("status", "deleted");
    making.set("deleted_at", now);
    Ok(())
}

fn refuse_ended(version: &Record) -> Result<(), Refusal> {
    if version.text("status") != "deleted" {
        return Ok(());
    }
    let help = "the version is deleted".into();
    Err(Refusal::Precondition { precondition: "resource_not_usable", help })
}

fn unschedule(version: &mut Record) {
    if let Some(before) = version.hidden.remove("status_before") {
        version.body.insert("status".into(), before);
        version.body.insert("deletion_requested_at".into(), Value::Null);
        ephemeral::wait(version);
    }
}

fn all_of(act: &Act<'_, '_>, secret: &str) -> Vec<(String, Record)> {
    let versions = act.tx.tables().under("secret.version", &format!("{secret}/"), None);
    versions.map(|(key, version)| (key.to_owned(), Record::clone(version))).collect()
}

/// The versions of a deleted secret are scheduled for deletion (recorded).
pub(super) fn schedule_all(act: &mut Act<'_, '_>, secret: &str) {
    let now = rfc3339(act.tx.now());
    for (key, mut version) in all_of(act, secret) {
        schedule(&mut version, &now);
        act.change("secret.version", &key, version, "deleted");
    }
}

pub(super) fn restore_all(act: &mut Act<'_, '_>, secret: &str) {
    for (key, mut version) in all_of(act, secret) {
        unschedule(&mut version);
        act.change("secret.version", &key, version, "restored");
    }
}

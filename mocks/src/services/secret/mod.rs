//! Secret Manager: secrets and their versions. API reference: Secret Manager API v1beta1.
//!
//! Deletion is soft: a deleted secret is still answered, with
//! `deletion_requested_at` set, and hidden in lists (recorded); it can be restored
//! for seven days (documented). Folders are the paths of secrets. Not emulated: owners.

mod browse;
mod ephemeral;
mod value;
mod version;

use serde_json::{Value, json};
use time::Duration;

use crate::kernel::{
    Act, Answer, Making, Passage, Product, Reason, Record, Refusal, Resource, computed, optional, required, rfc3339,
};

/// Documented in IAM's list of permission sets. Reading is of what is said of secrets, not of their values.
const READ: &[&str] = &["SecretManagerReadOnly"];
const FULL: &[&str] = &["SecretManagerFullAccess"];
const ACCESS: &[&str] = &["SecretManagerSecretAccess", "SecretManagerFullAccess"];
const CREATE: &[&str] = &["SecretManagerSecretCreate", "SecretManagerFullAccess"];
const WRITE: &[&str] = &["SecretManagerSecretWrite", "SecretManagerFullAccess"];
const DELETE: &[&str] = &["SecretManagerSecretDelete", "SecretManagerFullAccess"];
const RESTORE: &[&str] = &["SecretManagerSecretRestore", "SecretManagerFullAccess"];

const ITEM: &str = "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}";

/// How long what is scheduled for deletion can be restored (documented: "a 7 day pending deletion period").
const RETENTION: Duration = Duration::days(7);

pub(super) fn product() -> Product {
    Product { name: "secret", title: "Secret Manager", resources: vec![secret(), version::version()] }
}

fn types() -> Vec<&'static str> {
    vec!["opaque", "certificate", "key_value", "basic_credentials", "database_credentials", "ssh_key"]
}

fn secret() -> Resource {
    Resource::new("secret.secret")
        .at(ITEM)
        .fields([
            required("name").text(1..=255).check(plain_name),
            optional("tags").strings(),
            optional("description").text(0..=65_536),
            optional("type").one_of(types).default("opaque").fixed(),
            optional("path").text(0..=255).default("/").check(absolute_path),
            optional("protected").flag().fixed(),
            optional("ephemeral_policy").object(ephemeral::policy()).check(ephemeral::makes_sense),
            computed("status", |_| Ok(json!("ready"))),
            computed("version_count", |_| Ok(json!(0))),
            computed("managed", |_| Ok(json!(false))),
            computed("used_by", |_| Ok(json!([]))),
            computed("deletion_requested_at", |_| Ok(Value::Null)),
            optional("key_id").uuid().default(Value::Null).fixed(),
        ])
        .filters(&["tags", "path", "type"])
        .order(&["created_at", "updated_at", "name"])
        .listed_if(|record, call| {
            // A name is asked for exactly (recorded), a deleted secret only when asked for.
            call.query("name").is_none_or(|name| record.text("name") == name)
                && is_deleted(record) == (call.query("scheduled_for_deletion") == Some("true"))
                && call.query("ephemeral").is_none_or(|asked| {
                    (asked == "true") == record.body.get("ephemeral_policy").is_some_and(|policy| !policy.is_null())
                })
        })
        .permissions(READ, FULL)
        .allowing(&["POST"], CREATE)
        .allowing(&["PATCH", "protect", "unprotect"], WRITE)
        .allowing(&["DELETE"], DELETE)
        .allowing(&["restore"], RESTORE)
        .made(|making| {
            ephemeral::tell_in_seconds(making);
            without_last_slash(making);
            value::check_key(making)?;
            refuse_taken(making)
        })
        .updated(|making| {
            refuse_deleted(making.record)?;
            ephemeral::tell_in_seconds(making);
            without_last_slash(making);
            refuse_taken(making)
        })
        .look("/secret-manager/v1beta1/regions/{region}/secrets/browse", browse::browse)
        .look("/secret-manager/v1beta1/regions/{region}/tags", browse::tags)
        .look("/secret-manager/v1beta1/regions/{region}/secret-types", |look| {
            look.page("types", types().into_iter().map(Value::from).collect())
        })
        .act("POST", "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/restore", restore)
        .act("DELETE", ITEM, delete)
        .act("POST", "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/protect", |act| protect(act, true))
        .act("POST", "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/unprotect", |act| {
            protect(act, false)
        })
}

/// Recorded: `/app/` is told as `/app`.
fn without_last_slash(making: &mut Making<'_, '_>) {
    let path = making.text("path").trim_end_matches('/').to_owned();
    making.set("path", if path.is_empty() { "/".to_owned() } else { path });
}

/// Two secrets of a path cannot have the same name.
fn refuse_taken(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let record = &*making.record;
    let same = |other: &Record| {
        ["name", "path", "project_id", "region"].iter().all(|field| other.text(field) == record.text(field))
            && other.text("id") != making.key
            && !is_deleted(other)
    };
    if making.tx.tables().all("secret.secret").any(|(_, other)| same(other)) {
        let help =
            format!("cannot have same secret name in same path: {} in {}", record.text("name"), record.text("path"));
        return Err(Refusal::argument("name", Reason::Constraint, help));
    }
    Ok(())
}

fn plain_name(value: &Value) -> Result<(), String> {
    let name = value.as_str().unwrap_or_default();
    if is_plain(name) { Ok(()) } else { Err("must consist of letters, digits, '-', '_' and '.'".into()) }
}

/// Documented: names "of 1 to 255 alphanumeric characters, dots, underscores, and dashes". Dots alone are no name.
fn is_plain(name: &str) -> bool {
    let all = |allowed: &dyn Fn(char) -> bool| name.chars().all(allowed);
    !name.is_empty() && all(&|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !["..", "."].contains(&name)
}

fn absolute_path(value: &Value) -> Result<(), String> {
    let path = value.as_str().unwrap_or_default();
    let inside = path.strip_prefix('/').map(|inside| inside.strip_suffix('/').unwrap_or(inside));
    if inside.is_some_and(|inside| inside.is_empty() || inside.split('/').all(is_plain)) {
        Ok(())
    } else {
        Err("must be an absolute path such as /app".into())
    }
}

fn is_deleted(record: &Record) -> bool {
    record.body.get("deletion_requested_at").is_some_and(|at| !at.is_null())
}

/// Documented: what is scheduled for deletion can be read, and not be edited.
fn refuse_deleted(secret: &Record) -> Result<(), Refusal> {
    if !is_deleted(secret) {
        return Ok(());
    }
    let help = "the secret is scheduled for deletion".into();
    Err(Refusal::Precondition { precondition: "resource_not_usable", help })
}

fn delete(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("secret_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find("secret.secret", &key)?);
    if record.body.get("protected") == Some(&json!(true)) {
        return Err(Refusal::Precondition {
            precondition: "protected_resource",
            help: "cannot delete a protected secret".into(),
        });
    }
    if is_deleted(&record) {
        return Ok(Answer::NoContent);
    }
    let now = act.tx.now();
    let is_ephemeral = record.body.get("ephemeral_policy").is_some_and(|policy| !policy.is_null());
    // Documented: "Ephemeral secrets are deleted immediately when scheduled for deletion".
    let due = if is_ephemeral { now } else { now + RETENTION };
    record.next = Some(Passage { to: None, due });
    record.body.insert("deletion_requested_at".into(), rfc3339(now).into());
    act.change("secret.secret", &key, record, "deleted");
    version::schedule_all(act, &key);
    Ok(Answer::NoContent)
}

/// POST restore: takes a deletion back, that of the versions, too.
fn restore(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("secret_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find("secret.secret", &key)?);
    record.next = None;
    record.body.insert("deletion_requested_at".into(), Value::Null);
    let record = act.change("secret.secret", &key, record, "restored");
    version::restore_all(act, &key);
    Ok(Answer::record(&record))
}

fn protect(act: &mut Act<'_, '_>, protected: bool) -> Result<Answer, Refusal> {
    let key = act.call.param("secret_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find("secret.secret", &key)?);
    record.body.insert("protected".into(), json!(protected));
    Ok(Answer::record(&act.change("secret.secret", &key, record, "updated")))
}

//! Secret Manager: secrets and their versions. API reference: Secret Manager API v1beta1.
//!
//! Deletion is soft: a deleted secret is still answered, with
//! `deletion_requested_at` set, and hidden in lists (recorded). Not emulated yet:
//! ephemeral policies taking effect, folders, encryption at rest.

mod version;

use serde_json::{Value, json};

use crate::kernel::{Act, Answer, Product, Record, Refusal, Resource, computed, optional, required, rfc3339};

const ITEM: &str = "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}";

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
            optional("ephemeral_policy").object([
                optional("time_to_live").text(0..=32).default(Value::Null),
                optional("expires_once_accessed").flag().default(Value::Null),
                optional("action").text(0..=32),
            ]),
            computed("status", |_| Ok(json!("ready"))),
            computed("version_count", |_| Ok(json!(0))),
            computed("managed", |_| Ok(json!(false))),
            computed("used_by", |_| Ok(json!([]))),
            computed("deletion_requested_at", |_| Ok(Value::Null)),
            computed("key_id", |_| Ok(Value::Null)),
        ])
        .filters(&["tags", "path", "type"])
        .order(&["created_at", "updated_at", "name"])
        .listed_if(|record, call| {
            // A name is asked for exactly (recorded), a deleted secret only when asked for.
            call.query("name").is_none_or(|name| record.text("name") == name)
                && is_deleted(record) == (call.query("scheduled_for_deletion") == Some("true"))
        })
        .permissions(&["SecretManagerReadOnly"], &["SecretManagerFullAccess"])
        .made(|making| {
            let (name, path) = (making.text("name").to_owned(), making.text("path").to_owned());
            let project = making.text("project_id").to_owned();
            let region = making.text("region").to_owned();
            let same = |other: &Record| {
                (other.text("name"), other.text("path")) == (&name, &path)
                    && (other.text("project_id"), other.text("region")) == (&project, &region)
                    && !is_deleted(other)
            };
            if making.tx.tables().all("secret.secret").any(|(_, other)| same(other)) {
                let help = format!("cannot have same secret name in same path: {name} in {path}");
                return Err(Refusal::argument("name", crate::kernel::Reason::Constraint, help));
            }
            Ok(())
        })
        .act("DELETE", ITEM, delete)
        .act("POST", "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/protect", |act| protect(act, true))
        .act("POST", "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/unprotect", |act| {
            protect(act, false)
        })
}

fn plain_name(value: &Value) -> Result<(), String> {
    let name = value.as_str().unwrap_or_default();
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        Ok(())
    } else {
        Err("must consist of letters, digits, '-', '_' and '.'".into())
    }
}

fn absolute_path(value: &Value) -> Result<(), String> {
    let path = value.as_str().unwrap_or_default();
    let parts_are_plain = path.split('/').all(|part| part != "." && part != "..");
    if path.starts_with('/') && parts_are_plain && !path.contains("//") {
        Ok(())
    } else {
        Err("must be an absolute path such as /app".into())
    }
}

fn is_deleted(record: &Record) -> bool {
    record.body.get("deletion_requested_at").is_some_and(|at| !at.is_null())
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
    record.body.insert("deletion_requested_at".into(), rfc3339(act.tx.now()).into());
    act.change("secret.secret", &key, record, "deleted");
    Ok(Answer::NoContent)
}

fn protect(act: &mut Act<'_, '_>, protected: bool) -> Result<Answer, Refusal> {
    let key = act.call.param("secret_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find("secret.secret", &key)?);
    record.body.insert("protected".into(), json!(protected));
    Ok(Answer::record(&act.change("secret.secret", &key, record, "updated")))
}

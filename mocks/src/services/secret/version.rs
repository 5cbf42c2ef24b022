//! Secret version: one value of a secret, numbered from 1.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::kernel::{
    Act, Answer, Look, Making, Reason, Record, Refusal, Resource, computed, optional, required, rfc3339,
};

const ITEM: &str = "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/versions/{revision}";
const ACCESS: &str = "/secret-manager/v1beta1/regions/{region}/secrets/{secret_id}/versions/{revision}/access";

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
            computed("status", |_| Ok(json!("enabled"))),
            computed("latest", |_| Ok(json!(true))),
            computed("ephemeral_properties", |_| Ok(Value::Null)),
            computed("deletion_requested_at", |_| Ok(Value::Null)),
        ])
        .filters(&["status"])
        .order(&["revision", "created_at"])
        .permissions(&["SecretManagerReadOnly", "SecretManagerSecretAccess"], &["SecretManagerFullAccess"])
        .made(take_over)
        .look(ITEM, |look| Ok(Value::Object(find(look)?.body.clone())))
        .look(ACCESS, access)
        .act("DELETE", ITEM, delete)
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
    let secret = making.text("secret_id").to_owned();
    let disable = making.input.get("disable_previous") == Some(&json!(true));
    making.act("secret.version", |act| {
        let mut record = Record::clone(&*act.find("secret.secret", &secret)?);
        if record.text("type") == "key_value"
            && !serde_json::from_slice::<Value>(&data).is_ok_and(|data| data.is_object())
        {
            return Err(Refusal::argument(
                "data",
                Reason::Format,
                "must be a JSON object for a secret of type key_value",
            ));
        }
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

/// The version that the path names: a number, `latest` or `latest_enabled`.
fn find<'a>(look: &Look<'a>) -> Result<&'a Record, Refusal> {
    let secret = look.call.param("secret_id").unwrap_or_default();
    look.find("secret.secret", secret)?;
    let asked = look.call.param("revision").unwrap_or_default();
    let prefix = format!("{secret}/");
    let newest = |wanted: &dyn Fn(&Record) -> bool| {
        let versions = look.tables.all("secret.version").filter(|(key, _)| key.starts_with(&prefix));
        versions
            .map(|(_, version)| version.as_ref())
            .filter(|version| wanted(version))
            .max_by_key(|version| revision(version))
    };
    let found = match asked {
        "latest" => newest(&|_| true),
        "latest_enabled" => newest(&|version| version.text("status") == "enabled"),
        number => look.tables.get("secret.version", &format!("{prefix}{number}")).map(AsRef::as_ref),
    };
    found.ok_or_else(|| Refusal::not_found("secret_version", asked))
}

fn access(look: &Look<'_>) -> Result<Value, Refusal> {
    let version = find(look)?;
    let secret = look.find("secret.secret", version.text("secret_id"))?;
    if version.text("status") != "enabled" {
        return Err(Refusal::Precondition {
            precondition: "resource_not_usable",
            help: format!("the version is {}", version.text("status")),
        });
    }
    Ok(json!({
        "secret_id": version.text("secret_id"),
        "revision": version.body.get("revision"),
        "data": version.hidden.get("data"),
        "data_crc32": version.hidden.get("data_crc32"),
        "type": secret.text("type"),
    }))
}

fn delete(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let secret = act.call.param("secret_id").unwrap_or_default();
    act.find("secret.secret", secret)?;
    let key = format!("{secret}/{}", act.call.param("revision").unwrap_or_default());
    let mut version = Record::clone(&*act.find("secret.version", &key)?);
    version.body.insert("status".into(), json!("scheduled_for_deletion"));
    version.body.insert("deletion_requested_at".into(), rfc3339(act.tx.now()).into());
    act.change("secret.version", &key, version, "deleted");
    Ok(Answer::NoContent)
}

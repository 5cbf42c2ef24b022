//! API key: what a user or an application proves itself with.
//!
//! The secret key is answered once, when it is made (recorded: `null` ever after).

use serde_json::{Value, json};

use super::{editable, resource};
use crate::{
    api::{SECRET_KIND, secret_key_digest},
    kernel::{Act, Answer, Call, Making, Reason, Record, Refusal, Resource, computed, optional},
};

const COLLECTION: &str = "/iam/v1alpha1/api-keys";

pub(super) fn api_key() -> Resource {
    let fields = [
        optional("application_id").refers_to("iam.application").fixed(),
        optional("user_id").refers_to("iam.user").fixed(),
        optional("description").text(0..=200),
        optional("default_project_id").refers_to("account.project"),
        optional("expires_at").time().fixed(),
        computed("access_key", |making| Ok(making.tx.ids().access_key().into())),
        computed("secret_key", |_| Ok(Value::Null)),
        computed("creation_ip", |_| Ok(json!("127.0.0.1"))),
    ];
    resource("iam.api_key", "/iam/v1alpha1/api-keys/{access_key}")
        .called("access_key")
        .listed_as("api_keys")
        .named_by("access_key")
        .of_organization()
        .timed()
        .fields(fields.into_iter().chain(editable()))
        .filters(&["application_id", "user_id", "access_key", "editable"])
        .order(&["created_at", "updated_at", "expires_at", "access_key"])
        .listed_if(is_asked_for)
        .made(complete)
        .act("POST", COLLECTION, create)
        .deleted(forget_secret)
}

/// The query parameters of its list that are not fields of its answers.
fn is_asked_for(record: &Record, call: &Call) -> bool {
    let bearer = |field: &str| record.body.get(field).and_then(Value::as_str);
    let (user, application) = (bearer("user_id"), bearer("application_id"));
    let is = |name: &str, holds: &dyn Fn(&str) -> bool| call.query(name).is_none_or(holds);
    call.asks_for("access_keys", record.text("access_key"))
        && is("description", &|asked| record.text("description").contains(asked))
        && is("bearer_id", &|asked| user == Some(asked) || application == Some(asked))
        && is("bearer_type", &|asked| asked == if user.is_some() { "user" } else { "application" })
}

fn create(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let call = act.call;
    let key = act.create("iam.api_key", call)?;
    let record = act.find("iam.api_key", &key)?;
    let mut body = record.body.clone();
    body.insert("secret_key".into(), record.hidden.get("secret_key").cloned().unwrap_or_default());
    Ok(Answer::Ok(Value::Object(body)))
}

/// Gives the key its secret, its bearer and its default project.
fn complete(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let bearers: Vec<(&str, &str)> = [("application_id", "iam.application"), ("user_id", "iam.user")]
        .into_iter()
        .filter(|(field, _)| !making.text(field).is_empty())
        .collect();
    let [(bearer, kind)] = bearers[..] else {
        return Err(Refusal::argument("bearer", Reason::Required, "name exactly one of application_id and user_id"));
    };
    // The other one is absent in answers, not null.
    for field in ["application_id", "user_id"] {
        if field != bearer {
            making.record.body.remove(field);
        }
    }
    count_keys(making, kind, bearer, 1)?;
    let organization = making.record.body.remove("organization_id").unwrap_or_default();
    if making.text("default_project_id").is_empty() {
        // The default project of an organisation has the organisation's own identifier (recorded).
        making.set("default_project_id", organization.clone());
    }
    making.record.hidden.insert("organization_id".into(), organization);
    let secret = making.tx.ids().uuid();
    remember_secret(making, &secret);
    Ok(())
}

fn remember_secret(making: &mut Making<'_, '_>, secret: &str) {
    making.record.hidden.insert("secret_key".into(), secret.into());
    let pointer = Record::of(&json!({"access_key": making.text("access_key")}));
    making.tx.put(SECRET_KIND, &secret_key_digest(secret), pointer);
}

fn count_keys(making: &mut Making<'_, '_>, kind: &str, bearer: &str, change: i64) -> Result<(), Refusal> {
    let id = making.text(bearer).to_owned();
    making.act(kind, |act| add_to_count(act, kind, &id, change))
}

fn add_to_count(act: &mut Act<'_, '_>, kind: &str, id: &str, change: i64) -> Result<(), Refusal> {
    let mut record = Record::clone(&*act.find(kind, id)?);
    if let Some(count) = record.body.get("nb_api_keys").and_then(Value::as_i64) {
        record.body.insert("nb_api_keys".into(), json!((count + change).max(0)));
        act.tx.put(kind, id, record);
    }
    Ok(())
}

/// The secret of a deleted key opens nothing any more.
pub(super) fn forget_secret(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let record = act.find("iam.api_key", key)?;
    if let Some(secret) = record.hidden.get("secret_key").and_then(Value::as_str) {
        act.tx.remove(SECRET_KIND, &secret_key_digest(secret));
    }
    for (field, kind) in [("application_id", "iam.application"), ("user_id", "iam.user")] {
        let id = record.text(field);
        if !id.is_empty() {
            add_to_count(act, kind, id, -1)?;
        }
    }
    Ok(())
}

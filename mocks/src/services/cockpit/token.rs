//! Token: what metrics, logs and traces are pushed and queried with. The secret is answered once.

use serde_json::{Value, json};

use super::{READ, WRITE, hide_organization};
use crate::kernel::{Act, Answer, Call, Reason, Record, Refusal, Resource, computed, optional, required};

const TOKEN: &str = "cockpit.token";
const COLLECTION: &str = "/cockpit/v1/regions/{region}/tokens";

/// What a token can be for (SDK: `TokenScope`).
const SCOPES: [&str; 12] = [
    "read_only_metrics",
    "write_only_metrics",
    "full_access_metrics_rules",
    "read_only_logs",
    "write_only_logs",
    "full_access_logs_rules",
    "full_access_alert_manager",
    "read_only_traces",
    "write_only_traces",
    "read_only_metrics_rules",
    "read_only_logs_rules",
    "read_only_alert_manager",
];

pub(super) fn token() -> Resource {
    Resource::new(TOKEN)
        .at("/cockpit/v1/regions/{region}/tokens/{token_id}")
        .fields([
            required("name").text(1..=255).fixed(),
            optional("token_scopes").strings().input_only().fixed().check(known_scopes),
            computed("scopes", |making| Ok(making.input.get("token_scopes").cloned().unwrap_or_else(|| json!([])))),
            computed("secret_key", |_| Ok(Value::Null)),
        ])
        .without(&["PATCH"])
        .listed_if(is_asked_for)
        .order(&["created_at", "name"])
        .permissions(READ, WRITE)
        .made(hide_organization)
        .act("POST", COLLECTION, create)
}

fn known_scopes(value: &Value) -> Result<(), String> {
    let unknown = |scope: &&Value| !scope.as_str().is_some_and(|scope| SCOPES.contains(&scope));
    match value.as_array().into_iter().flatten().find(unknown) {
        Some(scope) => Err(format!("{scope} is no scope; use {}", SCOPES.join(", "))),
        None => Ok(()),
    }
}

/// Whether a list shows it: one that has any of the scopes asked for. A request says `token_scopes`, an answer `scopes`.
fn is_asked_for(record: &Record, call: &Call) -> bool {
    let scopes = record.body.get("scopes").and_then(Value::as_array);
    call.queries("token_scopes").next().is_none()
        || scopes.into_iter().flatten().filter_map(Value::as_str).any(|scope| call.asks_for("token_scopes", scope))
}

fn create(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    if act.call.body.get("token_scopes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        return Err(Refusal::argument("token_scopes", Reason::Required, "name at least one scope"));
    }
    let call = act.call;
    let key = act.create(TOKEN, call)?;
    let mut record = Record::clone(&*act.find(TOKEN, &key)?);
    let secret = act.tx.ids().uuid();
    record.hidden.insert("secret_key".into(), secret.clone().into());
    act.tx.put(TOKEN, &key, record.clone());
    let mut body = record.body;
    body.insert("secret_key".into(), secret.into());
    Ok(Answer::Ok(Value::Object(body)))
}

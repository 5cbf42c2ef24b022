//! Secret reference: a secret of Secret Manager that a run finds in a file or a variable.
//!
//! Recorded: several are made at once; answers call its identifier `secret_id` and
//! tell no times; lists have the newest first. How it is handed over cannot be changed
//! from file to variable or back (documented).

use serde_json::{Map, Value, json};

use super::{DEFINITION, READ, SECRET, WRITE, hide};
use crate::{
    kernel::{Act, Answer, Call, Making, Reason, Record, Refusal, Resource, optional, required, rfc3339},
    services::containers::environment::check_name,
};

const COLLECTION: &str = "/serverless-jobs/v1alpha2/regions/{region}/secrets";

/// The two ways to hand a secret over: what requests say, what answers have, and under which key.
const WAYS: [(&str, &str, &str); 2] = [("path", "file", "path"), ("env_var_name", "env_var", "name")];

pub(super) fn secret() -> Resource {
    Resource::new(SECRET)
        .at("/serverless-jobs/v1alpha2/regions/{region}/secrets/{secret_id}")
        .under(DEFINITION)
        .of_parent()
        .fields([
            required("job_definition_id").refers_to(DEFINITION).fixed(),
            required("secret_manager_id").refers_to("secret.secret").fixed(),
            optional("secret_manager_version").text(1..=32).check(version).default("latest"),
            optional("path").text(2..=4096).check(absolute).default(Value::Null).input_only(),
            optional("env_var_name")
                .text(1..=100)
                .check(|name| check_name(name.as_str().unwrap_or_default()))
                .default(Value::Null)
                .input_only(),
        ])
        .filters(&["job_definition_id"])
        .order(&["created_at_desc"])
        .permissions(READ, WRITE)
        .made(make)
        .updated(update)
        .act("POST", COLLECTION, create)
}

/// A number, or one of Secret Manager's words.
fn version(value: &Value) -> Result<(), String> {
    match value.as_str() {
        Some("latest" | "latest_enabled") => Ok(()),
        Some(number) if number.parse::<u32>().is_ok_and(|number| number > 0) => Ok(()),
        _ => Err("must be a number, latest or latest_enabled".into()),
    }
}

/// As the provider checks it: `/` and a name, once or more.
fn absolute(value: &Value) -> Result<(), String> {
    let path = value.as_str().unwrap_or_default();
    let is_absolute = path.strip_prefix('/').is_some_and(|names| names.split('/').all(|name| !name.is_empty()));
    if is_absolute { Ok(()) } else { Err("must be the absolute path of a file".into()) }
}

/// POST: as many as the list has, or none.
fn create(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let definition = act.call.body.get("job_definition_id").cloned().unwrap_or_default();
    let asked = act.call.body.get("secrets").and_then(Value::as_array).cloned().unwrap_or_default();
    if asked.is_empty() {
        return Err(Refusal::argument("secrets", Reason::Required, "secrets is required"));
    }
    let mut made = Vec::new();
    for (index, secret) in asked.into_iter().enumerate() {
        let Value::Object(mut body) = secret else {
            return Err(Refusal::argument("secrets", Reason::Format, "must be a list of objects"));
        };
        body.insert("job_definition_id".into(), definition.clone());
        let call = Call { body, ..act.call.clone() };
        let key = act.create(SECRET, &call).map_err(|refusal| of_item(refusal, index))?;
        let mut record = Record::clone(&*act.find(SECRET, &key)?);
        made.push(Value::Object(record.body.clone()));
        // Of several that are made at once, the last one is the newest, too.
        let later = time::Duration::microseconds(i64::try_from(index).unwrap_or_default());
        record.hidden.insert("created_at".into(), rfc3339(act.tx.now() + later).into());
        act.tx.put(SECRET, &key, record);
    }
    Ok(Answer::Ok(json!({"secrets": made})))
}

/// What is wrong with an item of the list, in the list's words.
fn of_item(refusal: Refusal, index: usize) -> Refusal {
    let Refusal::InvalidArguments(mut faults) = refusal else {
        return refusal;
    };
    for fault in faults.iter_mut().filter(|fault| fault.argument != "job_definition_id") {
        fault.argument = format!("secrets.{index}.{}", fault.argument);
    }
    Refusal::InvalidArguments(faults)
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    making.record.body.remove("id");
    let id = making.key.to_owned();
    making.set("secret_id", id);
    hide(making, "created_at");
    making.record.body.remove("updated_at");
    let said: Vec<_> = WAYS.iter().filter_map(|way| Some((way, said(making, way.0)?))).collect();
    let [((_, field, key), value)] = &said[..] else {
        return Err(Refusal::argument("path", Reason::Required, "name exactly one of path and env_var_name"));
    };
    tell(making, field, key, value.clone());
    Ok(())
}

fn update(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    for (asked, field, key) in WAYS {
        let Some(value) = said(making, asked) else {
            continue;
        };
        if !making.record.body.contains_key(field) {
            let help = "how a secret is handed over cannot be changed";
            return Err(Refusal::argument(asked, Reason::Constraint, help));
        }
        tell(making, field, key, value);
    }
    Ok(())
}

fn said(making: &Making<'_, '_>, field: &str) -> Option<Value> {
    making.input.get(field).filter(|value| !value.is_null()).cloned()
}

fn tell(making: &mut Making<'_, '_>, field: &str, key: &str, value: Value) {
    for (asked, _, _) in WAYS {
        making.record.hidden.remove(asked);
    }
    let mut told = Map::new();
    told.insert(key.to_owned(), value);
    making.set(field, told);
}

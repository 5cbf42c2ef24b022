//! Settings of an instance: what differs from the engine's own.

use std::time::Duration;

use serde_json::{Value, json};

use super::catalog;
use crate::kernel::{Act, Answer, ArgumentFault, Field, Reason, Record, Refusal, required};

/// A setting as requests say it.
pub(super) fn fields() -> [Field; 2] {
    [required("name").text(1..=63), required("value").text(0..=255)]
}

/// The settings an instance has before anybody sets any.
pub(super) fn defaults(record: &Record) -> Vec<Value> {
    let defaults = catalog::settings(record.text("engine"), record.text("node_type"));
    defaults.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// PUT: replaces all that differ from the defaults.
pub(super) fn replace(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    change(act, |record, asked| {
        let mut settings = defaults(record);
        merge(&mut settings, asked);
        settings
    })
}

/// POST: sets some, leaves the others.
pub(super) fn add(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    change(act, |record, asked| {
        let mut settings = now(record);
        merge(&mut settings, asked);
        settings
    })
}

/// DELETE: some go back to their defaults.
pub(super) fn remove(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let names = act.call.body.get("setting_names").and_then(Value::as_array).cloned().unwrap_or_default();
    change(act, |record, _| {
        let mut settings: Vec<Value> =
            now(record).into_iter().filter(|setting| !names.contains(&setting["name"])).collect();
        let back: Vec<Value> = defaults(record).into_iter().filter(|one| names.contains(&one["name"])).collect();
        merge(&mut settings, &back);
        settings
    })
}

fn now(record: &Record) -> Vec<Value> {
    record.body.get("settings").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn merge(settings: &mut Vec<Value>, more: &[Value]) {
    for setting in more {
        settings.retain(|other| other["name"] != setting["name"]);
        settings.push(setting.clone());
    }
}

fn change(act: &mut Act<'_, '_>, run: impl Fn(&Record, &[Value]) -> Vec<Value>) -> Result<Answer, Refusal> {
    let key = act.call.param("instance_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled("rdb.instance", &key)?);
    let asked = asked(act, record.text("engine"))?;
    let mut settings = run(&record, &asked);
    settings.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    record.body.insert("settings".into(), settings.clone().into());
    act.pass_through("rdb.instance", &mut record, "configuring", Duration::from_secs(20));
    act.change("rdb.instance", &key, record, "settings");
    Ok(Answer::Ok(json!({"settings": settings})))
}

/// The settings that a request names, each of which the engine knows.
fn asked(act: &Act<'_, '_>, engine: &str) -> Result<Vec<Value>, Refusal> {
    let mut settings = Vec::new();
    let mut faults = Vec::new();
    for setting in act.call.body.get("settings").and_then(Value::as_array).into_iter().flatten() {
        let text = |field: &str| setting.get(field).and_then(Value::as_str);
        let (Some(name), Some(value)) = (text("name"), text("value")) else {
            return Err(Refusal::argument("settings", Reason::Format, "must be a list of objects with name and value"));
        };
        if let Err(help) = catalog::check_setting(engine, name, value) {
            faults.push(ArgumentFault::new("settings", Reason::Constraint, help));
        }
        settings.push(json!({"name": name, "value": value}));
    }
    if faults.is_empty() { Ok(settings) } else { Err(Refusal::InvalidArguments(faults)) }
}

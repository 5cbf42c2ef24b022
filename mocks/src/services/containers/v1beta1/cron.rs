//! Cron: to v1 a trigger with a schedule. The arguments are the body it sends, its time zone is UTC.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{STATES, part, said};
use crate::{
    kernel::{Act, Making, Record, Refusal, Resource, optional, required},
    services::containers::{READ, TRIGGER, WRITE, pass, remember_namespace, trigger::schedule},
};

const CONFIG: &str = "cron_config";

/// What a cron is called that is given no name, which v1 asks for.
const NAMELESS: &str = "cron";

pub(super) fn cron() -> Resource {
    Resource::new("containers.cron_v1beta1")
        .view_of(TRIGGER)
        .called("cron")
        .showing(|record| record.text("source_type") == "cron")
        .at("/containers/v1beta1/regions/{region}/crons/{cron_id}")
        .untimed()
        .fields([
            required("container_id").uuid(),
            required("schedule").text(1..=255).check(schedule).told(|record| part(record, CONFIG, "schedule").cloned()),
            optional("args").any_object().told(|record| Some(arguments(record))),
            optional("name").text(0..=255),
        ])
        .calling(STATES)
        .filters(&["container_id"])
        .permissions(READ, WRITE)
        .saying(say)
        .updated(update)
}

/// The body that the trigger sends, where it is a JSON object; v1 takes any text.
fn arguments(record: &Record) -> Value {
    let body = part(record, CONFIG, "body").and_then(Value::as_str).unwrap_or_default();
    serde_json::from_str(body).ok().filter(Value::is_object).unwrap_or_else(|| json!({}))
}

fn say(act: &mut Act<'_, '_>, said: &Map<String, Value>, body: &mut Map<String, Value>) -> Result<(), Refusal> {
    let is_new = act.call.param("cron_id").is_none();
    let mut config = Map::new();
    if let Some(schedule) = said.get("schedule") {
        config.insert("schedule".into(), schedule.clone());
    }
    if let Some(arguments) = said.get("args") {
        config.insert("body".into(), arguments.to_string().into());
    }
    if is_new {
        config.insert("timezone".into(), "UTC".into());
    } else {
        // To v1 it cannot be changed.
        body.remove("container_id");
    }
    if body.get("name").is_none_or(|name| name == "") {
        body.remove("name");
        if is_new {
            body.insert("name".into(), NAMELESS.into());
        }
    }
    if !config.is_empty() {
        body.insert(CONFIG.into(), config.into());
    }
    Ok(())
}

/// A cron may be moved to another container.
fn update(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let asked = said(making.call).and_then(|said| said.get("container_id")).and_then(Value::as_str).unwrap_or_default();
    if !asked.is_empty() && asked != making.text("container_id") {
        making.set("container_id", asked);
        remember_namespace(making)?;
        pass(making, TRIGGER, "updating", Duration::from_secs(1))?;
    }
    Ok(())
}

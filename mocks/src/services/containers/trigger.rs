//! Trigger: what calls a container: a schedule, a queue or a subject.
//!
//! Recorded: the answer has the configuration of its source only, and no
//! credentials. What a change does not say, in a configuration too, stays (the SDK
//! sends `null`); the source itself cannot be changed. `container_cron` of the
//! provider is a trigger with a schedule.

use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{
    CONTAINER, PASSING, READ, TRIGGER, WRITE, before, in_asked_namespace, no_error, pass, remember_namespace, settings,
};
use crate::{
    api::REGIONS,
    kernel::{ArgumentFault, Field, Making, Reason, Record, Refusal, Resource, computed, optional, required, states},
};

/// A source: its word, its field, what it must say, what is never answered, and how long a trigger
/// takes to listen to it (recorded).
struct Source {
    word: &'static str,
    field: &'static str,
    needs: &'static [&'static str],
    secret: &'static str,
    lasts: Duration,
}

const SOURCES: [Source; 3] = [
    Source {
        word: "cron",
        field: "cron_config",
        needs: &["schedule", "timezone"],
        secret: "",
        lasts: Duration::from_secs(1),
    },
    Source {
        word: "sqs",
        field: "sqs_config",
        needs: &["endpoint", "queue_url", "access_key_id", "secret_access_key"],
        secret: "secret_access_key",
        lasts: Duration::from_secs(4),
    },
    Source {
        word: "nats",
        field: "nats_config",
        needs: &["server_urls", "subject", "credentials_file_content"],
        secret: "credentials_file_content",
        lasts: Duration::from_secs(8),
    },
];

const DESTINATION: &str = "destination_config";

pub(super) fn trigger() -> Resource {
    Resource::new(TRIGGER)
        .at("/containers/v1/regions/{region}/triggers/{trigger_id}")
        .under(CONTAINER)
        .of_parent()
        .fields(fields())
        .states(
            states("creating", Duration::from_secs(4), "ready")
                .deleting("deleting", Duration::from_secs(3))
                .passing(PASSING),
        )
        .filters(&["container_id"])
        .order(&["created_at", "name"])
        .listed_if(|record, call| {
            in_asked_namespace(record, call)
                && call.query("trigger_type").is_none_or(|asked| record.text("source_type") == asked)
        })
        .permissions(READ, WRITE)
        .made(make)
        .updated(update)
        .settled(no_error)
}

/// Nothing said is told apart from everything else, since a change may say a part only.
fn unsaid(field: Field) -> Field {
    field.default(Value::Null)
}

fn fields() -> Vec<Field> {
    let methods = || vec!["get", "post", "put", "patch", "delete"];
    vec![
        required("container_id").refers_to(CONTAINER).fixed(),
        required("name").text(1..=255),
        optional("description").text(0..=65_536),
        optional("tags").strings(),
        optional(DESTINATION)
            .object([
                unsaid(optional("http_path").text(1..=2048).check(settings::absolute)),
                optional("http_method").one_of(methods),
            ])
            .input_only(),
        optional("cron_config")
            .object([
                unsaid(optional("schedule").text(1..=255).check(schedule)),
                unsaid(optional("timezone").text(1..=255).check(time_zone)),
                unsaid(optional("body").text(0..=65_536)),
                unsaid(optional("headers").text_map()),
            ])
            .input_only(),
        optional("sqs_config")
            .object([
                optional("region").one_of(|| REGIONS.to_vec()),
                unsaid(optional("endpoint").text(1..=2048).check(address)),
                unsaid(optional("queue_url").text(1..=2048).check(address)),
                unsaid(optional("access_key_id").text(1..=255)),
                unsaid(optional("secret_access_key").text(1..=255)),
            ])
            .input_only(),
        optional("nats_config")
            .object([
                unsaid(optional("server_urls").strings().check(servers)),
                unsaid(optional("subject").text(1..=255)),
                unsaid(optional("credentials_file_content").text(1..=65_536)),
            ])
            .input_only(),
        computed("source_type", |_| Ok(Value::Null)),
    ]
}

/// A schedule of five fields, as UNIX's cron takes it.
pub(in crate::services) fn schedule(value: &Value) -> Result<(), String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let help = |error| format!("must be a UNIX cron schedule such as \"5 4 * * *\": {error}");
    parser.parse(value.as_str().unwrap_or_default()).map(drop).map_err(help)
}

pub(in crate::services) fn time_zone(value: &Value) -> Result<(), String> {
    let known = TimeZone::get(value.as_str().unwrap_or_default());
    known.map(drop).map_err(|_| "must be a time zone such as Europe/Paris".into())
}

pub(in crate::services) fn address(value: &Value) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let is_address = text.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some());
    if is_address { Ok(()) } else { Err("must be an address such as https://host/path".into()) }
}

fn servers(value: &Value) -> Result<(), String> {
    let servers = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if servers.is_empty() {
        return Err("must name a server".into());
    }
    servers.iter().try_for_each(address)
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let said = |field: &str| making.input.get(field).is_some_and(|value| !value.is_null());
    let named: Vec<&Source> = SOURCES.iter().filter(|source| said(source.field)).collect();
    let [source] = named[..] else {
        let help = "name exactly one of cron_config, sqs_config and nats_config";
        return Err(Refusal::argument("cron_config", Reason::Required, help));
    };
    making.set("source_type", source.word);
    remember_namespace(making)?;
    configure(making, source)?;
    pass(making, TRIGGER, "creating", source.lasts)
}

fn update(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let word = making.text("source_type").to_owned();
    let says = |field: &str| {
        let parts = making.input.get(field).and_then(Value::as_object);
        parts.is_some_and(|parts| parts.values().any(|value| !value.is_null()))
    };
    if let Some(other) = SOURCES.iter().find(|source| source.word != word && says(source.field)) {
        let help = format!("the trigger's source is {word}, which cannot be changed");
        return Err(Refusal::argument(other.field, Reason::Constraint, help));
    }
    let Some(source) = SOURCES.iter().find(|source| source.word == word) else {
        return Err(Refusal::Internal(format!("a trigger has the source {word:?}")));
    };
    let is_moved = says(source.field) || says(DESTINATION);
    configure(making, source)?;
    if is_moved {
        pass(making, TRIGGER, "updating", source.lasts)?;
    }
    Ok(())
}

/// Lays what is said of the destination and the source over what was there. All of it is kept out
/// of sight; the answer has what is no credential.
fn configure(making: &mut Making<'_, '_>, source: &Source) -> Result<(), Refusal> {
    let was = before(making, TRIGGER);
    let region = making.call.param("region").unwrap_or_default();
    let mut destination = laid_over(json!({"http_path": "/", "http_method": "post"}), &was, making, DESTINATION);
    let defaults = match source.word {
        "cron" => json!({"body": "", "headers": {}}),
        "sqs" => json!({"region": region}),
        _ => json!({}),
    };
    let mut config = laid_over(defaults, &was, making, source.field);
    let missing = source.needs.iter().filter(|part| !config.contains_key(**part));
    let faults: Vec<ArgumentFault> = missing
        .map(|part| {
            ArgumentFault::new(format!("{}.{part}", source.field), Reason::Required, format!("{part} is required"))
        })
        .collect();
    if !faults.is_empty() {
        return Err(Refusal::InvalidArguments(faults));
    }
    for other in &SOURCES {
        making.record.hidden.remove(other.field);
    }
    for (field, parts) in [(DESTINATION, &mut destination), (source.field, &mut config)] {
        making.record.hidden.insert(field.into(), parts.clone().into());
        parts.remove(source.secret);
        making.set(field, parts.clone());
    }
    Ok(())
}

fn laid_over(defaults: Value, was: &Record, making: &Making<'_, '_>, field: &str) -> Map<String, Value> {
    let layers = [Some(&defaults), was.hidden.get(field), making.input.get(field)];
    let parts = layers.into_iter().flatten().filter_map(Value::as_object).flatten();
    parts.filter(|(_, value)| !value.is_null()).map(|(part, value)| (part.clone(), value.clone())).collect()
}

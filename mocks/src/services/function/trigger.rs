//! Trigger: a queue or a subject whose messages call a function.
//!
//! Recorded: the answer has the configuration of its source only; the credentials
//! that Messaging and Queuing makes for it are named once it is ready. Whether queue
//! or account exist is not looked at, and messages never come.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{FUNCTION, READ, TRIGGER, WRITE, hide_times, in_asked_namespace, nothing, remember_namespace};
use crate::{
    api::REGIONS,
    kernel::{Field, Making, Reason, Refusal, Resource, computed, optional, required, states},
    services::containers::{before, trigger::address},
};

/// A source: its word, its field, and what it must say when a trigger is made.
const SOURCES: [(&str, &str, &[&str]); 3] = [
    ("scw_sqs", "scw_sqs_config", &["queue", "mnq_project_id", "mnq_region"]),
    ("scw_nats", "scw_nats_config", &["subject", "mnq_nats_account_id", "mnq_project_id", "mnq_region"]),
    ("sqs", AMAZON, &["endpoint", "queue_url", "access_key", "secret_key"]),
];

/// A queue outside of Scaleway, whose credentials the user brings.
const AMAZON: &str = "sqs_config";

pub(super) fn trigger() -> Resource {
    Resource::new(TRIGGER)
        .at("/functions/v1beta1/regions/{region}/triggers/{trigger_id}")
        .under(FUNCTION)
        .of_parent()
        .fields(fields())
        .states(
            states("creating", Duration::from_secs(8), "ready")
                .deleting("deleting", Duration::from_secs(3))
                .passing(&["pending"]),
        )
        .filters(&["function_id"])
        .listed_if(in_asked_namespace)
        .permissions(READ, WRITE)
        .made(make)
        .updated(update)
        .settled(settle)
}

fn fields() -> Vec<Field> {
    let part = |name: &'static str| optional(name).text(1..=2048).default(Value::Null);
    let regions = || optional("mnq_region").one_of(|| REGIONS.to_vec());
    vec![
        required("function_id").refers_to(FUNCTION).fixed(),
        required("name").text(1..=255),
        optional("description").text(0..=65_536),
        optional("scw_sqs_config").object([part("queue"), part("mnq_project_id"), regions()]).input_only(),
        optional("scw_nats_config")
            .object([part("subject"), part("mnq_nats_account_id"), part("mnq_project_id"), regions()])
            .input_only(),
        optional(AMAZON)
            .object([
                part("endpoint").check(address),
                part("queue_url").check(address),
                part("access_key"),
                part("secret_key"),
            ])
            .input_only(),
        computed("input_type", nothing),
        computed("error_message", nothing),
    ]
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    hide_times(making);
    let said = |field: &str| making.input.get(field).filter(|config| config.is_object());
    let named: Vec<_> = SOURCES.iter().filter_map(|source| Some((source, said(source.1)?))).collect();
    let [((word, field, needs), config)] = named[..] else {
        let help = "name exactly one of scw_sqs_config, scw_nats_config and sqs_config";
        return Err(Refusal::argument("scw_sqs_config", Reason::Required, help));
    };
    if let Some(part) = needs.iter().find(|part| config[**part].is_null()) {
        return Err(Refusal::argument(format!("{field}.{part}"), Reason::Required, format!("{part} is required")));
    }
    let mut told: Map<String, Value> = config.as_object().cloned().unwrap_or_default();
    for (_, other, _) in SOURCES.iter().filter(|source| source.1 != *field) {
        making.record.hidden.remove(*other);
    }
    making.set("input_type", *word);
    if *field == AMAZON {
        told.remove("secret_key");
    } else {
        making.record.hidden.remove(*field);
        told.insert("mnq_credential_id".into(), Value::Null);
    }
    making.set(field, told);
    remember_namespace(making)
}

/// Of its source, only a queue's credentials can be changed.
fn update(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let was = before(making, TRIGGER);
    for (_, field, _) in &SOURCES {
        match was.hidden.get(*field) {
            Some(kept) => drop(making.record.hidden.insert((*field).to_owned(), kept.clone())),
            None => drop(making.record.hidden.remove(*field)),
        }
    }
    let said = making.input.get(AMAZON).and_then(Value::as_object);
    let Some(said) = said.filter(|_| was.text("input_type") == "sqs") else {
        return Ok(());
    };
    let mut config = was.hidden.get(AMAZON).and_then(Value::as_object).cloned().unwrap_or_default();
    for part in ["access_key", "secret_key"] {
        if let Some(value) = said.get(part).filter(|value| !value.is_null()) {
            config.insert(part.into(), value.clone());
        }
    }
    making.record.hidden.insert(AMAZON.into(), config.clone().into());
    config.remove("secret_key");
    making.set(AMAZON, config);
    Ok(())
}

/// Messaging and Queuing has made credentials for it.
fn settle(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let id = making.tx.ids().uuid();
    for field in ["scw_sqs_config", "scw_nats_config"] {
        if let Some(config) = making.record.body.get_mut(field).and_then(Value::as_object_mut)
            && config.get("mnq_credential_id").is_none_or(Value::is_null)
        {
            config.insert("mnq_credential_id".into(), id.clone().into());
        }
    }
    Ok(())
}

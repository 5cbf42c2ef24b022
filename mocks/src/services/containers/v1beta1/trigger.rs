//! Trigger: a queue or a subject whose messages call a container.
//!
//! Of Messaging and Queuing it names queue or subject and project, where v1 has
//! addresses and credentials: those that the product would make are made up here.
//! Whether queue or account exist is not looked at.

use serde_json::{Map, Value, json};

use super::{error_message, part, said};
use crate::{
    api::REGIONS,
    kernel::{Act, Field, Making, Reason, Record, Refusal, Resource, optional, required, told},
    services::containers::{READ, TRIGGER, WRITE, trigger::address},
};

/// A source that is asked for: its field, its word, and what it must say.
struct Source {
    field: &'static str,
    word: &'static str,
    needs: &'static [&'static str],
}

const SOURCES: [Source; 3] = [
    Source { field: "scw_sqs_config", word: "scw_sqs", needs: &["queue", "mnq_project_id", "mnq_region"] },
    Source {
        field: "scw_nats_config",
        word: "scw_nats",
        needs: &["subject", "mnq_nats_account_id", "mnq_project_id", "mnq_region"],
    },
    Source { field: "sqs_config", word: "sqs", needs: &["endpoint", "queue_url", "access_key", "secret_key"] },
];

/// Where a record keeps what v1 has no word for, hidden.
const CREDENTIAL: &str = "mnq_credential_id";
const ACCOUNT: &str = "mnq_nats_account";

pub(super) fn trigger() -> Resource {
    Resource::new("containers.trigger_v1beta1")
        .view_of(TRIGGER)
        .called("trigger")
        .showing(|record| record.text("source_type") != "cron")
        .at("/containers/v1beta1/regions/{region}/triggers/{trigger_id}")
        .untimed()
        .fields(fields())
        .calling(&[("updating", "pending")])
        .filters(&["container_id"])
        .permissions(READ, WRITE)
        .saying(say)
        .made(make)
}

fn fields() -> Vec<Field> {
    let part = |name: &'static str| optional(name).text(1..=2048).default(Value::Null);
    let word = |name: &'static str| part(name).check(one_word);
    let regions = || optional("mnq_region").one_of(|| REGIONS.to_vec());
    vec![
        required("container_id").uuid(),
        required("name").text(1..=255),
        optional("description").text(0..=65_536),
        optional("scw_sqs_config").object([word("queue"), word("mnq_project_id"), regions()]).told(told_queue),
        optional("scw_nats_config")
            .object([part("subject"), part("mnq_nats_account_id"), part("mnq_project_id"), regions()])
            .told(told_subject),
        optional("sqs_config")
            .object([
                part("endpoint").check(address),
                part("queue_url").check(address),
                part("access_key"),
                part("secret_key"),
            ])
            .told(told_foreign_queue),
        told("input_type", |record| Some(input_type(record).into())),
        error_message(),
    ]
}

/// A rule: what can be a part of an address.
fn one_word(value: &Value) -> Result<(), String> {
    let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if value.as_str().is_some_and(is_word) {
        Ok(())
    } else {
        Err("must consist of letters, digits, '-' and '_'".into())
    }
}

fn sqs_host(region: &str) -> String {
    format!("https://sqs.mnq.{region}.scaleway.com")
}

fn nats_host(region: &str) -> String {
    format!("nats://nats.mnq.{region}.scaleway.com:4222")
}

/// Region, project and name of a queue of Messaging and Queuing.
fn queue(record: &Record) -> Option<(&'static str, &str, &str)> {
    let url = part(record, "sqs_config", "queue_url")?.as_str()?;
    REGIONS.iter().find_map(|region| {
        let (project, queue) = url.strip_prefix(&sqs_host(region))?.strip_prefix("/project-")?.split_once('/')?;
        Some((*region, project, queue))
    })
}

/// The region of a subject of Messaging and Queuing, and its account and project.
fn subject(record: &Record) -> Option<(&'static str, &Value)> {
    let server = part(record, "nats_config", "server_urls")?.get(0)?.as_str()?;
    let region = REGIONS.iter().find(|region| nats_host(region) == server)?;
    Some((region, record.hidden.get(ACCOUNT)?))
}

fn input_type(record: &Record) -> &'static str {
    match record.text("source_type") {
        "sqs" if queue(record).is_some() => "scw_sqs",
        "sqs" => "sqs",
        _ if subject(record).is_some() => "scw_nats",
        _ => "nats",
    }
}

/// The credentials that Messaging and Queuing makes are named once the trigger is there.
fn credential(record: &Record) -> Value {
    let there = record.text("status") != "creating";
    record.hidden.get(CREDENTIAL).filter(|_| there).cloned().unwrap_or_default()
}

fn told_queue(record: &Record) -> Option<Value> {
    let (region, project, queue) = queue(record)?;
    let told = json!({"queue": queue, "mnq_project_id": project, "mnq_region": region, CREDENTIAL: credential(record)});
    Some(told)
}

fn told_subject(record: &Record) -> Option<Value> {
    let (region, account) = subject(record)?;
    let mut told = account.clone();
    told["subject"] = part(record, "nats_config", "subject")?.clone();
    told["mnq_region"] = region.into();
    told[CREDENTIAL] = credential(record);
    Some(told)
}

/// A queue outside of Scaleway, without its secret.
fn told_foreign_queue(record: &Record) -> Option<Value> {
    if input_type(record) != "sqs" {
        return None;
    }
    let of = |name: &str| part(record, "sqs_config", name).cloned().unwrap_or_default();
    Some(json!({"endpoint": of("endpoint"), "queue_url": of("queue_url"), "access_key": of("access_key_id")}))
}

fn say(act: &mut Act<'_, '_>, said: &Map<String, Value>, body: &mut Map<String, Value>) -> Result<(), Refusal> {
    let named: Vec<(&Source, &Value)> =
        SOURCES.iter().filter_map(|source| Some((source, said.get(source.field)?))).collect();
    if let Some(key) = act.call.param("trigger_id") {
        let record = act.find(TRIGGER, key)?;
        return change(&record, &named, body);
    }
    let [(source, config)] = named[..] else {
        let help = "name exactly one of scw_sqs_config, scw_nats_config and sqs_config";
        return Err(Refusal::argument("scw_sqs_config", Reason::Required, help));
    };
    if let Some(part) = source.needs.iter().find(|part| config[**part].is_null()) {
        let argument = format!("{}.{part}", source.field);
        return Err(Refusal::argument(argument, Reason::Required, format!("{part} is required")));
    }
    let text = |part: &str| config[part].as_str().unwrap_or_default();
    let (key, secret) = (act.tx.ids().uuid(), act.tx.ids().uuid());
    let region = text("mnq_region");
    let (field, said) = match source.word {
        "scw_sqs" => {
            let host = sqs_host(region);
            let url = format!("{host}/project-{}/{}", text("mnq_project_id"), text("queue"));
            let queue = json!({
                "region": region, "endpoint": host, "queue_url": url,
                "access_key_id": key, "secret_access_key": secret,
            });
            ("sqs_config", queue)
        }
        "scw_nats" => {
            let servers = [nats_host(region)];
            let subject = text("subject");
            let subject = json!({"server_urls": servers, "subject": subject, "credentials_file_content": secret});
            ("nats_config", subject)
        }
        _ => {
            let queue = json!({
                "endpoint": config["endpoint"], "queue_url": config["queue_url"],
                "access_key_id": config["access_key"], "secret_access_key": config["secret_key"],
            });
            ("sqs_config", queue)
        }
    };
    body.insert(field.into(), said);
    Ok(())
}

/// Of its source, only the credentials of a queue outside of Scaleway can be changed.
fn change(record: &Record, named: &[(&Source, &Value)], body: &mut Map<String, Value>) -> Result<(), Refusal> {
    let is = input_type(record);
    for (source, config) in named {
        if source.word != "sqs" || is != "sqs" {
            let help = format!("the trigger's source is {is}, which cannot be changed");
            return Err(Refusal::argument(source.field, Reason::Constraint, help));
        }
        let access = json!({"access_key_id": config["access_key"], "secret_access_key": config["secret_key"]});
        body.insert("sqs_config".into(), access);
    }
    Ok(())
}

/// Remembers what v1 has no word for.
fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let config = |field: &str| said(making.call).and_then(|said| said.get(field)).cloned();
    let (queue, subject) = (config("scw_sqs_config"), config("scw_nats_config"));
    if queue.is_some() || subject.is_some() {
        let id = making.tx.ids().uuid();
        making.record.hidden.insert(CREDENTIAL.into(), id.into());
    }
    if let Some(nats) = subject {
        let account =
            json!({"mnq_nats_account_id": nats["mnq_nats_account_id"], "mnq_project_id": nats["mnq_project_id"]});
        making.record.hidden.insert(ACCOUNT.into(), account);
    }
    Ok(())
}

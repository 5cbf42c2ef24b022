//! Function: code that is run behind an endpoint as requests come in.
//!
//! Recorded: it is `created` until it is deployed or changed, then `pending`, and
//! `ready` at the end; without code it ends in `error` with the message "internal
//! error". `ready_at` is of the first time. Processor shares follow from the memory.

use std::time::Duration;

use serde_json::{Value, json};

use super::{FUNCTION, NAMESPACE, READ, TOKEN, WRITE, code, environment, in_asked_namespace, nothing, runtime};
use crate::{
    kernel::{
        Act, Answer, Field, Making, Passage, Reason, Record, Refusal, Resource, computed, optional, required, rfc3339,
        states,
    },
    services::{
        containers::{
            before,
            container::label,
            environment::plain,
            namespace::LABEL,
            region,
            settings::{duration, tidy},
        },
        ipam::{self, Holder},
    },
};

const ITEM: &str = "/functions/v1beta1/regions/{region}/functions/{function_id}";
const DEPLOY: &str = "/functions/v1beta1/regions/{region}/functions/{function_id}/deploy";
const UPLOAD: &str = "/functions/v1beta1/regions/{region}/functions/{function_id}/upload-url";
const DOWNLOAD: &str = "/functions/v1beta1/regions/{region}/functions/{function_id}/download-url";

/// How long it takes until code is built and deployed (recorded: 70 to 200 s), until the lack of code
/// shows (recorded: 1 to 6 s), and to remove a function.
const BUILD: Duration = Duration::from_secs(90);
const MISTAKE: Duration = Duration::from_secs(2);
const REMOVAL: Duration = Duration::from_secs(3);

/// How many an organisation may have, and how much memory all together at their largest scale, in MB
/// (documented).
const MOST: u64 = 1000;
const MOST_MEMORY: u64 = 600 << 10;

/// Memory in MB, and the processor's share that comes with it in mvCPU (documented).
const TIERS: [(u64, u64); 7] =
    [(128, 70), (256, 140), (512, 280), (1024, 560), (2048, 1120), (3072, 1680), (4096, 2240)];

pub(super) fn function() -> Resource {
    Resource::new(FUNCTION)
        .at(ITEM)
        .under(NAMESPACE)
        .of_parent()
        .fields(fields())
        .states(states("pending", BUILD, "ready").deleting("deleting", REMOVAL).passing(&["creating"]))
        .filters(&["name"])
        .order(&["created_at", "name"])
        .listed_if(in_asked_namespace)
        .permissions(READ, WRITE)
        .made(make)
        .updated(update)
        .settled(built)
        .deleted(withdraw)
        .act("POST", DEPLOY, deploy)
        .act("GET", UPLOAD, code::upload_url)
        .act("GET", DOWNLOAD, code::download_url)
}

fn fields() -> Vec<Field> {
    vec![
        required("namespace_id").refers_to(NAMESPACE).fixed(),
        required("name").text(1..=34).check(label).fixed(),
        required("runtime").one_of(runtime::names),
        optional("handler").text(0..=1024),
        optional("description").text(0..=65_536),
        optional("tags").strings(),
        optional("min_scale").integer(0..=50),
        optional("max_scale").integer(1..=50).default(20),
        optional("memory_limit").integer(0..=4096).check(tier).default(256),
        optional("timeout").text(0..=32).check(request_time).default("300s"),
        optional("privacy").one_of(|| vec!["public", "private"]).default("public"),
        optional("http_option").one_of(|| vec!["enabled", "redirected"]).default("enabled"),
        optional("sandbox").one_of(|| vec!["v1", "v2"]).default("v2"),
        optional("private_network_id").holds("vpc.private_network"),
        // Only updates say it.
        optional("redeploy").flag().default(Value::Null).input_only(),
        plain(),
        environment::secret(),
        computed("cpu_limit", |_| Ok(Value::Null)),
        computed("domain_name", domain_name),
        computed("region", region),
        computed("ready_at", nothing),
        computed("error_message", nothing),
        computed("build_message", nothing),
        computed("runtime_message", |_| Ok("".into())),
    ]
}

fn tier(value: &Value) -> Result<(), String> {
    if TIERS.iter().any(|(memory, _)| value.as_u64() == Some(*memory)) {
        return Ok(());
    }
    let tiers: Vec<String> = TIERS.iter().map(|(memory, _)| memory.to_string()).collect();
    Err(format!("must be one of {}", tiers.join(", ")))
}

/// At most 15 minutes (documented).
fn request_time(value: &Value) -> Result<(), String> {
    match value.as_str().and_then(duration) {
        Some(time) if !time.is_zero() && time <= Duration::from_secs(900) => Ok(()),
        _ => Err("must be a duration of at most 900s".into()),
    }
}

/// `<namespace's name, 20 letters and digits><8 random ones>-<name>.…` (recorded).
fn domain_name(making: &mut Making<'_, '_>) -> Result<Value, Refusal> {
    let (id, name) = (making.text("namespace_id").to_owned(), making.text("name").to_owned());
    let namespace = making.act(NAMESPACE, |act| act.find(NAMESPACE, &id))?;
    let region = making.call.param("region").unwrap_or_default();
    Ok(format!("{}-{name}.functions.fnc.{region}.scw.cloud", namespace.text_or_hidden(LABEL)).into())
}

/// The function that the path names.
pub(super) fn id(act: &Act<'_, '_>) -> String {
    act.call.param("function_id").unwrap_or_default().to_owned()
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let (namespace, name) = (making.text("namespace_id").to_owned(), making.text("name").to_owned());
    making.act(NAMESPACE, |act| act.find_settled(NAMESPACE, &namespace).map(drop))?;
    // One name is one host name; one that is going makes room.
    let same = |other: &Record| other.text("namespace_id") == namespace && other.text("name") == name;
    if making.tx.tables().all(FUNCTION).any(|(_, other)| same(other) && other.text("status") != "deleting") {
        return Err(Refusal::argument("name", Reason::Constraint, format!("{name} already exists in the namespace")));
    }
    let others = making.tx.tables().all(FUNCTION).filter(|(_, other)| is_mine(making, other)).count() as u64;
    if others >= MOST {
        return Err(Refusal::QuotaExceeded { resource: "functions_function".into(), quota: MOST, current: others });
    }
    settle(making)?;
    attach(making)?;
    // Nothing is built before somebody asks for it.
    making.set("status", "created");
    making.record.next = None;
    Ok(())
}

fn update(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    settle(making)?;
    let was = before(making, FUNCTION);
    if making.input.contains_key("private_network_id")
        && making.text("private_network_id") != was.text("private_network_id")
    {
        let key = making.key;
        making.act(FUNCTION, |act| {
            ipam::release(act, key, None);
            Ok(())
        })?;
        attach(making)?;
    }
    let builds = |(field, value): (&String, &Value)| match field.as_str() {
        "description" | "tags" => false,
        "redeploy" => value == &json!(true),
        _ => true,
    };
    if making.input.iter().any(builds) {
        let mut record = std::mem::take(making.record);
        let key = making.key.to_owned();
        let passed = making.act(FUNCTION, |act| {
            build(act, &key, &mut record);
            Ok(())
        });
        *making.record = record;
        passed?;
    }
    Ok(())
}

/// Brings what was said into the form that is answered, and checks what concerns several fields.
fn settle(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    environment::keep_secrets(making, FUNCTION)?;
    making.record.hidden.remove("redeploy");
    let timeout = tidy(making.text("timeout"));
    making.set("timeout", timeout);
    if making.text("handler").is_empty() {
        let handler = runtime::default_handler(making.text("runtime"));
        making.set("handler", handler);
    }
    let memory = number(making.record, "memory_limit");
    let share = TIERS.iter().find(|(tier, _)| *tier == memory).map_or(0, |(_, share)| *share);
    making.set("cpu_limit", share);
    if number(making.record, "min_scale") > number(making.record, "max_scale") {
        return Err(Refusal::argument("min_scale", Reason::Constraint, "must not be greater than max_scale"));
    }
    let others = making.tx.tables().all(FUNCTION).filter(|(key, other)| *key != making.key && is_mine(making, other));
    let others = others.fold(0, |sum: u64, (_, other)| sum.saturating_add(largest(other)));
    if others.saturating_add(largest(making.record)) > MOST_MEMORY {
        let resource = "functions_memory".into();
        return Err(Refusal::QuotaExceeded { resource, quota: MOST_MEMORY, current: others });
    }
    Ok(())
}

/// Whether a function is the same organisation's as the one in the making, and there to stay.
fn is_mine(making: &Making<'_, '_>, other: &Record) -> bool {
    let namespace = making.tx.get(NAMESPACE, other.text("namespace_id"));
    namespace.is_some_and(|namespace| namespace.text("organization_id") == making.call.caller.organization_id)
        && other.text("status") != "deleting"
}

fn number(record: &Record, field: &str) -> u64 {
    record.body.get(field).and_then(Value::as_u64).unwrap_or_default()
}

/// The memory of a function at its largest scale.
fn largest(record: &Record) -> u64 {
    number(record, "memory_limit").saturating_mul(number(record, "max_scale"))
}

/// Takes an address of the function's private network, if it has one.
fn attach(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let (network, namespace) = (making.text("private_network_id").to_owned(), making.text("namespace_id").to_owned());
    if network.is_empty() {
        return Ok(());
    }
    let (id, name) = (making.key, making.text("name").to_owned());
    making.act(FUNCTION, |act| {
        let project = act.find(NAMESPACE, &namespace)?.text("project_id").to_owned();
        let holder = Holder { id, kind: "serverless_function", name: &name, project: &project, tags: &[] };
        ipam::assign(act, &network, None, &holder).map(drop)
    })
}

/// The code is built and deployed. An error message is about the past and goes.
fn build(act: &mut Act<'_, '_>, key: &str, record: &mut Record) {
    let is_there = code::is_there(act.tx.tables(), record.text("region"), key);
    act.pass_through(FUNCTION, record, "pending", if is_there { BUILD } else { MISTAKE });
    record.body.insert("error_message".into(), Value::Null);
}

/// It is deployed, or there was nothing to deploy.
fn built(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let now = rfc3339(making.tx.now());
    if !code::is_there(making.tx.tables(), making.text("region"), making.key) {
        making.set("status", "error");
        making.set("error_message", "internal error");
    } else if making.text("ready_at").is_empty() {
        making.set("ready_at", now.clone());
    }
    making.set("updated_at", now);
    Ok(())
}

/// POST deploy.
fn deploy(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = id(act);
    let mut record = Record::clone(&*act.find_settled(FUNCTION, &key)?);
    build(act, &key, &mut record);
    Ok(Answer::record(&act.change(FUNCTION, &key, record, "deployed")))
}

/// What happens when a function is deleted, by itself or with its namespace: its address is free at
/// once, since the provider deletes the network without waiting, its tokens open nothing, its code goes.
pub(super) fn withdraw(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    ipam::release(act, key, None);
    let tokens = act.tx.tables().all(TOKEN).filter(|(_, token)| token.text("function_id") == key);
    let tokens: Vec<String> = tokens.map(|(id, _)| id.to_owned()).collect();
    for token in tokens {
        act.erase(TOKEN, &token);
    }
    let region = act.call.param("region").unwrap_or_default();
    code::remove(act.tx, region, key);
    Ok(())
}

/// Sends a function on its way out, as its namespace's deletion does.
pub(super) fn part(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let mut record = Record::clone(&*act.find(FUNCTION, key)?);
    if record.text("status") != "deleting" {
        record.body.insert("status".into(), json!("deleting"));
        record.next = Some(Passage { to: None, due: act.tx.now() + act.tx.lasts(REMOVAL) });
        act.change(FUNCTION, key, record, "state");
    }
    Ok(())
}

//! Container: an image that is run behind an endpoint as requests come in.
//!
//! Recorded: its defaults; `private_network_id` is absent when there is none;
//! `error_message` is absent until it settles, `""` then; every change but one of
//! description and tags passes through `updating`. A change says
//! `https_connection_only` where everything else says `https_connections_only`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    CONTAINER, NAMESPACE, PASSING, READ, TOKEN, WRITE, before, environment, in_asked_namespace,
    namespace::{LABEL, letters},
    no_error, pass, plane, region, settings,
};
use crate::{
    kernel::{
        Act, Answer, Field, Making, Passage, Reason, Record, Refusal, Resource, computed, optional, required, rfc3339,
        states,
    },
    services::ipam::{self, Holder},
};

/// How long a deployment and a removal take (recorded: 10 to 20 s, and less than 5 s).
const DEPLOYMENT: Duration = Duration::from_secs(12);
const REMOVAL: Duration = Duration::from_secs(3);

/// How many containers an organisation may have, and how much memory all together at their largest
/// scale, in bytes (documented).
const MOST: u64 = 1000;
const MOST_MEMORY: u64 = 600 << 30;

/// Ports that the product uses itself (documented).
const TAKEN_PORTS: [i64; 6] = [8008, 8012, 8013, 8022, 9090, 9091];

/// Where a container keeps when it was last deployed, hidden: only v1beta1 tells it.
pub(super) const READY_AT: &str = "ready_at";

pub(super) fn container() -> Resource {
    Resource::new(CONTAINER)
        .at("/containers/v1/regions/{region}/containers/{container_id}")
        .under(NAMESPACE)
        .of_parent()
        .fields(fields())
        .states(states("creating", DEPLOYMENT, "ready").deleting("deleting", REMOVAL).passing(PASSING))
        .filters(&["name"])
        .order(&["created_at", "name"])
        .listed_if(in_asked_namespace)
        .permissions(READ, WRITE)
        .made(make)
        .updated(apply)
        .settled(deployed)
        .deleted(withdraw)
        .act("POST", "/containers/v1/regions/{region}/containers/{container_id}/redeploy", redeploy)
}

fn fields() -> Vec<Field> {
    vec![
        required("namespace_id").refers_to(NAMESPACE).fixed(),
        // With the namespace's 28 characters and a dash, the endpoint's label is full at 63.
        required("name").text(1..=34).check(label).fixed(),
        required("image").text(1..=1024),
        optional("description").text(0..=65_536),
        optional("tags").strings(),
        optional("min_scale").integer(0..=50),
        optional("max_scale").integer(1..=50).default(5),
        optional("memory_limit_bytes").integer(128_000_000..=12_228_000_000).default(2_048_000_000_u64),
        optional("mvcpu_limit").integer(70..=6000).default(1000),
        optional("local_storage_limit_bytes").integer(1..=24_000 << 20).default(1_000_000_000),
        optional("timeout").text(0..=32).check(settings::request_time).default("300s"),
        optional("privacy").one_of(|| vec!["public", "private"]).default("public"),
        optional("protocol").one_of(|| vec!["http1", "h2c"]).default("http1"),
        optional("port").integer(1..=65_535).check(free_port).default(8080),
        optional("https_connections_only").flag(),
        // Only updates say it so.
        optional("https_connection_only").flag().default(Value::Null).input_only(),
        optional("sandbox").one_of(|| vec!["v1", "v2"]).default("v2"),
        settings::scaling().default(settings::default_scaling()),
        settings::probe("liveness_probe").default(settings::default_probe()),
        settings::probe("startup_probe"),
        optional("private_network_id").holds("vpc.private_network"),
        optional("command").strings(),
        optional("args").strings(),
        environment::plain(),
        environment::secret(),
        computed("public_endpoint", endpoint),
        computed("region", region),
    ]
}

/// A part of a host name.
pub(in crate::services) fn label(value: &Value) -> Result<(), String> {
    let name = value.as_str().unwrap_or_default();
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.chars().all(inside) && !name.starts_with('-') && !name.ends_with('-') {
        Ok(())
    } else {
        Err("must consist of lower case alphanumeric characters or '-', and start and end with an alphanumeric one"
            .into())
    }
}

pub(super) fn free_port(value: &Value) -> Result<(), String> {
    match value.as_i64() {
        Some(port) if TAKEN_PORTS.contains(&port) => Err(format!("{port} is used by the product itself")),
        _ => Ok(()),
    }
}

/// `https://<namespace's name, 20 letters and digits><its identifier's first 8>-<name>.…` (recorded); in a
/// namespace that v1beta1 made, its label takes the place of both (recorded).
fn endpoint(making: &mut Making<'_, '_>) -> Result<Value, Refusal> {
    let (id, name) = (making.text("namespace_id").to_owned(), making.text("name").to_owned());
    let namespace = making.act(NAMESPACE, |act| act.find(NAMESPACE, &id))?;
    let of_id: String = id.chars().take(8).collect();
    let label = match namespace.text_or_hidden(LABEL) {
        "" => format!("{}{of_id}", letters(namespace.text("name"))),
        label => label.to_owned(),
    };
    let region = making.call.param("region").unwrap_or_default();
    Ok(format!("https://{label}-{name}.functions.fnc.{region}.scw.cloud").into())
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let (namespace, name) = (making.text("namespace_id").to_owned(), making.text("name").to_owned());
    making.act(NAMESPACE, |act| act.find_settled(NAMESPACE, &namespace).map(drop))?;
    // "Name must be unique inside the given namespace" (SDK); one that is going makes room.
    let same = |other: &Record| other.text("namespace_id") == namespace && other.text("name") == name;
    if making.tx.tables().all(CONTAINER).any(|(_, other)| same(other) && other.text("status") != "deleting") {
        return Err(Refusal::argument("name", Reason::Constraint, format!("{name} already exists in the namespace")));
    }
    let others = making.tx.tables().all(CONTAINER).filter(|(_, other)| is_mine(making, other)).count() as u64;
    if others >= MOST {
        return Err(Refusal::QuotaExceeded { resource: "containers_container".into(), quota: MOST, current: others });
    }
    making.record.hidden.remove("https_connection_only");
    settle(making)?;
    plane::deploy(making.record);
    attach(making)
}

/// A change: what was said of it is checked and carried out, and the container deployed anew.
fn apply(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    making.record.hidden.remove("https_connection_only");
    let was = before(making, CONTAINER);
    let only_https = making.input.get("https_connection_only").or(was.body.get("https_connections_only")).cloned();
    making.set("https_connections_only", only_https.unwrap_or_default());
    settle(making)?;
    if making.input.contains_key("private_network_id")
        && making.text("private_network_id") != was.text("private_network_id")
    {
        let key = making.key;
        making.act(CONTAINER, |act| {
            ipam::release(act, key, None);
            Ok(())
        })?;
        attach(making)?;
    }
    if making.input.keys().any(|field| !matches!(field.as_str(), "description" | "tags" | "https_connections_only")) {
        renew(making)?;
    }
    Ok(())
}

/// Sends a container that is being changed through a deployment.
pub(super) fn renew(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    plane::deploy(making.record);
    pass(making, CONTAINER, "updating", DEPLOYMENT)
}

/// A deployment has come to its end: what was said last is what runs, or would.
fn deployed(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let now = rfc3339(making.tx.now());
    making.record.hidden.insert(READY_AT.into(), now.into());
    no_error(making)
}

/// Brings what was said into the form that is answered, and checks what concerns several fields.
fn settle(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    environment::keep_secrets(making, CONTAINER)?;
    let was = before(making, CONTAINER);
    let of = |field: &str| was.body.get(field).cloned().unwrap_or_default();
    let timeout = settings::tidy(making.text("timeout"));
    making.set("timeout", timeout);
    for field in ["liveness_probe", "startup_probe"] {
        if let Some(said) = making.input.get(field).filter(|said| !said.is_null()) {
            let probe = settings::settle_probe(field, &of(field), said)?;
            making.set(field, probe);
        }
    }
    if let Some(said) = making.input.get("scaling_option") {
        let scaling = settings::settle_scaling(&of("scaling_option"), said)?;
        making.set("scaling_option", scaling);
    }
    if number(making.record, "min_scale") > number(making.record, "max_scale") {
        return Err(Refusal::argument("min_scale", Reason::Constraint, "must not be greater than max_scale"));
    }
    if making.text("private_network_id").is_empty() {
        making.record.body.remove("private_network_id");
    }
    let tables = making.tx.tables();
    let others = tables.all(CONTAINER).filter(|(key, other)| *key != making.key && is_mine(making, other));
    let others = others.fold(0, |sum: u64, (_, other)| sum.saturating_add(largest(other)));
    if others.saturating_add(largest(making.record)) > MOST_MEMORY {
        let resource = "containers_memory".into();
        return Err(Refusal::QuotaExceeded { resource, quota: MOST_MEMORY, current: others });
    }
    Ok(())
}

/// Whether a container is the same organisation's as the one in the making, and there to stay.
fn is_mine(making: &Making<'_, '_>, other: &Record) -> bool {
    let organization = making.tx.get(NAMESPACE, other.text("namespace_id"));
    organization.is_some_and(|namespace| namespace.text("organization_id") == making.call.caller.organization_id)
        && other.text("status") != "deleting"
}

fn number(record: &Record, field: &str) -> u64 {
    record.body.get(field).and_then(Value::as_u64).unwrap_or_default()
}

/// The memory of a container at its largest scale.
fn largest(record: &Record) -> u64 {
    number(record, "memory_limit_bytes").saturating_mul(number(record, "max_scale"))
}

/// Takes an address of the container's private network, if it has one.
fn attach(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let (network, namespace) = (making.text("private_network_id").to_owned(), making.text("namespace_id").to_owned());
    if network.is_empty() {
        return Ok(());
    }
    let (id, name) = (making.key, making.text("name").to_owned());
    making.act(CONTAINER, |act| {
        let project = act.find(NAMESPACE, &namespace)?.text("project_id").to_owned();
        let holder = Holder { id, kind: "serverless_container", name: &name, project: &project, tags: &[] };
        ipam::assign(act, &network, None, &holder).map(drop)
    })
}

/// What happens when a container is deleted, by itself or with its namespace: its address is free
/// at once, since the provider deletes the network without waiting, and its tokens open nothing.
pub(super) fn withdraw(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    ipam::release(act, key, None);
    let tokens = act.tx.tables().all(TOKEN).filter(|(_, token)| token.text("container_id") == key);
    let tokens: Vec<String> = tokens.map(|(id, _)| id.to_owned()).collect();
    for token in tokens {
        act.erase(TOKEN, &token);
    }
    Ok(())
}

/// Sends a container on its way out, as its namespace's deletion does.
pub(super) fn part(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let mut record = Record::clone(&*act.find(CONTAINER, key)?);
    if record.text("status") != "deleting" {
        record.body.insert("status".into(), json!("deleting"));
        record.next = Some(Passage { to: None, due: act.tx.now() + act.tx.lasts(REMOVAL) });
        act.change(CONTAINER, key, record, "state");
    }
    Ok(())
}

/// POST redeploy: new instances with the image's latest version.
fn redeploy(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    deploy_anew(act, "redeployed").map(|record| Answer::record(&record))
}

/// Deploys the container that the path names, for the first time or anew; leaves an event of that name.
pub(super) fn deploy_anew(act: &mut Act<'_, '_>, what: &str) -> Result<Record, Refusal> {
    let key = act.call.param("container_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled(CONTAINER, &key)?);
    let through = if record.text("status") == "created" { "creating" } else { "updating" };
    act.pass_through(CONTAINER, &mut record, through, DEPLOYMENT);
    plane::deploy(&mut record);
    record.body.remove("error_message");
    Ok(act.change(CONTAINER, &key, record, what))
}

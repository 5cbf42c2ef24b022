//! Endpoints of instances and read replicas: in private networks, and public ones.

use std::time::Duration;

use serde_json::{Value, json};

use super::{plane, replica::show_on_instance};
use crate::{
    kernel::{Act, Answer, Field, Look, Making, Reason, Record, Refusal, Tables, Transaction, optional},
    services::ipam::{self, Holder},
};

/// The kinds of resources that have endpoints.
const KINDS: [&str; 2] = ["rdb.instance", "rdb.read_replica"];

/// Whose an endpoint is.
pub(super) struct Home<'a> {
    /// The identifier of the instance or replica.
    pub(super) id: &'a str,
    /// The instance's name.
    pub(super) name: &'a str,
    /// Its project.
    pub(super) project: &'a str,
}

impl Home<'_> {
    fn holder(&self) -> Holder<'_> {
        let tags = &["managed", "scwdbaas"];
        Holder { id: self.id, kind: "rdb_instance", name: self.name, project: self.project, tags }
    }
}

/// What is asked of an endpoint: exactly one of them, `direct_access` of replicas only.
pub(super) fn spec() -> [Field; 3] {
    [
        optional("private_network").object([
            optional("private_network_id").refers_to("vpc.private_network"),
            optional("service_ip").text(0..=64),
            optional("ipam_config").object([]),
        ]),
        optional("load_balancer").object([]),
        optional("direct_access").object([]),
    ]
}

/// Attaches a new instance to the private networks it asks for. The public endpoint comes with `ready`.
pub(super) fn attach_private(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let asked = making.record.hidden.remove("init_endpoints").unwrap_or_default();
    let asked = asked.as_array().cloned().unwrap_or_default();
    let mut endpoints = Vec::new();
    let mut public = asked.is_empty();
    let (id, name, project) =
        (making.key.to_owned(), making.text("name").to_owned(), making.text("project_id").to_owned());
    let home = Home { id: &id, name: &name, project: &project };
    for spec in &asked {
        match spec.get("private_network").filter(|spec| !spec.is_null()) {
            Some(network) => endpoints.push(making.act("rdb.instance", |act| in_network(act, network, &home))?),
            None => public = true,
        }
    }
    making.set("endpoints", endpoints);
    if public {
        making.record.hidden.insert("public_endpoint".into(), json!(true));
    }
    Ok(())
}

/// An endpoint in a private network: with the address asked for, else the first free one.
pub(super) fn in_network(act: &mut Act<'_, '_>, spec: &Value, home: &Home<'_>) -> Result<Value, Refusal> {
    let text = |field: &str| spec.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let network = text("private_network_id").ok_or_else(|| {
        Refusal::argument("private_network.private_network_id", Reason::Required, "private_network_id is required")
    })?;
    let asked = text("service_ip");
    let address = ipam::assign(act, network, asked, &home.holder())?;
    let zone = format!("{}-1", act.call.param("region").unwrap_or("fr-par"));
    let endpoint = act.tx.ids().uuid();
    Ok(json!({
        "id": endpoint, "ip": address.split('/').next(), "port": 5432, "name": null,
        "private_network": {
            "private_network_id": network, "service_ip": address, "zone": zone,
            "provisioning_mode": if asked.is_some() { "static" } else { "ipam" },
        },
    }))
}

/// An address of the documentation range (RFC 5737): nobody's, and nothing answers there.
fn public_address(tx: &mut Transaction<'_>) -> String {
    format!("203.0.113.{}", 1 + tx.ids().below(254))
}

/// Opens the public endpoint of an instance, if it is to have one and has none, and those it takes
/// over from another one.
pub(super) fn open_public(making: &mut Making<'_, '_>) {
    let mut endpoints = list(making.record);
    if let Some(Value::Array(taken)) = making.record.hidden.remove("endpoints_to_come") {
        if let Some(public) = taken.iter().find(|endpoint| is_public(endpoint)) {
            making.set("endpoint", public.clone());
        }
        endpoints.extend(taken);
    }
    if making.record.hidden.remove("public_endpoint").is_some() {
        let ip = public_address(making.tx);
        let ids = making.tx.ids();
        let mut endpoint =
            json!({"id": ids.uuid(), "ip": ip, "port": 10_000 + ids.below(50_000), "name": null, "load_balancer": {}});
        if let Some(at) = plane::public_at(making.record) {
            endpoint["ip"] = at.ip().to_string().into();
            endpoint["port"] = at.port().into();
        }
        making.set("endpoint", endpoint.clone());
        endpoints.push(endpoint);
    }
    making.set("endpoints", endpoints);
}

/// Opens the public endpoint of a replica, if it is to have one.
pub(super) fn open_direct(making: &mut Making<'_, '_>) {
    if making.record.hidden.remove("direct_access").is_none() {
        return;
    }
    let ip = public_address(making.tx);
    let mut endpoints = list(making.record);
    let mut endpoint = json!({"id": making.tx.ids().uuid(), "ip": ip, "port": 5432, "name": null, "direct_access": {}});
    if let Some(at) = plane::public_at(making.record) {
        endpoint["ip"] = at.ip().to_string().into();
        endpoint["port"] = at.port().into();
    }
    endpoints.push(endpoint);
    making.set("endpoints", endpoints);
}

/// POST endpoints of an instance: a private one is answered whole, a public one appears when the
/// instance is ready again.
pub(super) fn add(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("instance_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled("rdb.instance", &key)?);
    let spec = act.call.body.get("endpoint_spec").cloned().unwrap_or_default();
    let mut endpoints = list(&record);
    let answer = match spec.get("private_network").filter(|spec| !spec.is_null()) {
        Some(network) => {
            let home = Home { id: &key, name: record.text("name"), project: record.text("project_id") };
            let endpoint = in_network(act, network, &home)?;
            endpoints.push(endpoint.clone());
            record.body.insert("endpoints".into(), endpoints.into());
            endpoint
        }
        None if spec.get("load_balancer").is_some() => {
            if endpoints.iter().any(is_public) {
                return Err(Refusal::argument(
                    "endpoint_spec",
                    Reason::Constraint,
                    "the instance has a public endpoint",
                ));
            }
            record.hidden.insert("public_endpoint".into(), json!(true));
            json!({"id": "", "name": null, "port": 0})
        }
        None => {
            let help = "name private_network or load_balancer";
            return Err(Refusal::argument("endpoint_spec", Reason::Required, help));
        }
    };
    act.pass_through("rdb.instance", &mut record, "initializing", Duration::from_secs(30));
    act.change("rdb.instance", &key, record, "endpoint");
    Ok(Answer::Ok(answer))
}

/// POST endpoints of a replica: a list of them.
pub(super) fn add_to_replica(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("read_replica_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled("rdb.read_replica", &key)?);
    let instance = act.find("rdb.instance", record.text("instance_id"))?;
    let home = Home { id: &key, name: instance.text("name"), project: instance.text("project_id") };
    let specs = act.call.body.get("endpoint_spec").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut endpoints = list(&record);
    for spec in &specs {
        match spec.get("private_network").filter(|network| !network.is_null()) {
            Some(network) => endpoints.push(in_network(act, network, &home)?),
            None if spec.get("direct_access").is_some() => {
                record.hidden.insert("direct_access".into(), json!(true));
            }
            None => {
                let help = "name private_network or direct_access";
                return Err(Refusal::argument("endpoint_spec", Reason::Required, help));
            }
        }
    }
    record.body.insert("endpoints".into(), endpoints.into());
    act.pass_through("rdb.read_replica", &mut record, "configuring", Duration::from_secs(30));
    Ok(Answer::record(&act.change("rdb.read_replica", &key, record, "endpoint")))
}

/// GET on an endpoint, which is named without its instance.
pub(super) fn show(look: &Look<'_>) -> Result<Value, Refusal> {
    let id = look.call.param("endpoint_id").unwrap_or_default();
    let (kind, key) = owner(look.tables, id)?;
    let record = look.find(kind, &key)?;
    list(record).into_iter().find(|endpoint| endpoint["id"] == id).ok_or_else(|| Refusal::not_found("endpoint", id))
}

/// DELETE on an endpoint.
pub(super) fn remove(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let id = act.call.param("endpoint_id").unwrap_or_default().to_owned();
    let (kind, key) = owner(act.tx.tables(), &id)?;
    let mut record = Record::clone(&*act.find_settled(kind, &key)?);
    let endpoint = take_out(&mut record, &id);
    if let Some(network) = network_of(&endpoint) {
        ipam::release(act, &key, Some(network));
    }
    act.pass_through(kind, &mut record, "configuring", Duration::from_secs(20));
    let record = act.change(kind, &key, record, "endpoint");
    if kind == "rdb.read_replica" {
        let body = Value::Object(record.body.clone());
        show_on_instance(act, record.text("instance_id"), &key, Some(body));
    }
    Ok(Answer::NoContent)
}

/// POST migrate: an endpoint goes over to another instance, with its address.
pub(super) fn migrate(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let id = act.call.param("endpoint_id").unwrap_or_default().to_owned();
    let target = act.call.text("instance_id");
    let target =
        target.ok_or_else(|| Refusal::argument("instance_id", Reason::Required, "instance_id is required"))?.to_owned();
    let (kind, key) = owner(act.tx.tables(), &id)?;
    if kind != "rdb.instance" || key == target {
        let help = "must be another instance than the endpoint's";
        return Err(Refusal::argument("instance_id", Reason::Constraint, help));
    }
    let mut from = Record::clone(&*act.find_settled("rdb.instance", &key)?);
    let mut to = Record::clone(&*act.find_settled("rdb.instance", &target)?);
    let endpoint = take_out(&mut from, &id);
    let home = Home { id: &target, name: to.text("name"), project: to.text("project_id") };
    ipam::hand_over(act, &key, network_of(&endpoint), &home.holder());
    if is_public(&endpoint) {
        to.body.insert("endpoint".into(), endpoint.clone());
    }
    let mut endpoints = list(&to);
    endpoints.push(endpoint.clone());
    to.body.insert("endpoints".into(), endpoints.into());
    for (key, mut record) in [(&key, from), (&target, to)] {
        act.pass_through("rdb.instance", &mut record, "configuring", Duration::from_secs(20));
        act.change("rdb.instance", key, record, "endpoint");
    }
    Ok(Answer::Ok(endpoint))
}

/// All endpoints of an instance go over to one that is being made, and appear there with `ready`.
pub(super) fn hand_over(act: &mut Act<'_, '_>, key: &str, old: &mut Record, new: &mut Record) {
    let endpoints = list(old);
    old.body.insert("endpoints".into(), json!([]));
    old.body.insert("endpoint".into(), Value::Null);
    let home = Home { id: new.text("id"), name: new.text("name"), project: new.text("project_id") };
    for endpoint in &endpoints {
        ipam::hand_over(act, key, network_of(endpoint), &home.holder());
    }
    new.hidden.remove("public_endpoint");
    new.hidden.insert("endpoints_to_come".into(), endpoints.into());
}

/// The kind and key of the resource that an endpoint belongs to.
fn owner(tables: &Tables, id: &str) -> Result<(&'static str, String), Refusal> {
    let has_it = |record: &Record| list(record).iter().any(|endpoint| endpoint["id"] == id);
    for kind in KINDS {
        if let Some((key, _)) = tables.all(kind).find(|(_, record)| has_it(record)) {
            return Ok((kind, key.to_owned()));
        }
    }
    Err(Refusal::not_found("endpoint", id))
}

fn take_out(record: &mut Record, id: &str) -> Value {
    let (gone, kept): (Vec<Value>, Vec<Value>) = list(record).into_iter().partition(|endpoint| endpoint["id"] == id);
    let gone = gone.into_iter().next().unwrap_or_default();
    if gone.get("load_balancer").is_some() {
        record.body.insert("endpoint".into(), Value::Null);
    }
    record.body.insert("endpoints".into(), kept.into());
    gone
}

pub(super) fn is_public(endpoint: &Value) -> bool {
    endpoint.get("load_balancer").is_some() || endpoint.get("direct_access").is_some()
}

fn network_of(endpoint: &Value) -> Option<&str> {
    endpoint.pointer("/private_network/private_network_id").and_then(Value::as_str)
}

pub(super) fn list(record: &Record) -> Vec<Value> {
    record.body.get("endpoints").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// A deleted instance or replica gives all its addresses back.
pub(super) fn release_all(act: &mut Act<'_, '_>, id: &str) {
    ipam::release(act, id, None);
}

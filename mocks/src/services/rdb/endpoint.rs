//! Endpoints of an instance: in private networks, and the public one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    kernel::{Act, Answer, Field, Making, Reason, Record, Refusal, optional},
    services::ipam::{self, Holder},
};

/// What is asked of an endpoint: exactly one of the two.
pub(super) fn spec() -> [Field; 2] {
    [
        optional("private_network").object([
            optional("private_network_id").refers_to("vpc.private_network"),
            optional("service_ip").text(0..=64),
            optional("ipam_config").object([]),
        ]),
        optional("load_balancer").object([]),
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
    for spec in &asked {
        match spec.get("private_network").filter(|spec| !spec.is_null()) {
            Some(network) => {
                let endpoint = making.act("rdb.instance", |act| in_network(act, network, &id, &name, &project))?;
                endpoints.push(endpoint);
            }
            None => public = true,
        }
    }
    making.set("endpoints", endpoints);
    if public {
        making.record.hidden.insert("public_endpoint".into(), json!(true));
    }
    Ok(())
}

fn in_network(act: &mut Act<'_, '_>, spec: &Value, id: &str, name: &str, project: &str) -> Result<Value, Refusal> {
    let text = |field: &str| spec.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let network = text("private_network_id").ok_or_else(|| {
        Refusal::argument("private_network.private_network_id", Reason::Required, "private_network_id is required")
    })?;
    let holder = Holder { id, kind: "rdb_instance", name, project, tags: &["managed", "scwdbaas"] };
    let asked = text("service_ip");
    let address = ipam::assign(act, network, asked, &holder)?;
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

/// Opens the public endpoint, if the instance is to have one and has none.
pub(super) fn open_public(making: &mut Making<'_, '_>) {
    if making.record.hidden.remove("public_endpoint").is_none() {
        return;
    }
    let ids = making.tx.ids();
    // Addresses of the documentation range (RFC 5737): nobody's, and nothing answers there.
    let ip = format!("203.0.113.{}", 1 + ids.below(254));
    let endpoint =
        json!({"id": ids.uuid(), "ip": ip, "port": 10_000 + ids.below(50_000), "name": null, "load_balancer": {}});
    making.set("endpoint", endpoint.clone());
    let mut endpoints = making.record.body.get("endpoints").and_then(Value::as_array).cloned().unwrap_or_default();
    endpoints.push(endpoint);
    making.set("endpoints", endpoints);
}

/// POST endpoints: a private one is answered whole, a public one appears when the instance is ready again.
pub(super) fn add(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("instance_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled("rdb.instance", &key)?);
    let spec = act.call.body.get("endpoint_spec").cloned().unwrap_or_default();
    let mut endpoints = record.body.get("endpoints").and_then(Value::as_array).cloned().unwrap_or_default();
    let answer = match spec.get("private_network").filter(|spec| !spec.is_null()) {
        Some(network) => {
            let (name, project) = (record.text("name").to_owned(), record.text("project_id").to_owned());
            let endpoint = in_network(act, network, &key, &name, &project)?;
            endpoints.push(endpoint.clone());
            record.body.insert("endpoints".into(), endpoints.into());
            endpoint
        }
        None if spec.get("load_balancer").is_some() => {
            if endpoints.iter().any(|endpoint| endpoint.get("load_balancer").is_some()) {
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

/// DELETE on an endpoint, which is named without its instance.
pub(super) fn remove(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let id = act.call.param("endpoint_id").unwrap_or_default().to_owned();
    let has_it = |record: &Record| list(record).iter().any(|endpoint| endpoint["id"] == id.as_str());
    let instance =
        act.tx.tables().all("rdb.instance").find(|(_, record)| has_it(record)).map(|(key, _)| key.to_owned());
    let key = instance.ok_or_else(|| Refusal::not_found("endpoint", &id))?;
    let mut record = Record::clone(&*act.find_settled("rdb.instance", &key)?);
    let (gone, kept): (Vec<Value>, Vec<Value>) =
        list(&record).into_iter().partition(|endpoint| endpoint["id"] == id.as_str());
    for endpoint in &gone {
        if let Some(network) = endpoint.pointer("/private_network/private_network_id").and_then(Value::as_str) {
            ipam::release(act, &key, Some(network));
        } else {
            record.body.insert("endpoint".into(), Value::Null);
        }
    }
    record.body.insert("endpoints".into(), kept.into());
    act.pass_through("rdb.instance", &mut record, "configuring", Duration::from_secs(20));
    act.change("rdb.instance", &key, record, "endpoint");
    Ok(Answer::NoContent)
}

fn list(record: &Record) -> Vec<Value> {
    record.body.get("endpoints").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// A deleted instance gives all its addresses back.
pub(super) fn release_all(act: &mut Act<'_, '_>, instance: &str) {
    ipam::release(act, instance, None);
}

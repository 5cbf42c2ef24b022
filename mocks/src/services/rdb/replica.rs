//! Read replica: a copy of an instance that can be read, with endpoints of its own.
//!
//! Recorded: the private endpoint is there at once, the public one
//! (`direct_access`) with `ready`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    READ, WRITE,
    backup::contents,
    endpoint::{self, Home},
    plane,
    snapshot::another,
};
use crate::kernel::{Act, Answer, Making, Record, Refusal, Resource, computed, optional, required, states};

pub(super) fn read_replica() -> Resource {
    Resource::new("rdb.read_replica")
        .at("/rdb/v1/regions/{region}/read-replicas/{read_replica_id}")
        .under("rdb.instance")
        .of_parent()
        .fields([
            required("instance_id").refers_to("rdb.instance").fixed(),
            optional("endpoint_spec").objects(endpoint::spec()).input_only().fixed(),
            optional("same_zone").flag().default(true).fixed(),
            computed("region", |making| Ok(making.call.param("region").unwrap_or_default().into())),
            computed("endpoints", |_| Ok(json!([]))),
        ])
        .states(
            states("provisioning", Duration::from_secs(240), "ready")
                .deleting("deleting", Duration::from_secs(30))
                .passing(&["initializing", "configuring", "promoting"]),
        )
        .permissions(READ, WRITE)
        .without(&["LIST", "PATCH"])
        .made(build)
        .settled(|making| {
            endpoint::open_direct(making);
            let (instance, id) = (making.text("instance_id").to_owned(), making.key.to_owned());
            let body = Value::Object(making.record.body.clone());
            making.act("rdb.instance", |act| {
                show_on_instance(act, &instance, &id, Some(body));
                Ok(())
            })
        })
        .deleted(leave)
        .act("POST", "/rdb/v1/regions/{region}/read-replicas/{read_replica_id}/endpoints", endpoint::add_to_replica)
        .act("POST", "/rdb/v1/regions/{region}/read-replicas/{read_replica_id}/reset", reset)
        .act("POST", "/rdb/v1/regions/{region}/read-replicas/{read_replica_id}/promote", promote)
}

fn build(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    for field in ["created_at", "updated_at"] {
        making.record.body.remove(field);
    }
    let (instance, id) = (making.text("instance_id").to_owned(), making.key.to_owned());
    let record = making.act("rdb.instance", |act| act.find_settled("rdb.instance", &instance))?;
    let specs = making.record.hidden.remove("endpoint_spec").unwrap_or_default();
    let home = Home { id: &id, name: record.text("name"), project: record.text("project_id") };
    let mut endpoints = Vec::new();
    for spec in specs.as_array().into_iter().flatten() {
        match spec.get("private_network").filter(|network| !network.is_null()) {
            Some(network) => {
                endpoints.push(making.act("rdb.read_replica", |act| endpoint::in_network(act, network, &home))?);
            }
            None => {
                making.record.hidden.insert("direct_access".into(), json!(true));
            }
        }
    }
    making.set("endpoints", endpoints);
    let body = Value::Object(making.record.body.clone());
    making.act("rdb.instance", |act| {
        show_on_instance(act, &instance, &id, Some(body));
        Ok(())
    })
}

/// An instance lists its replicas.
pub(super) fn show_on_instance(act: &mut Act<'_, '_>, instance: &str, replica: &str, body: Option<Value>) {
    let Some(mut record) = act.tx.get("rdb.instance", instance).map(|record| Record::clone(record)) else { return };
    let mut replicas = record.body.get("read_replicas").and_then(Value::as_array).cloned().unwrap_or_default();
    replicas.retain(|other| other["id"] != replica);
    replicas.extend(body);
    record.body.insert("read_replicas".into(), replicas.into());
    act.tx.put("rdb.instance", instance, record);
}

fn leave(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let instance = act.find("rdb.read_replica", key)?.text("instance_id").to_owned();
    endpoint::release_all(act, key);
    show_on_instance(act, &instance, key, None);
    Ok(())
}

/// Made anew from its instance.
fn reset(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("read_replica_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled("rdb.read_replica", &key)?);
    plane::begin_anew(&mut record);
    act.pass_through("rdb.read_replica", &mut record, "initializing", Duration::from_secs(60));
    Ok(Answer::record(&act.change("rdb.read_replica", &key, record, "reset")))
}

/// Becomes an instance of its own (recorded: called `promoted - …`), and is a replica no more.
fn promote(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("read_replica_id").unwrap_or_default().to_owned();
    let instance = act.find_settled("rdb.read_replica", &key)?.text("instance_id").to_owned();
    let origin = act.find("rdb.instance", &instance)?;
    let different = serde_json::Map::from_iter([
        ("name".to_owned(), json!(format!("promoted - {}", origin.text("name")))),
        ("is_ha_cluster".to_owned(), json!(false)),
    ]);
    let contents = contents(act, &instance);
    let data = plane::Origin::Replica(key.clone());
    let promoted = another(act, &Value::Object(origin.body.clone()), different, &contents, data)?;
    leave(act, &key)?;
    act.erase("rdb.read_replica", &key);
    Ok(Answer::record(&promoted))
}

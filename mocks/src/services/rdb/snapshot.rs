//! Snapshot: a whole instance as it was, from which another one can be made.
//!
//! Recorded: it expires after a year unless asked otherwise; an instance made of
//! it has its tags, its settings and a public endpoint.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    READ, WRITE,
    backup::{contents, expire, fill},
    copies,
    plane::{self, Origin},
};
use crate::kernel::{
    Act, Answer, Call, Making, Reason, Record, Refusal, Resource, computed, optional, rfc3339, states,
};

const YEAR: time::Duration = time::Duration::days(365);

pub(super) fn snapshot() -> Resource {
    Resource::new("rdb.snapshot")
        .called("instance_snapshot")
        .at("/rdb/v1/regions/{region}/snapshots/{snapshot_id}")
        .under("rdb.instance")
        .of_parent()
        .fields([
            optional("name").text(0..=255),
            optional("expires_at").time(),
            computed("instance_id", |making| Ok(making.call.param("instance_id").unwrap_or_default().into())),
            computed("region", |making| Ok(making.call.param("region").unwrap_or_default().into())),
            computed("size", |_| Ok(Value::Null)),
        ])
        .states(
            states("creating", Duration::from_secs(30), "ready")
                .deleting("deleting", Duration::from_secs(10))
                .passing(&["restoring"]),
        )
        .filters(&["name", "instance_id"])
        .order(&["created_at", "name", "expires_at"])
        .permissions(READ, WRITE)
        .without(&["POST"])
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/snapshots", |act| {
            let call = act.call;
            let key = act.create("rdb.snapshot", call)?;
            Ok(Answer::record(&*act.find("rdb.snapshot", &key)?))
        })
        .act("POST", "/rdb/v1/regions/{region}/snapshots/{snapshot_id}/create-instance", create_instance)
        .made(take)
        .settled(|making| {
            let size = making.record.hidden.get("instance").and_then(|instance| instance.pointer("/volume/size"));
            let size = size.cloned().unwrap_or_default();
            making.set("size", size);
            making.set("updated_at", rfc3339(making.tx.now()));
            expire(making.record);
            Ok(())
        })
        .updated(|making| {
            expire(making.record);
            Ok(())
        })
}

/// Keeps all there is to know of the instance.
fn take(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let id = making.text("instance_id").to_owned();
    let (instance, contents) = making.act("rdb.instance", |act| {
        let instance = act.find_settled("rdb.instance", &id)?;
        Ok((instance, contents(act, &id)))
    })?;
    if making.text("name").is_empty() {
        making.set("name", format!("snapshot-{}", instance.text("name")));
    }
    if making.text("expires_at").is_empty() {
        let expires = rfc3339(making.tx.now() + YEAR);
        making.set("expires_at", expires);
    }
    making.set("updated_at", Value::Null);
    making.set("instance_name", instance.text("name"));
    making.set("node_type", instance.text("node_type"));
    let volume = instance.body.get("volume").cloned().unwrap_or_default();
    making.set("volume_type", json!({"class": volume["class"], "type": volume["type"]}));
    making.record.hidden.insert("instance".into(), Value::Object(instance.body.clone()));
    making.record.hidden.insert("contents".into(), contents);
    Ok(())
}

fn create_instance(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let snapshot = act.find_settled("rdb.snapshot", act.call.param("snapshot_id").unwrap_or_default())?;
    let name = act.call.text("instance_name");
    let name = name.ok_or_else(|| Refusal::argument("instance_name", Reason::Required, "instance_name is required"))?;
    let hidden = |field: &str| snapshot.hidden.get(field).cloned().unwrap_or_default();
    let mut wanted = Map::new();
    wanted.insert("name".into(), name.into());
    for field in ["node_type", "is_ha_cluster"] {
        if let Some(value) = act.call.body.get(field).filter(|value| !value.is_null()) {
            wanted.insert(field.into(), value.clone());
        }
    }
    let origin = Origin::Snapshot(snapshot.text("id").to_owned());
    if copies::bytes(&snapshot).is_none() && act.tx.runs(plane::KIND) && plane::has_server_of(&hidden("instance")) {
        let help = format!(
            "snapshot {} holds no data: no server ran behind its instance, or it failed; make another one",
            snapshot.text("id")
        );
        return Err(Refusal::Precondition { precondition: "resource_not_usable", help });
    }
    let record = another(act, &hidden("instance"), wanted, &hidden("contents"), origin)?;
    Ok(Answer::record(&record))
}

/// Makes an instance like another one, with other values for some of its fields, and its contents: the names of what
/// is in it are told by `contents`, the data comes from `origin`.
pub(super) fn another(
    act: &mut Act<'_, '_>,
    like: &Value,
    different: Map<String, Value>,
    contents: &Value,
    origin: Origin,
) -> Result<Record, Refusal> {
    let mut body = Map::new();
    for field in [
        "name",
        "project_id",
        "engine",
        "node_type",
        "is_ha_cluster",
        "tags",
        "init_settings",
        "encryption",
        "backup_same_region",
        "logs_policy",
    ] {
        body.insert(field.into(), like[field].clone());
    }
    body.insert("disable_backup".into(), like["backup_schedule"]["disabled"].clone());
    body.insert("volume_type".into(), like["volume"]["type"].clone());
    body.insert("volume_size".into(), like["volume"]["size"].clone());
    body.extend(different);
    let params = act.call.params.iter().filter(|(name, _)| name == "region").cloned().collect();
    let caller = act.call.caller.clone();
    let call = Call { caller, params, query: Vec::new(), body, prepared: Value::Null, view: None };
    let key = act.create("rdb.instance", &call)?;
    let mut record = Record::clone(&*act.find("rdb.instance", &key)?);
    record.body.insert("settings".into(), like["settings"].clone());
    if act.tx.runs(plane::KIND) && plane::has_server(&record) {
        plane::begin_with(&mut record, &origin);
    }
    act.tx.put("rdb.instance", &key, record.clone());
    fill(act, &key, contents)?;
    Ok(record)
}

//! Upgrade: what PATCH cannot change, one thing a request (recorded: the new
//! value is in the answer, the state is `initializing`).

use std::time::Duration;

use serde_json::{Value, json};

use super::{backup::contents, catalog, endpoint, plane, snapshot::another};
use crate::kernel::{Act, Answer, Reason, Record, Refusal};

pub(super) fn upgrade(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("instance_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled("rdb.instance", &key)?);
    let body = &act.call.body;
    if let Some(workflow) = body.get("major_upgrade_workflow").filter(|workflow| !workflow.is_null()) {
        return to_next_version(act, &key, record, workflow);
    }
    if let Some(node_type) = act.call.text("node_type") {
        let node_type = node_type.to_ascii_lowercase();
        catalog::known_node_type(&json!(node_type))
            .map_err(|help| Refusal::argument("node_type", Reason::Constraint, help))?;
        record.body.insert("node_type".into(), node_type.clone().into());
        // Another machine: the server begins anew there.
        plane::begin_anew(&mut record);
        if record.body["volume"]["class"] == "lssd" {
            record.body.insert("volume".into(), catalog::volume(&node_type, "lssd", 0));
        }
    } else if let Some(volume_type) = act.call.text("volume_type").filter(|kind| !kind.starts_with("unknown_")) {
        if !catalog::volume_types().contains(&volume_type) {
            return Err(Refusal::argument(
                "volume_type",
                Reason::Constraint,
                format!("must be one of {}", catalog::volume_types().join(", ")),
            ));
        }
        let size = record.body["volume"]["size"].as_u64().unwrap_or(0);
        let volume = catalog::volume(record.text("node_type"), volume_type, size);
        plane::begin_anew(&mut record);
        record.body.insert("volume".into(), volume);
    } else if let Some(size) = body.get("volume_size").and_then(Value::as_u64) {
        let now = record.body["volume"]["size"].as_u64().unwrap_or(0);
        if record.body["volume"]["class"] == "lssd" || size < now {
            let help = format!("a block volume can only grow; it has {now} bytes now");
            return Err(Refusal::argument("volume_size", Reason::Constraint, help));
        }
        catalog::block_size(size).map_err(|help| Refusal::argument("volume_size", Reason::Constraint, help))?;
        record.body.entry("volume").and_modify(|volume| volume["size"] = json!(size));
    } else if body.get("enable_ha") == Some(&json!(true)) {
        record.body.insert("is_ha_cluster".into(), json!(true));
        record.body.insert("high_availability_mode".into(), json!("single_zone"));
    } else if body.get("enable_encryption") == Some(&json!(true)) {
        record.body.insert("encryption".into(), json!({"enabled": true}));
    } else {
        let help = "name one of node_type, volume_type, volume_size, enable_ha and enable_encryption";
        return Err(Refusal::argument("upgrade_target", Reason::Required, help));
    }
    act.pass_through("rdb.instance", &mut record, "initializing", Duration::from_secs(240));
    let answer = act.change("rdb.instance", &key, record, "upgrade");
    Ok(Answer::record(&answer))
}

/// Recorded: another instance of the later version is made, with the same name, without high
/// availability; with `with_endpoints` it takes over the endpoints. The ACL is for the client to copy.
fn to_next_version(act: &mut Act<'_, '_>, key: &str, mut old: Record, workflow: &Value) -> Result<Answer, Refusal> {
    let asked = workflow.get("upgradable_version_id").and_then(Value::as_str).unwrap_or_default();
    let later = catalog::later_than(old.text("engine"));
    let target = later.into_iter().find(|version| version.upgrade_id == asked).ok_or_else(|| {
        let help = "must be the identifier of one of the instance's upgradable_version";
        Refusal::argument("major_upgrade_workflow.upgradable_version_id", Reason::Constraint, help)
    })?;
    let different = serde_json::Map::from_iter([
        ("engine".to_owned(), json!(target.name)),
        ("is_ha_cluster".to_owned(), json!(false)),
    ]);
    let contents = contents(act, key);
    let origin = plane::Origin::UpgradeOf(key.to_owned());
    let mut new = another(act, &Value::Object(old.body.clone()), different, &contents, origin)?;
    if workflow.get("with_endpoints") == Some(&json!(true)) {
        endpoint::hand_over(act, key, &mut old, &mut new);
        act.change("rdb.instance", key, old, "endpoint");
        let id = new.text("id").to_owned();
        act.tx.put("rdb.instance", &id, new.clone());
    }
    Ok(Answer::record(&new))
}

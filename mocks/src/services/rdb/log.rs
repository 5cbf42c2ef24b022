//! Logs of an instance, prepared for download: what the server of each node wrote. Where no server
//! runs there is nothing to download, and `download_url` stays null.

use std::time::Duration;

use serde_json::{Value, json};

use super::{READ, WRITE, backup::expire, copies::log_instance, download, plane};
use crate::kernel::{Act, Answer, Look, Passage, Record, Refusal, Resource, by_time, rfc3339, states};

const TAKES: Duration = Duration::from_secs(10);

pub(super) fn log() -> Resource {
    Resource::new("rdb.log")
        .called("instance_log")
        .at("/rdb/v1/regions/{region}/logs/{instance_log_id}")
        .under("rdb.instance")
        .of_parent()
        .states(states("creating", TAKES, "ready"))
        .settled(|making| {
            let save_as = format!("{}.log", making.text("node_name"));
            if let Some(url) = download::publish(making.tx, making.record, &save_as) {
                making.set("download_url", url);
            }
            expire(making.record);
            Ok(())
        })
        .without(&["POST", "LIST", "PATCH", "DELETE"])
        .permissions(READ, WRITE)
}

fn of<'t>(look: &Look<'t>) -> Result<Vec<&'t Record>, Refusal> {
    let instance = look.call.param("instance_id").unwrap_or_default();
    look.find("rdb.instance", instance)?;
    let logs = look.tables.all("rdb.log").map(|(_, log)| log.as_ref());
    let mut logs: Vec<&Record> = logs.filter(|log| log_instance(log) == instance).collect();
    logs.sort_by(|a, b| by_time(a.text("created_at"), b.text("created_at")));
    Ok(logs)
}

/// GET logs: those that were prepared.
pub(super) fn list(look: &Look<'_>) -> Result<Value, Refusal> {
    let logs = of(look)?.into_iter().map(|log| Value::Object(log.body.clone())).collect();
    look.page("instance_logs", logs)
}

/// GET logs-details: the files there are on the nodes.
pub(super) fn details(look: &Look<'_>) -> Result<Value, Refusal> {
    let instance = look.call.param("instance_id").unwrap_or_default();
    look.find("rdb.instance", instance)?;
    let behind = look.behind.as_ref();
    let files = behind.map(|behind| behind.told(plane::KIND, instance)["logs"].clone()).unwrap_or_default();
    Ok(json!({"details": if files.is_array() { files } else { json!([]) }}))
}

/// POST prepare-logs (recorded: one log a node, gone after a day).
pub(super) fn prepare(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let instance = act.call.param("instance_id").unwrap_or_default().to_owned();
    let record = act.find_settled("rdb.instance", &instance)?;
    let nodes = if record.body.get("is_ha_cluster") == Some(&json!(true)) { 2 } else { 1 };
    let mut logs = Vec::new();
    for node in 1..=nodes {
        let (id, now) = (act.tx.ids().uuid(), act.tx.now());
        let mut log = Record::of(&json!({
            "id": id, "status": "creating", "node_name": format!("node-{node}"), "download_url": null,
            "created_at": rfc3339(now), "expires_at": rfc3339(now + time::Duration::DAY),
            "region": record.text("region"),
        }));
        for (field, value) in [
            ("instance_id", instance.as_str()),
            ("project_id", record.text("project_id")),
            ("organization_id", record.text("organization_id")),
        ] {
            log.hidden.insert(field.into(), value.into());
        }
        log.next = Some(Passage { to: Some("ready".into()), due: now + act.tx.lasts(TAKES) });
        logs.push(Value::Object(log.body.clone()));
        act.tx.put("rdb.log", &id, log);
        act.tx.event("rdb.log", &id, "created", Some("creating"));
    }
    Ok(Answer::Ok(json!({"instance_logs": logs})))
}

/// POST purge-logs.
pub(super) fn purge(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let instance = act.call.param("instance_id").unwrap_or_default().to_owned();
    act.find_settled("rdb.instance", &instance)?;
    forget(act, &instance);
    Ok(Answer::NoContent)
}

/// Logs go with their instance.
pub(super) fn forget(act: &mut Act<'_, '_>, instance: &str) {
    let logs = act.tx.tables().all("rdb.log").filter(|(_, log)| log_instance(log) == instance);
    let logs: Vec<String> = logs.map(|(key, _)| key.to_owned()).collect();
    for key in logs {
        download::withdraw(act.tx, &key);
        act.erase("rdb.log", &key);
    }
}

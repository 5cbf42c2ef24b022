//! ACL: who may connect to the public endpoint: a list that is replaced whole.

use std::time::Duration;

use serde_json::{Value, json};

use super::{READ, WRITE};
use crate::kernel::{Act, Answer, Making, Record, Refusal, Resource, optional, required};

const ACLS: &str = "/rdb/v1/regions/{region}/instances/{instance_id}/acls";

pub(super) fn acl() -> Resource {
    Resource::new("rdb.acl")
        .at(ACLS)
        .under("rdb.instance")
        .whole_list("rules")
        .fields([required("ip").cidr(), optional("description").text(0..=255)])
        .permissions(READ, WRITE)
        .made(complete)
        .act("DELETE", ACLS, remove)
}

/// Rules are answered with what follows from the instance (recorded: an empty description becomes `IP allowed`).
fn complete(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let instance = making.key.to_owned();
    let mut rules = making.record.body.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    let port = making.act("rdb.instance", |act| {
        let mut record = Record::clone(&*act.find("rdb.instance", &instance)?);
        let port = record.body.get("endpoint").and_then(|endpoint| endpoint.get("port")?.as_u64());
        act.pass_through("rdb.instance", &mut record, "configuring", Duration::from_secs(10));
        act.change("rdb.instance", &instance, record, "acl");
        Ok(port.unwrap_or(5432))
    })?;
    for rule in &mut rules {
        if rule["description"] == "" {
            rule["description"] = json!("IP allowed");
        }
        rule["port"] = json!(port);
        rule["protocol"] = json!("tcp");
        rule["direction"] = json!("inbound");
        rule["action"] = json!("allow");
    }
    making.set("rules", rules);
    Ok(())
}

fn remove(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let instance = act.call.param("instance_id").unwrap_or_default().to_owned();
    act.find_settled("rdb.instance", &instance)?;
    let asked = act.call.body.get("acl_rule_ips").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut record = act.tx.get("rdb.acl", &instance).map(|record| Record::clone(record)).unwrap_or_default();
    let rules = record.body.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    let (gone, kept): (Vec<Value>, Vec<Value>) = rules.into_iter().partition(|rule| asked.contains(&rule["ip"]));
    record.body.insert("rules".into(), kept.into());
    act.change("rdb.acl", &instance, record, "updated");
    Ok(Answer::Ok(json!({"rules": gone})))
}

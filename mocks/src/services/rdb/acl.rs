//! ACL: who may connect to the public endpoint: a list that is replaced whole.

use std::time::Duration;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{READ, WRITE};
use crate::kernel::{Act, Answer, Making, Reason, Record, Refusal, Resource, optional, required};

const ACLS: &str = "/rdb/v1/regions/{region}/instances/{instance_id}/acls";

pub(super) fn acl() -> Resource {
    Resource::new("rdb.acl")
        .at(ACLS)
        .under("rdb.instance")
        .whole_list("rules")
        .fields([required("ip").cidr(), optional("description").text(0..=255)])
        .permissions(READ, WRITE)
        .made(complete)
        .act("POST", ACLS, add)
        .act("DELETE", ACLS, remove)
}

/// Rules are answered with what follows from the instance (recorded: an empty description becomes `IP allowed`).
fn complete(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let instance = making.key.to_owned();
    let rules = making.record.body.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    let rules = making.act("rdb.instance", |act| apply(act, &instance, rules))?;
    making.set("rules", rules);
    Ok(())
}

/// The rules as they are answered; the instance is busy with them for a while.
fn apply(act: &mut Act<'_, '_>, instance: &str, mut rules: Vec<Value>) -> Result<Vec<Value>, Refusal> {
    let mut record = Record::clone(&*act.find_settled("rdb.instance", instance)?);
    let port = record.body.get("endpoint").and_then(|endpoint| endpoint.get("port")?.as_u64()).unwrap_or(5432);
    act.pass_through("rdb.instance", &mut record, "configuring", Duration::from_secs(10));
    act.change("rdb.instance", instance, record, "acl");
    for rule in &mut rules {
        if rule["description"] == "" {
            rule["description"] = json!("IP allowed");
        }
        rule["port"] = json!(port);
        rule["protocol"] = json!("tcp");
        rule["direction"] = json!("inbound");
        rule["action"] = json!("allow");
    }
    Ok(rules)
}

fn now(act: &Act<'_, '_>) -> Result<(String, Record, Vec<Value>), Refusal> {
    let instance = act.call.param("instance_id").unwrap_or_default().to_owned();
    act.find_settled("rdb.instance", &instance)?;
    let record = act.tx.get("rdb.acl", &instance).map(|record| Record::clone(record)).unwrap_or_default();
    let rules = record.body.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok((instance, record, rules))
}

/// POST: further rules; one for an address that has a rule takes its place.
fn add(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (instance, mut record, mut rules) = now(act)?;
    let mut more = Vec::new();
    for (index, rule) in act.call.body.get("rules").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let ip = rule.get("ip").and_then(Value::as_str).unwrap_or_default();
        if ip.parse::<IpNet>().is_err() {
            let help = "must be an IP network such as 10.0.0.0/24";
            return Err(Refusal::argument(format!("rules.{index}.ip"), Reason::Format, help));
        }
        let description = rule.get("description").and_then(Value::as_str).unwrap_or_default();
        rules.retain(|other| other["ip"] != ip);
        more.push(json!({"ip": ip, "description": description}));
    }
    let more = apply(act, &instance, more)?;
    rules.extend(more.iter().cloned());
    record.body.insert("rules".into(), rules.into());
    act.change("rdb.acl", &instance, record, "updated");
    Ok(Answer::Ok(json!({"rules": more})))
}

/// DELETE: the rules of these addresses, which are answered.
fn remove(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (instance, mut record, rules) = now(act)?;
    let asked = act.call.body.get("acl_rule_ips").and_then(Value::as_array).cloned().unwrap_or_default();
    let (gone, kept): (Vec<Value>, Vec<Value>) = rules.into_iter().partition(|rule| asked.contains(&rule["ip"]));
    record.body.insert("rules".into(), kept.into());
    act.change("rdb.acl", &instance, record, "updated");
    apply(act, &instance, Vec::new())?;
    Ok(Answer::Ok(json!({"rules": gone})))
}

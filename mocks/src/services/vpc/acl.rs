//! ACL of a VPC: what may pass between its private networks, one list for IPv4 and one for IPv6.
//!
//! Kept with the VPC. Recorded: a rule's description comes back with its scope before it.

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::kernel::{Act, Answer, ArgumentFault, Look, Reason, Record, Refusal};

const ACTIONS: [&str; 2] = ["accept", "drop"];
const SCOPE: &str = "(Rule scope: client) ";

pub(super) fn place(v6: bool) -> &'static str {
    if v6 { "acl_v6" } else { "acl_v4" }
}

/// GET acl-rules: everything passes until somebody says otherwise.
pub(super) fn show(look: &Look<'_>) -> Result<Value, Refusal> {
    let vpc = look.find("vpc.vpc", look.call.param("vpc_id").unwrap_or_default())?;
    let v6 = look.call.query("is_ipv6") == Some("true");
    Ok(vpc.hidden.get(place(v6)).cloned().unwrap_or_else(|| json!({"rules": [], "default_policy": "accept"})))
}

/// PUT acl-rules: replaces all.
pub(super) fn replace(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("vpc_id").unwrap_or_default().to_owned();
    let mut vpc = Record::clone(&*act.find("vpc.vpc", &key)?);
    let v6 = act.call.body.get("is_ipv6") == Some(&json!(true));
    let mut faults = Vec::new();
    let policy = act.call.text("default_policy").unwrap_or_default();
    if !ACTIONS.contains(&policy) {
        faults.push(ArgumentFault::new("default_policy", Reason::Constraint, "must be accept or drop"));
    }
    let rules = act.call.body.get("rules").and_then(Value::as_array).into_iter().flatten();
    let rules: Vec<Value> = rules.enumerate().map(|(index, rule)| read(rule, index, v6, &mut faults)).collect();
    if !faults.is_empty() {
        return Err(Refusal::InvalidArguments(faults));
    }
    let acl = json!({"rules": rules, "default_policy": policy});
    vpc.hidden.insert(place(v6).into(), acl.clone());
    act.change("vpc.vpc", &key, vpc, "acl");
    Ok(Answer::Ok(acl))
}

fn read(rule: &Value, index: usize, v6: bool, faults: &mut Vec<ArgumentFault>) -> Value {
    let mut fault = |field: &str, help: &str| {
        faults.push(ArgumentFault::new(format!("rules.{index}.{field}"), Reason::Constraint, help));
    };
    let text = |field: &str| rule.get(field).and_then(Value::as_str).unwrap_or_default();
    let protocol = match text("protocol") {
        "" | "ANY" => "ANY",
        known @ ("TCP" | "UDP" | "ICMP") => known,
        _ => {
            fault("protocol", "must be ANY, TCP, UDP or ICMP");
            "ANY"
        }
    };
    for field in ["source", "destination"] {
        match text(field).parse::<IpNet>() {
            Ok(net) if matches!(net, IpNet::V6(_)) == v6 => {}
            _ => fault(field, if v6 { "must be an IPv6 network" } else { "must be an IPv4 network" }),
        }
    }
    if !ACTIONS.contains(&text("action")) {
        fault("action", "must be accept or drop");
    }
    let mut port = |field: &str| match rule.get(field) {
        None | Some(Value::Null) => 0,
        Some(value) => match value.as_u64().filter(|port| *port <= 65_535) {
            Some(port) => port,
            None => {
                fault(field, "must be a port");
                0
            }
        },
    };
    let ports = [port("src_port_low"), port("src_port_high"), port("dst_port_low"), port("dst_port_high")];
    let described = text("description");
    let description = if described.starts_with(SCOPE) { described.to_owned() } else { format!("{SCOPE}{described}") };
    json!({
        "protocol": protocol, "source": text("source"), "destination": text("destination"), "action": text("action"),
        "src_port_low": ports[0], "src_port_high": ports[1], "dst_port_low": ports[2], "dst_port_high": ports[3],
        "description": description,
    })
}

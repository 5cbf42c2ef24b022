//! Private network: one IPv4 subnet and at least one IPv6 subnet inside a VPC.
//!
//! Recorded: without a subnet of the request's, one /22 inside 172.16.0.0/12 is
//! allocated; a ULA /64 always is. It cannot be deleted while an address of it is
//! in use (412 `resource_still_in_use`; the provider retries that for 30 s).

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Value, json};

use super::{NETWORKS_READ, NETWORKS_WRITE, virtual_cloud};
use crate::kernel::{
    Act, Answer, ArgumentFault, Look, Making, Reason, Record, Refusal, Resource, computed, older, optional, rfc3339,
};

pub(super) fn private_network() -> Resource {
    Resource::new("vpc.private_network")
        .at("/vpc/v2/regions/{region}/private-networks/{private_network_id}")
        .listed_as("private_networks")
        .fields([
            optional("name").text(0..=255).default("private-network"),
            optional("tags").strings(),
            optional("vpc_id").holds("vpc.vpc").fixed(),
            optional("subnets").strings().check(networks).input_only(),
            optional("default_route_propagation_enabled").flag(),
            computed("dhcp_enabled", |_| Ok(json!(true))),
            computed("has_s3_integration", |_| Ok(json!(false))),
        ])
        .filters(&["name", "tags", "vpc_id", "dhcp_enabled"])
        .order(&["created_at", "name"])
        .quota(255)
        .permissions(NETWORKS_READ, NETWORKS_WRITE)
        .listed_if(|record, call| call.asks_for("private_network_ids", record.text("id")))
        .look("/vpc/v2/regions/{region}/subnets", list_subnets)
        .act("POST", "/vpc/v2/regions/{region}/private-networks/{private_network_id}/enable-dhcp", |act| {
            // It is on from the beginning, and there is no way to turn it off.
            let network = act.find("vpc.private_network", act.call.param("private_network_id").unwrap_or_default())?;
            Ok(Answer::record(&network))
        })
        .made(place)
        .deleted(leave)
}

/// GET subnets, of all private networks.
fn list_subnets(look: &Look<'_>) -> Result<Value, Refusal> {
    let networks = look.tables.all("vpc.private_network");
    let visible = networks.filter(|(key, _)| look.find("vpc.private_network", key).is_ok());
    let subnets = visible.flat_map(|(_, network)| network.body.get("subnets").and_then(Value::as_array).cloned());
    let mut subnets: Vec<Value> = subnets.flatten().collect();
    subnets.retain(|subnet| {
        let same = |field: &str| look.call.query(field).is_none_or(|asked| subnet[field] == asked);
        same("vpc_id")
            && same("project_id")
            && look.call.asks_for("subnet_ids", subnet["id"].as_str().unwrap_or_default())
    });
    subnets.sort_by(older);
    look.page("subnets", subnets)
}

fn networks(value: &Value) -> Result<(), String> {
    let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    match texts.map(|text| (text, text.parse::<IpNet>())).find(|(_, parsed)| parsed.is_err()) {
        Some((text, _)) => Err(format!("{text} is not an IP network such as 10.0.0.0/24")),
        None => Ok(()),
    }
}

/// Puts the network into its VPC and gives it its subnets.
fn place(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let (project, region) = (making.text("project_id").to_owned(), making.text("region").to_owned());
    if making.text("vpc_id").is_empty() {
        let default = making.act("vpc.vpc", |act| Ok(virtual_cloud::default_of(act, &project, &region)))?;
        making.set("vpc_id", default.ok_or_else(|| Refusal::not_found("vpc", "default"))?);
    }
    let vpc = making.text("vpc_id").to_owned();
    let asked: Vec<IpNet> = making
        .input
        .get("subnets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|text| text.as_str()?.parse().ok())
        .collect();
    if asked.iter().filter(|net| matches!(net, IpNet::V4(_))).count() > 1 {
        return Err(Refusal::argument("subnets", Reason::Constraint, "a private network has one IPv4 subnet"));
    }
    let taken: Vec<IpNet> = making.act("vpc.private_network", |act| Ok(subnets_of(act, &vpc)))?;
    if let Some(net) = asked.iter().find(|net| taken.iter().any(|other| overlap(net, other))) {
        let help = format!("{net} overlaps a subnet of the same VPC");
        return Err(Refusal::InvalidArguments(vec![ArgumentFault::new("subnets", Reason::Constraint, help)]));
    }
    let mut nets = asked;
    if !nets.iter().any(|net| matches!(net, IpNet::V4(_))) {
        nets.insert(0, free_v4(making, &taken)?);
    }
    if !nets.iter().any(|net| matches!(net, IpNet::V6(_))) {
        nets.push(random_v6(making));
    }
    let now = rfc3339(making.tx.now());
    let subnets: Vec<Value> = nets
        .iter()
        .map(|net| {
            json!({
                "id": making.tx.ids().uuid(), "subnet": net.trunc().to_string(), "project_id": project,
                "vpc_id": vpc, "private_network_id": making.key, "region": region,
                "created_at": now, "updated_at": now,
            })
        })
        .collect();
    making.set("subnets", subnets);
    making.record.hidden.remove("subnets");
    virtual_cloud::count_networks(making.tx, &vpc, 1);
    Ok(())
}

fn subnets_of(act: &Act<'_, '_>, vpc: &str) -> Vec<IpNet> {
    let networks = act.tx.tables().all("vpc.private_network").filter(|(_, record)| record.text("vpc_id") == vpc);
    networks.flat_map(|(_, record)| subnets(record)).map(|(_, net)| net).collect()
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn free_v4(making: &mut Making<'_, '_>, taken: &[IpNet]) -> Result<IpNet, Refusal> {
    let range: Ipv4Net = Ipv4Net::new_assert([172, 16, 0, 0].into(), 12);
    let start = making.tx.ids().below(1024) as usize;
    let nets: Vec<Ipv4Net> = range.subnets(22).into_iter().flatten().collect();
    nets.iter()
        .cycle()
        .skip(start)
        .take(nets.len())
        .map(|net| IpNet::V4(*net))
        .find(|net| !taken.iter().any(|other| overlap(net, other)))
        .ok_or_else(|| Refusal::QuotaExceeded { resource: "vpc_subnets".into(), quota: 1024, current: 1024 })
}

fn random_v6(making: &mut Making<'_, '_>) -> IpNet {
    let mut part = || u16::try_from(making.tx.ids().below(0x1_0000)).unwrap_or_default();
    let address = std::net::Ipv6Addr::new(0xfd5f, 0x519c, 0x6d46, part(), 0, 0, 0, 0);
    IpNet::V6(ipnet::Ipv6Net::new_assert(address, 64))
}

fn leave(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let held = act
        .tx
        .tables()
        .all("ipam.ip")
        .find(|(_, ip)| ip.hidden.get("private_network_id").and_then(Value::as_str) == Some(key));
    if let Some((_, ip)) = held {
        let user = ip.body.get("resource").and_then(|resource| resource.get("type")).and_then(Value::as_str);
        return Err(Refusal::Precondition {
            precondition: "resource_still_in_use",
            help: format!("address {} is still in use by {}", ip.text("address"), user.unwrap_or("a reservation")),
        });
    }
    let vpc = act.find("vpc.private_network", key)?.text("vpc_id").to_owned();
    virtual_cloud::count_networks(act.tx, &vpc, -1);
    Ok(())
}

/// The subnets of a private network's record: identifier and range.
pub(in crate::services) fn subnets(record: &Record) -> Vec<(String, IpNet)> {
    let subnets = record.body.get("subnets").and_then(Value::as_array);
    let part = |subnet: &Value, field: &str| subnet.get(field).and_then(Value::as_str).map(str::to_owned);
    subnets
        .into_iter()
        .flatten()
        .filter_map(|subnet| Some((part(subnet, "id")?, part(subnet, "subnet")?.parse().ok()?)))
        .collect()
}

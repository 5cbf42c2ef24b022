//! What is wanted of the machine's networks.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde_json::Value;
use stackproof_planes::network::{Acl, AclRule, NetworkSpec, Ports, Protocol, Subnet, Verdict, VpcSpec};

use super::{acl, private_network::subnets};
use crate::kernel::{Record, Tables};

/// The VPCs in which something is: a default VPC in each region costs nothing until then.
pub(crate) fn vpcs(tables: &Tables) -> Vec<VpcSpec> {
    let used: Vec<&str> = tables.all("vpc.private_network").map(|(_, network)| network.text("vpc_id")).collect();
    let vpcs = tables.all("vpc.vpc").filter(|(key, _)| used.contains(key));
    vpcs.map(|(key, record)| VpcSpec {
        id: key.to_owned(),
        routing: record.body.get("routing_enabled") == Some(&Value::Bool(true)),
        acl_v4: rules(record, false),
        acl_v6: rules(record, true),
        routes: Vec::new(),
    })
    .collect()
}

fn rules(vpc: &Record, v6: bool) -> Acl {
    let Some(acl) = vpc.hidden.get(acl::place(v6)) else { return Acl::default() };
    let rules = acl.get("rules").and_then(Value::as_array).into_iter().flatten();
    Acl { rules: rules.filter_map(rule).collect(), default: verdict(acl.get("default_policy")) }
}

fn verdict(told: Option<&Value>) -> Verdict {
    if told.and_then(Value::as_str) == Some("drop") { Verdict::Drop } else { Verdict::Accept }
}

fn rule(rule: &Value) -> Option<AclRule> {
    let net = |field: &str| rule.get(field)?.as_str()?.parse::<IpNet>().ok();
    let port = |field: &str| u16::try_from(rule.get(field)?.as_u64()?).ok();
    let ports = |low: &str, high: &str| {
        let (first, last) = (port(low)?, port(high)?);
        (first > 0 || last > 0).then(|| Ports { first, last: last.max(first) })
    };
    Some(AclRule {
        protocol: match rule.get("protocol")?.as_str()? {
            "TCP" => Protocol::Tcp,
            "UDP" => Protocol::Udp,
            "ICMP" => Protocol::Icmp,
            _ => Protocol::Any,
        },
        source: net("source")?,
        source_ports: ports("src_port_low", "src_port_high"),
        destination: net("destination")?,
        destination_ports: ports("dst_port_low", "dst_port_high"),
        verdict: verdict(rule.get("action")),
    })
}

/// The private networks, with the names of who has an address there (documented:
/// `<resource>.<private network>.internal`).
pub(crate) fn networks(tables: &Tables) -> Vec<NetworkSpec> {
    let mut names: BTreeMap<&str, BTreeMap<String, Vec<IpAddr>>> = BTreeMap::new();
    for (_, ip) in tables.all("ipam.ip") {
        let network = ip.text_or_hidden("private_network_id");
        let resource = ip.body.get("resource").and_then(|resource| resource.get("name")?.as_str()).unwrap_or_default();
        let address = ip.text("address").split('/').next().and_then(|address| address.parse().ok());
        if let (Some(record), Some(address)) = (tables.get("vpc.private_network", network), address)
            && !resource.is_empty()
        {
            let name = format!("{resource}.{}.internal", record.text("name"));
            names.entry(network).or_default().entry(name).or_default().push(address);
        }
    }
    let networks = tables.all("vpc.private_network");
    networks
        .map(|(key, record)| NetworkSpec {
            id: key.to_owned(),
            vpc: record.text("vpc_id").to_owned(),
            subnets: subnets(record).into_iter().filter_map(|(_, range)| subnet(range)).collect(),
            names: names.remove(key).unwrap_or_default(),
        })
        .collect()
}

/// The router has the first address of each range.
fn subnet(range: IpNet) -> Option<Subnet> {
    let router = match range {
        IpNet::V4(range) => IpAddr::V4(range.hosts().next()?),
        IpNet::V6(range) => IpAddr::V6(u128::from(range.network()).checked_add(1)?.into()),
    };
    Some(Subnet { range, router })
}

/// How many addresses at the end of a range are looked at.
const AT_THE_END: usize = 250;

/// Addresses of a private network that IPAM has given to nobody, from the end of the IPv4 range.
pub(crate) fn unused(tables: &Tables, network: &str) -> Vec<IpAddr> {
    let Some(record) = tables.get("vpc.private_network", network) else { return Vec::new() };
    let given: Vec<IpAddr> = tables
        .all("ipam.ip")
        .filter(|(_, ip)| ip.text_or_hidden("private_network_id") == network)
        .filter_map(|(_, ip)| ip.text("address").split('/').next()?.parse().ok())
        .collect();
    let range = subnets(record).into_iter().find_map(|(_, range)| match range {
        IpNet::V4(range) => Some(range),
        IpNet::V6(_) => None,
    });
    let Some(range) = range else { return Vec::new() };
    let (first, last) = (u32::from(range.network()), u32::from(range.broadcast()));
    let end = (first.saturating_add(2)..last).rev().take(AT_THE_END).map(|address| IpAddr::V4(address.into()));
    end.filter(|address| !given.contains(address)).collect()
}

//! Ingress rule: where a VPC sends what comes in from a source.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{READ, WRITE};
use crate::kernel::{Making, Refusal, Resource, computed, optional, required};

pub(super) fn ingress_rule() -> Resource {
    Resource::new("vpc.ingress_rule")
        // Recorded: a rule that is not there is of an unknown kind.
        .called("unknown")
        .at("/vpc/v2/regions/{region}/ingress-rules/{rule_id}")
        .listed_as("rules")
        .under("vpc.vpc")
        .fields([
            required("vpc_id").refers_to("vpc.vpc").fixed(),
            required("source").cidr(),
            required("nexthop_resource_ip").text(1..=45).check(address),
            required("nexthop_private_network_id").refers_to("vpc.private_network"),
            optional("description").text(0..=255),
            optional("tags").strings(),
            computed("is_ipv6", |_| Ok(json!(false))),
        ])
        .filters(&["tags", "vpc_id", "nexthop_resource_ip", "nexthop_private_network_id", "is_ipv6"])
        .order(&["created_at"])
        .permissions(READ, WRITE)
        .made(|making| {
            super::take_project_of_vpc(making)?;
            tell_family(making)
        })
        .updated(tell_family)
}

fn address(value: &Value) -> Result<(), String> {
    match value.as_str().map(str::parse::<std::net::IpAddr>) {
        Some(Ok(_)) => Ok(()),
        _ => Err("must be an IP address".into()),
    }
}

fn tell_family(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let v6 = matches!(making.text("source").parse(), Ok(IpNet::V6(_)));
    making.set("is_ipv6", v6);
    Ok(())
}

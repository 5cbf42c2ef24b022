//! Route: where a VPC sends what is for a destination. Each subnet has one of its own, which only
//! shows in lists (recorded: without an identifier, tagged `MANAGED`).

use std::cmp::Ordering;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::{READ, WRITE, private_network::subnets};
use crate::kernel::{Look, Making, Reason, Record, Refusal, Resource, computed, older, optional, required};

const NEXTHOPS: [&str; 3] = ["nexthop_resource_id", "nexthop_private_network_id", "nexthop_vpc_connector_id"];

pub(super) fn route() -> Resource {
    Resource::new("vpc.route")
        // Recorded: a route that is not there is of an unknown kind.
        .called("unknown")
        .at("/vpc/v2/regions/{region}/routes/{route_id}")
        .under("vpc.vpc")
        .of_parent()
        .fields([
            optional("description").text(0..=255),
            optional("tags").strings(),
            required("vpc_id").refers_to("vpc.vpc").fixed(),
            required("destination").cidr(),
            optional("nexthop_resource_id").uuid(),
            optional("nexthop_private_network_id").refers_to("vpc.private_network"),
            optional("nexthop_vpc_connector_id").refers_to("vpc.connector"),
            computed("region", |making| Ok(making.call.param("region").unwrap_or_default().into())),
            computed("is_read_only", |_| Ok(json!(false))),
            computed("type", |_| Ok(json!("custom"))),
        ])
        .permissions(READ, WRITE)
        .without(&["LIST"])
        .made(|making| {
            if making.text("description").is_empty() {
                making.set("description", "Custom route");
            }
            has_nexthop(making)
        })
        .updated(has_nexthop)
        .look("/vpc/v2/regions/{region}/routes-with-nexthop", list)
}

fn has_nexthop(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    if NEXTHOPS.iter().any(|field| !making.text(field).is_empty()) {
        return Ok(());
    }
    Err(Refusal::argument("nexthop", Reason::Required, format!("name one of {}", NEXTHOPS.join(", "))))
}

/// All routes, those of subnets first where they are as old, with what is known of their next hops.
fn list(look: &Look<'_>) -> Result<Value, Refusal> {
    let mut routes: Vec<Value> = Vec::new();
    for (key, network) in look.tables.all("vpc.private_network") {
        if look.find("vpc.private_network", key).is_ok() {
            routes.extend(of_subnets(key, network));
        }
    }
    for (key, route) in look.tables.all("vpc.route") {
        if look.find("vpc.route", key).is_ok() {
            routes.push(Value::Object(route.body.clone()));
        }
    }
    routes.retain(|route| is_asked_for(look, route));
    let order = look.call.query("order_by").unwrap_or_default();
    let compare: fn(&Value, &Value) -> Ordering = match order.rsplit_once('_').map_or("", |(field, _)| field) {
        "destination" => |a, b| destination(a).cmp(&destination(b)),
        "prefix_len" => |a, b| prefix_length(a).cmp(&prefix_length(b)),
        _ => older,
    };
    routes.sort_by(compare);
    let shown = |route| json!({"route": route, "nexthop_ip": null, "nexthop_name": null, "nexthop_resource_type": "unknown_type"});
    look.page("routes", routes.into_iter().map(shown).collect())
}

fn of_subnets(key: &str, network: &Record) -> Vec<Value> {
    let route = |(_, net): (String, IpNet)| {
        json!({
            "id": "", "description": "Local Private Network route", "tags": ["MANAGED"],
            "vpc_id": network.text("vpc_id"), "destination": net.to_string(), "nexthop_private_network_id": key,
            "nexthop_resource_id": null, "nexthop_vpc_connector_id": null, "is_read_only": true, "type": "subnet",
            "region": network.text("region"), "created_at": network.text("created_at"),
            "updated_at": network.text("created_at"),
        })
    };
    subnets(network).into_iter().map(route).collect()
}

fn is_asked_for(look: &Look<'_>, route: &Value) -> bool {
    let call = look.call;
    let same = |field: &str| call.query(field).is_none_or(|asked| route[field] == asked);
    let tags: Vec<&Value> = route["tags"].as_array().into_iter().flatten().collect();
    let net = destination(route);
    let contains = |asked: &str| match (asked.parse::<IpNet>(), asked.parse(), net) {
        (Ok(asked), _, Some(net)) => net.contains(&asked),
        (_, Ok(asked), Some(net)) => net.contains::<&std::net::IpAddr>(&asked),
        _ => false,
    };
    same("vpc_id")
        && NEXTHOPS.iter().all(|field| same(field))
        && call.queries("tags").all(|asked| tags.iter().any(|tag| *tag == asked))
        && call.query("is_ipv6").is_none_or(|asked| (asked == "true") == matches!(net, Some(IpNet::V6(_))))
        && call.query("contains").is_none_or(contains)
        && call.query("nexthop_resource_type").is_none()
}

fn destination(route: &Value) -> Option<IpNet> {
    route["destination"].as_str()?.parse().ok()
}

fn prefix_length(route: &Value) -> u8 {
    destination(route).map_or(0, |net| net.prefix_len())
}

//! IPAM: the addresses of private networks. API reference: IPAM API v1.
//!
//! Addresses that other products take come from here ([`assign`]), too. The first
//! host address handed out is .2 (recorded). Reverse names are kept and told again;
//! no name server has them. Not emulated: public addresses.

mod custom;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::vpc;
use crate::kernel::{
    Act, Answer, Call, Making, Product, Reason, Record, Refusal, Resource, computed, optional, required, rfc3339,
};

pub(super) fn product() -> Product {
    Product { name: "ipam", title: "IPAM", resources: vec![ip()] }
}

fn ip() -> Resource {
    Resource::new("ipam.ip")
        .at("/ipam/v1/regions/{region}/ips/{ip_id}")
        .fields([
            required("source")
                .object([
                    optional("private_network_id").refers_to("vpc.private_network").default(Value::Null),
                    optional("subnet_id").uuid(),
                    optional("zonal").text(0..=16).default(Value::Null),
                    optional("vpc_id").uuid(),
                ])
                .fixed(),
            optional("is_ipv6").flag().fixed(),
            optional("address").text(0..=64).fixed(),
            optional("tags").strings(),
            optional("resource").object(custom::fields()).fixed(),
            optional("reverses")
                .objects([required("hostname").text(1..=255), optional("address").text(0..=64).default(Value::Null)]),
            computed("zone", |_| Ok(Value::Null)),
        ])
        .filters(&["tags", "is_ipv6"])
        .order(&["created_at", "updated_at", "attached_at", "ip_address", "mac_address"])
        .listed_if(is_asked_for)
        .permissions(&["IPAMReadOnly"], &["IPAMFullAccess"])
        .made(reserve)
        .updated(|making| {
            // Recorded: names come back absolute.
            let reverses = making.record.body.get_mut("reverses").and_then(Value::as_array_mut);
            for reverse in reverses.into_iter().flatten() {
                let name = reverse["hostname"].as_str().unwrap_or_default();
                reverse["hostname"] = format!("{}.", name.trim_end_matches('.')).into();
            }
            Ok(())
        })
        .deleted(must_be_free)
        .act("POST", "/ipam/v1/regions/{region}/ips/{ip_id}/attach", custom::attach)
        .act("POST", "/ipam/v1/regions/{region}/ips/{ip_id}/detach", custom::detach)
        .act("POST", "/ipam/v1/regions/{region}/ips/{ip_id}/move", custom::shift)
        .act("POST", "/ipam/v1/regions/{region}/ip-sets/release", release_set)
}

/// The query parameters of its list that are not fields of its answers.
fn is_asked_for(record: &Record, call: &Call) -> bool {
    let resource = record.body.get("resource").filter(|resource| !resource.is_null());
    let of_resource = |field: &str| resource.and_then(|resource| resource.get(field)?.as_str()).unwrap_or_default();
    let of_source = |field: &str| {
        let source = record.body.get("source").and_then(|source| source.get(field)?.as_str());
        source.or_else(|| record.hidden.get(field)?.as_str()).unwrap_or_default()
    };
    let same = |name: &str, value: &str| call.query(name).is_none_or(|asked| asked == value);
    same("private_network_id", of_source("private_network_id"))
        && same("subnet_id", of_source("subnet_id"))
        && same("vpc_id", of_source("vpc_id"))
        && same("source_vpc_id", of_source("vpc_id"))
        && same("zonal", of_source("zonal"))
        && same("resource_id", of_resource("id"))
        && same("resource_type", of_resource("type"))
        && call.query("resource_name").is_none_or(|name| of_resource("name").contains(name))
        && call.query("mac_address").is_none_or(|mac| of_resource("mac_address").eq_ignore_ascii_case(mac))
        && call.query("attached").is_none_or(|asked| (asked == "true") == resource.is_some())
        && call.asks_for("resource_ids", of_resource("id"))
        && call.asks_for("resource_types", of_resource("type"))
        && call.asks_for("ip_ids", record.text("id"))
}

/// An address that a product's resource has cannot be given back by hand. One of a custom resource can.
fn must_be_free(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let record = act.find("ipam.ip", key)?;
    let kind = record.body.get("resource").and_then(|resource| resource.get("type")?.as_str());
    if kind.is_some_and(|kind| kind != custom::TYPE) {
        return Err(Refusal::Precondition {
            precondition: "resource_still_in_use",
            help: "the address is attached to a resource".into(),
        });
    }
    Ok(())
}

/// POST ip-sets/release: several at once, all or none.
fn release_set(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let ids = act.call.body.get("ip_ids").and_then(Value::as_array).cloned().unwrap_or_default();
    for id in ids.iter().filter_map(Value::as_str) {
        must_be_free(act, id)?;
        act.erase("ipam.ip", id);
    }
    Ok(Answer::NoContent)
}

/// A reservation by hand: an address of a private network, attached to nothing or to a custom resource.
fn reserve(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let source = making.input.get("source").cloned().unwrap_or_default();
    let named = |field: &str| source.get(field).and_then(Value::as_str).filter(|id| !id.is_empty());
    let (network, subnet) = (named("private_network_id").map(str::to_owned), named("subnet_id").map(str::to_owned));
    let network = match (network, subnet) {
        (Some(network), None) => network,
        (None, Some(subnet)) => making.act("ipam.ip", |act| network_of(act, &subnet))?,
        _ => {
            let help = "the local cloud reserves addresses of private networks only: \
                        name private_network_id or subnet_id";
            return Err(Refusal::argument("source", Reason::Required, help));
        }
    };
    let asked = making.text("address").to_owned();
    let asked = (!asked.is_empty()).then_some(asked);
    let v6 = making.input.get("is_ipv6") == Some(&json!(true));
    let (address, subnet) = making.act("ipam.ip", |act| free_address(act, &network, asked.as_deref(), v6))?;
    making.set("address", address);
    making.set("source", json!({"subnet_id": subnet}));
    if let Some(resource) = making.input.get("resource").filter(|resource| !resource.is_null()) {
        let resource = custom::resource(making.key, resource);
        making.set("resource", resource);
    }
    let vpc = making.act("ipam.ip", |act| Ok(act.find("vpc.private_network", &network)?.text("vpc_id").to_owned()))?;
    making.record.hidden.insert("private_network_id".into(), network.into());
    making.record.hidden.insert("vpc_id".into(), vpc.into());
    Ok(())
}

/// The private network of a subnet.
fn network_of(act: &Act<'_, '_>, subnet: &str) -> Result<String, Refusal> {
    let mut networks = act.tx.tables().all("vpc.private_network");
    let found = networks.find(|(_, network)| vpc::subnets(network).iter().any(|(id, _)| id == subnet));
    let key = found.map(|(key, _)| key.to_owned()).ok_or_else(|| Refusal::not_found("subnet", subnet))?;
    act.find("vpc.private_network", &key)?;
    Ok(key)
}

/// Who an address is for.
pub(super) struct Holder<'a> {
    /// Its identifier.
    pub(super) id: &'a str,
    /// Its type in IPAM's words, such as `rdb_instance`.
    pub(super) kind: &'static str,
    /// Its name.
    pub(super) name: &'a str,
    /// Its project.
    pub(super) project: &'a str,
    /// Tags that mark whose address it is.
    pub(super) tags: &'static [&'static str],
}

/// Takes an address of a private network for a resource: the one asked for, else the first free one.
/// Returns it with the length of its subnet, such as `172.16.32.2/22`.
pub(super) fn assign(
    act: &mut Act<'_, '_>,
    network: &str,
    asked: Option<&str>,
    holder: &Holder<'_>,
) -> Result<String, Refusal> {
    let (address, subnet) = match asked {
        None => free_address(act, network, None, false)?,
        Some(asked) => match static_address(act, network, asked)? {
            Static::Reserved(address) => return Ok(address),
            Static::New(address, subnet) => (address, subnet),
        },
    };
    let record = act.find("vpc.private_network", network)?;
    let (id, now) = (act.tx.ids().uuid(), rfc3339(act.tx.now()));
    let mac: Vec<String> = (0..3).map(|_| format!("{:02X}", act.tx.ids().below(256))).collect();
    let mut ip = Record::of(&json!({
        "id": id, "address": address, "is_ipv6": false, "project_id": holder.project,
        "organization_id": record.text("organization_id"), "region": record.text("region"), "zone": null,
        "source": {"subnet_id": subnet}, "reverses": [], "tags": holder.tags,
        "resource": {"id": holder.id, "type": holder.kind, "name": holder.name, "mac_address": format!("02:00:00:{}", mac.join(":"))},
        "created_at": now, "updated_at": now,
    }));
    for (field, value) in
        [("private_network_id", network), ("resource_id", holder.id), ("vpc_id", record.text("vpc_id"))]
    {
        ip.hidden.insert(field.into(), value.into());
    }
    act.tx.put("ipam.ip", &id, ip);
    act.tx.event("ipam.ip", &id, "created", None);
    Ok(address)
}

/// Gives the addresses that a resource has in a network to another resource. Without a network,
/// nothing happens.
pub(super) fn hand_over(act: &mut Act<'_, '_>, from: &str, network: Option<&str>, to: &Holder<'_>) {
    let hidden = |record: &Record, field: &str| record.hidden.get(field).and_then(Value::as_str).map(str::to_owned);
    let is_it = |record: &Record| {
        network.is_some()
            && hidden(record, "resource_id").as_deref() == Some(from)
            && hidden(record, "private_network_id").as_deref() == network
    };
    let ips: Vec<(String, Record)> = act
        .tx
        .tables()
        .all("ipam.ip")
        .filter(|(_, record)| is_it(record))
        .map(|(key, record)| (key.to_owned(), Record::clone(record)))
        .collect();
    for (key, mut ip) in ips {
        ip.hidden.insert("resource_id".into(), to.id.into());
        ip.body.entry("resource").and_modify(|resource| {
            resource["id"] = to.id.into();
            resource["name"] = to.name.into();
        });
        act.change("ipam.ip", &key, ip, "moved");
    }
}

/// Gives back the addresses that a resource has in a network, or everywhere.
pub(super) fn release(act: &mut Act<'_, '_>, holder: &str, network: Option<&str>) {
    let is_held = |record: &Record| {
        let hidden = |field: &str| record.hidden.get(field).and_then(Value::as_str);
        hidden("resource_id") == Some(holder)
            && network.is_none_or(|network| hidden("private_network_id") == Some(network))
    };
    let held: Vec<String> =
        act.tx.tables().all("ipam.ip").filter(|(_, record)| is_held(record)).map(|(key, _)| key.to_owned()).collect();
    for key in held {
        act.erase("ipam.ip", &key);
    }
}

/// What becomes of an address that a resource brings along.
enum Static {
    /// It is reserved by hand, and stays that way (recorded).
    Reserved(String),
    /// It was not known; it is of this subnet from now on.
    New(String, String),
}

/// An address that a resource brings along. It need not be of the network's subnet (recorded), but
/// no other resource may have it.
fn static_address(act: &Act<'_, '_>, network: &str, asked: &str) -> Result<Static, Refusal> {
    let record = act.find("vpc.private_network", network)?;
    let fault = |help: String| Refusal::argument("service_ip", Reason::Constraint, help);
    let (address, prefix) = asked.split_once('/').map_or((asked, None), |(address, prefix)| (address, Some(prefix)));
    let parsed: std::net::IpAddr = address.parse().map_err(|_| fault(format!("{asked} is no IP address")))?;
    let subnet = vpc::subnets(&record).into_iter().find(|(_, net)| net.addr().is_ipv4() == parsed.is_ipv4());
    let (subnet, net) = subnet.ok_or_else(|| Refusal::not_found("subnet", network))?;
    let full = match prefix {
        Some(_) => asked.to_owned(),
        None => format!("{address}/{}", net.prefix_len()),
    };
    full.parse::<IpNet>().map_err(|_| fault(format!("{asked} is no IP network")))?;
    let is_it = |ip: &Record| {
        ip.hidden.get("private_network_id").and_then(Value::as_str) == Some(network)
            && ip.text("address").split('/').next() == Some(address)
    };
    let known = act.tx.tables().all("ipam.ip").find(|(_, ip)| is_it(ip));
    match known.map(|(_, ip)| ip.body.get("resource").is_none_or(Value::is_null)) {
        None => Ok(Static::New(full, subnet)),
        Some(true) => Ok(Static::Reserved(full)),
        Some(false) => Err(fault(format!("{address} is another resource's"))),
    }
}

/// An address of a network's subnet that nobody has, and the subnet's identifier.
fn free_address(act: &Act<'_, '_>, network: &str, asked: Option<&str>, v6: bool) -> Result<(String, String), Refusal> {
    let record = act.find("vpc.private_network", network)?;
    let subnet = vpc::subnets(&record).into_iter().find(|(_, net)| matches!(net, IpNet::V6(_)) == v6);
    let (subnet, net) = subnet.ok_or_else(|| Refusal::not_found("subnet", network))?;
    let taken: Vec<String> = act
        .tx
        .tables()
        .all("ipam.ip")
        .filter(|(_, ip)| ip.hidden.get("private_network_id").and_then(Value::as_str) == Some(network))
        .map(|(_, ip)| ip.text("address").split('/').next().unwrap_or_default().to_owned())
        .collect();
    if let Some(asked) = asked {
        let address = asked.split('/').next().unwrap_or_default();
        let fits = address.parse().is_ok_and(|ip: std::net::IpAddr| net.contains(&ip));
        if !fits || taken.iter().any(|taken| taken == address) {
            let help = format!("{address} is not a free address of {net}");
            return Err(Refusal::argument("address", Reason::Constraint, help));
        }
        return Ok((format!("{address}/{}", net.prefix_len()), subnet));
    }
    let free = net.hosts().skip(1).map(|ip| ip.to_string()).find(|ip| !taken.contains(ip));
    let address = free.ok_or_else(|| Refusal::QuotaExceeded {
        resource: "ipam_ips".into(),
        quota: taken.len() as u64,
        current: taken.len() as u64,
    })?;
    Ok((format!("{address}/{}", net.prefix_len()), subnet))
}

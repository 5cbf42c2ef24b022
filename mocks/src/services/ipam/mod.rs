//! IPAM: the addresses of private networks. API reference: IPAM API v1.
//!
//! Addresses that other products take come from here ([`assign`]), too. The first
//! host address handed out is .2 (recorded). Not emulated yet: attaching, moving
//! and detaching by hand, reverse names.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::vpc;
use crate::kernel::{Act, Making, Product, Reason, Record, Refusal, Resource, computed, optional, required, rfc3339};

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
            computed("resource", |_| Ok(Value::Null)),
            computed("reverses", |_| Ok(json!([]))),
            computed("zone", |_| Ok(Value::Null)),
        ])
        .filters(&["tags", "is_ipv6"])
        .order(&["created_at", "updated_at", "attached_at"])
        .listed_if(|record, call| {
            let hidden = |field: &str, asked: Option<&str>| {
                asked.is_none_or(|asked| record.hidden.get(field).and_then(Value::as_str) == Some(asked))
            };
            hidden("private_network_id", call.query("private_network_id"))
                && hidden("resource_id", call.query("resource_id"))
                && hidden("resource_type", call.query("resource_type"))
        })
        .permissions(&["IPAMReadOnly"], &["IPAMFullAccess"])
        .made(reserve)
        .deleted(|act, key| {
            let record = act.find("ipam.ip", key)?;
            if record.body.get("resource").is_some_and(|resource| !resource.is_null()) {
                return Err(Refusal::Precondition {
                    precondition: "resource_still_in_use",
                    help: "the address is attached to a resource".into(),
                });
            }
            Ok(())
        })
}

/// A reservation by hand: an address of a private network, attached to nothing.
fn reserve(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let source = making.input.get("source").cloned().unwrap_or_default();
    let network = source.get("private_network_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if network.is_empty() {
        let help = "the local cloud reserves addresses of private networks only: name private_network_id";
        return Err(Refusal::argument("source.private_network_id", Reason::Required, help));
    }
    let asked = making.text("address").to_owned();
    let asked = (!asked.is_empty()).then_some(asked);
    let v6 = making.input.get("is_ipv6") == Some(&json!(true));
    let (address, subnet) = making.act("ipam.ip", |act| free_address(act, &network, asked.as_deref(), v6))?;
    making.set("address", address);
    making.set("source", json!({"subnet_id": subnet}));
    making.record.hidden.insert("private_network_id".into(), network.into());
    Ok(())
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
    let (address, subnet) = free_address(act, network, asked, false)?;
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
    for (field, value) in [("private_network_id", network), ("resource_id", holder.id), ("resource_type", holder.kind)]
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

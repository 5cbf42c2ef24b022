//! What is wanted of the server behind an instance, and what is told of it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use ipnet::IpNet;
use serde_json::{Value, json};
use stackproof_planes::{
    databases::{Database, Instance, Permission, Private, Privilege, Secret, User},
    network::Attachment,
};

use super::{certificate, endpoint, settings_table, user::VERIFIER};
use crate::{
    kernel::{Record, Tables},
    services::vpc,
};

/// The kind of records that a server runs for.
pub(crate) const KIND: &str = "rdb.instance";
/// Where an instance keeps where its public endpoint is, hidden: an address of this machine.
pub(super) const PUBLIC_AT: &str = "public_at";

/// The port of private endpoints.
const PORT: u16 = 5432;

/// The server that an instance wants, and its places in private networks.
#[derive(Clone, PartialEq)]
pub(crate) struct Wanted {
    /// The server.
    pub(crate) server: Instance,
    /// Where it is in private networks.
    pub(crate) attachments: Vec<Attachment>,
}

/// The server that an instance wants; none where it is on its way out, or is not of PostgreSQL.
pub(crate) fn wanted(tables: &Tables, key: &str, record: &Record) -> Option<Wanted> {
    let version = record.text("engine").strip_prefix("PostgreSQL-")?.parse().ok()?;
    if record.text("status") == "deleting" {
        return None;
    }
    let (certificate, private_key) = certificate::pair(record)?;
    let prefix = format!("{key}/");
    let of = |kind: &'static str| tables.under(kind, &prefix, None).map(|(_, record)| record);
    let public =
        record.hidden.contains_key("public_endpoint") || endpoint::list(record).iter().any(endpoint::is_public);
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let attachments: Vec<Attachment> = endpoint::list(record).iter().filter_map(attachment).collect();
    let addresses: Vec<IpAddr> = attachments.iter().flat_map(|at| at.addresses.iter().copied()).collect();
    let server = Instance {
        id: key.to_owned(),
        version,
        certificate,
        key: Secret(private_key),
        settings: settings(record),
        users: of("rdb.user").filter_map(|user| self::user(user)).collect(),
        databases: of("rdb.database")
            .map(|database| Database { name: database.text("name").to_owned(), owner: None })
            .collect(),
        privileges: of("rdb.privilege").filter_map(|privilege| self::privilege(privilege)).collect(),
        local_roles: Vec::new(),
        acl: allowed(tables, key, here),
        public: public.then(|| public_at(record).unwrap_or(SocketAddr::new(here, 0))),
        private: (!addresses.is_empty()).then_some(Private { addresses, port: PORT }),
        max_connections: 100,
        standby: record.body.get("is_ha_cluster") == Some(&json!(true)),
        replica_of: None,
        snapshot: None,
    };
    Some(Wanted { server, attachments })
}

pub(super) fn public_at(record: &Record) -> Option<SocketAddr> {
    record.hidden.get(PUBLIC_AT)?.as_str()?.parse().ok()
}

/// The settings, with the units that their numbers are in.
fn settings(record: &Record) -> BTreeMap<String, String> {
    let told = record.body.get("settings").and_then(Value::as_array).into_iter().flatten();
    told.filter_map(|setting| {
        let (name, value) = (setting.get("name")?.as_str()?, setting.get("value")?.as_str()?);
        let unit = settings_table::POSTGRESQL.iter().find(|known| known.0 == name).map_or("", |known| known.3);
        let plain = unit.is_empty() || value.parse::<i64>().is_ok_and(|number| number <= 0);
        Some((name.to_owned(), if plain { value.to_owned() } else { format!("{value}{unit}") }))
    })
    .collect()
}

fn user(record: &Record) -> Option<User> {
    let verifier = record.hidden.get(VERIFIER)?.as_str()?.to_owned();
    let admin = record.body.get("is_admin") == Some(&json!(true));
    Some(User { name: record.text("name").to_owned(), password: Secret(verifier), admin })
}

fn privilege(record: &Record) -> Option<Privilege> {
    let permission = match record.text("permission") {
        "readonly" => Permission::Readonly,
        "readwrite" => Permission::Readwrite,
        "all" => Permission::All,
        "custom" => Permission::Custom,
        "none" => Permission::None,
        _ => return None,
    };
    let (database, user) = (record.text("database_name").to_owned(), record.text("user_name").to_owned());
    Some(Privilege { database, user, permission })
}

/// From where the server takes connections. The rules are about the public endpoint only (documented), whose
/// connections come from `here`; from everywhere until rules say otherwise. Whoever has a way to the private endpoint
/// has an address of a private network.
fn allowed(tables: &Tables, key: &str, here: IpAddr) -> Vec<IpNet> {
    let rules = tables.get("rdb.acl", key).and_then(|acl| acl.body.get("rules")?.as_array().cloned());
    let public = rules.is_none_or(|rules| {
        let mut nets = rules.iter().filter_map(|rule| rule.get("ip")?.as_str()?.parse::<IpNet>().ok());
        nets.any(|net| net.contains(&here))
    });
    let networks = tables.all("vpc.private_network").flat_map(|(_, network)| vpc::subnets(network));
    networks.map(|(_, net)| net).chain(public.then(|| IpNet::from(here))).collect()
}

fn attachment(endpoint: &Value) -> Option<Attachment> {
    let network = endpoint.get("private_network")?;
    let address = network.get("service_ip")?.as_str()?.split('/').next()?.parse().ok()?;
    Some(Attachment { network: network.get("private_network_id")?.as_str()?.to_owned(), addresses: vec![address] })
}

/// Writes where the public endpoint is. Gives whether that is news.
pub(crate) fn opened(record: &mut Record, public: Option<SocketAddr>) -> bool {
    let Some(public) = public else { return record.hidden.remove(PUBLIC_AT).is_some() };
    let known = record.hidden.insert(PUBLIC_AT.into(), public.to_string().into());
    let mut news = known != Some(public.to_string().into());
    let tell = |endpoint: &mut Value| {
        let told = endpoint["ip"] == public.ip().to_string() && endpoint["port"] == public.port();
        endpoint["ip"] = public.ip().to_string().into();
        endpoint["port"] = public.port().into();
        !told
    };
    for endpoint in record.body.get_mut("endpoints").and_then(Value::as_array_mut).into_iter().flatten() {
        if endpoint::is_public(endpoint) {
            news |= tell(endpoint);
        }
    }
    if let Some(endpoint) = record.body.get_mut("endpoint").filter(|endpoint| !endpoint.is_null()) {
        news |= tell(endpoint);
    }
    news
}

/// Writes that the server does not come to run.
pub(crate) fn failed(record: &mut Record) {
    record.body.insert("status".into(), "error".into());
    record.next = None;
}

/// Writes that the server has died, or is there again. Gives whether that is news.
pub(crate) fn lives(record: &mut Record, lives: bool) -> bool {
    // `autohealing`: "in case of failure" (SDK).
    let (from, to) = if lives { (["autohealing", "error"], "ready") } else { (["ready", "error"], "autohealing") };
    let news = from.contains(&record.text("status"));
    if news {
        record.body.insert("status".into(), to.into());
    }
    news
}

/// The addresses that the certificate of an instance names.
pub(super) fn addresses(record: &Record) -> Vec<IpAddr> {
    let private = endpoint::list(record).iter().filter_map(attachment).flat_map(|at| at.addresses).collect::<Vec<_>>();
    private.into_iter().chain([IpAddr::V4(Ipv4Addr::LOCALHOST)]).collect()
}

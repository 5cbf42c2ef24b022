//! What is wanted of the server behind an instance, and what is told of it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stackproof_planes::{
    databases::{Database, Instance, Permission, Private, Privilege, Secret, User},
    network::{Attachment, Door},
};

use super::{catalog, certificate, endpoint, settings_table, user::VERIFIER};
use crate::{
    kernel::{Record, Tables},
    services::vpc,
};

/// The kind of records that a server runs for.
pub(crate) const KIND: &str = "rdb.instance";
/// Where an instance keeps where its public endpoint is, hidden: an address of this machine.
pub(super) const PUBLIC_AT: &str = "public_at";

/// The kind of read replicas.
pub(crate) const REPLICA: &str = "rdb.read_replica";
/// Where an instance or replica keeps how often it was to begin anew, hidden.
const ROUND: &str = "round";
/// Where a new instance keeps what it begins with, hidden.
const ORIGIN: &str = "origin";

/// What tells that an instance's volume is full, hidden.
const FULL: &str = "full";
/// The most that is kept free on a volume before it counts as full (documented).
const RESERVE: u64 = 2_000_000_000;

/// The port of private endpoints.
const PORT: u16 = 5432;

/// The server that an instance wants, and its places in private networks.
#[derive(Clone, PartialEq)]
pub(crate) struct Wanted {
    /// The server.
    pub(crate) server: Instance,
    /// Where it is in private networks.
    pub(crate) attachments: Vec<Attachment>,
    /// Raised: a server that runs begins anew, a replica is made anew.
    pub(crate) round: u64,
    /// What it begins with while it is new.
    pub(crate) origin: Option<Origin>,
    /// How many bytes its volume has.
    pub(crate) volume: u64,
}

/// What a new instance begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// A snapshot.
    Snapshot(String),
    /// A copy of another instance as it is.
    CopyOf(String),
    /// The contents of another instance, brought over to another version.
    UpgradeOf(String),
    /// The data of what was a read replica.
    Replica(String),
}

/// Whether a server of ours could be behind an instance: those of MySQL have none.
pub(crate) fn has_server(instance: &Record) -> bool {
    instance.text("engine").starts_with("PostgreSQL-")
}

/// The same of an instance's body.
pub(super) fn has_server_of(instance: &Value) -> bool {
    instance["engine"].as_str().is_some_and(|engine| engine.starts_with("PostgreSQL-"))
}

/// Lets a server begin anew.
pub(super) fn begin_anew(record: &mut Record) {
    let round = round(record) + 1;
    record.hidden.insert(ROUND.into(), round.into());
}

fn round(record: &Record) -> u64 {
    record.hidden.get(ROUND).and_then(Value::as_u64).unwrap_or(0)
}

/// Lets a new instance begin with something.
pub(super) fn begin_with(record: &mut Record, origin: &Origin) {
    record.hidden.insert(ORIGIN.into(), json!(origin));
}

/// What an instance begins with, while it has not.
pub(crate) fn origin(record: &Record) -> Option<Origin> {
    serde_json::from_value(record.hidden.get(ORIGIN)?.clone()).ok()
}

/// Writes that it has begun.
pub(crate) fn begun(record: &mut Record) -> bool {
    record.hidden.remove(ORIGIN).is_some()
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
    let mut settings = settings(record);
    if record.hidden.contains_key(FULL) {
        settings.insert("default_transaction_read_only".to_owned(), "on".to_owned());
    }
    let server = Instance {
        id: key.to_owned(),
        version,
        certificate,
        key: Secret(private_key),
        settings,
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
    Some(Wanted { server, attachments, round: round(record), origin: origin(record), volume: volume(record) })
}

/// The server that a read replica wants: like its instance's, which it follows. Users, databases and privileges come
/// with the data.
pub(crate) fn replica(tables: &Tables, key: &str, record: &Record) -> Option<Wanted> {
    if record.text("status") == "deleting" {
        return None;
    }
    let instance = record.text("instance_id");
    let Wanted { server: leader, volume, .. } = wanted(tables, instance, tables.get(KIND, instance)?)?;
    let public = record.hidden.contains_key("direct_access") || endpoint::list(record).iter().any(endpoint::is_public);
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let attachments: Vec<Attachment> = endpoint::list(record).iter().filter_map(attachment).collect();
    let addresses: Vec<IpAddr> = attachments.iter().flat_map(|at| at.addresses.iter().copied()).collect();
    let server = Instance {
        id: key.to_owned(),
        users: Vec::new(),
        databases: Vec::new(),
        privileges: Vec::new(),
        public: public.then(|| public_at(record).unwrap_or(SocketAddr::new(here, 0))),
        private: (!addresses.is_empty()).then_some(Private { addresses, port: PORT }),
        standby: false,
        replica_of: Some(instance.to_owned()),
        ..leader
    };
    Some(Wanted { server, attachments, round: round(record), origin: None, volume })
}

pub(super) fn public_at(record: &Record) -> Option<SocketAddr> {
    record.hidden.get(PUBLIC_AT)?.as_str()?.parse().ok()
}

/// The host name of an instance, which its certificate has too.
pub(super) fn host(key: &str, record: &Record) -> String {
    let region = Some(record.text("region")).filter(|region| !region.is_empty()).unwrap_or("fr-par");
    format!("rw-{key}.rdb.{region}.scw.cloud")
}

/// Every instance with a public endpoint that is open, by its host name.
pub(crate) fn doors(tables: &Tables) -> Vec<Door> {
    let open = tables.all(KIND).filter_map(|(key, record)| {
        let at = public_at(record)?;
        Some(Door { hosts: vec![host(key, record)], ports: [(at.port(), at)].into() })
    });
    open.collect()
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

/// Writes into an instance how one of its replicas is now. Gives whether that is news.
pub(crate) fn shows(record: &mut Record, replica: &Record) -> bool {
    let shown = record.body.get_mut("read_replicas").and_then(Value::as_array_mut);
    let mine = shown.and_then(|shown| shown.iter_mut().find(|other| other["id"] == replica.text("id")));
    let now = Value::Object(replica.body.clone());
    mine.is_some_and(|mine| std::mem::replace(mine, now.clone()) != now)
}

/// Writes that the server does not come to run.
pub(crate) fn failed(record: &mut Record) {
    record.body.insert("status".into(), "error".into());
    record.next = None;
}

/// What the node of an instance has.
pub(crate) struct Node {
    /// How many processors.
    pub(crate) processors: u32,
    /// How many bytes of memory.
    pub(crate) memory: u64,
    /// How many bytes its volume has.
    pub(crate) volume: u64,
}

/// What the node of an instance has.
pub(crate) fn node(record: &Record) -> Node {
    let (processors, memory) = catalog::size(record.text("node_type"));
    Node { processors, memory, volume: volume(record) }
}

/// How many bytes the volume of an instance has.
pub(crate) fn volume(record: &Record) -> u64 {
    record.body.get("volume").and_then(|volume| volume.get("size")?.as_u64()).unwrap_or_default()
}

/// Whether a volume counts as full: less than a fiftieth of it is free, or less than 2 GB where that is less
/// (documented).
pub(crate) fn is_full(used: u64, volume: u64) -> bool {
    volume > 0 && volume.saturating_sub(used) < (volume / 50).min(RESERVE)
}

/// Writes whether the volume is full: then what is not said to write may only read, until there is room again
/// (documented). Gives whether that is news.
pub(crate) fn fills(record: &mut Record, full: bool) -> bool {
    let was = if full { record.hidden.insert(FULL.into(), json!(true)) } else { record.hidden.remove(FULL) };
    let (from, to) = if full { ("ready", "disk_full") } else { ("disk_full", "ready") };
    if record.text("status") == from {
        record.body.insert("status".into(), to.into());
    }
    was.is_some() != full
}

/// The state in which an instance is once nothing is done to it.
pub(super) fn settled(record: &Record) -> &'static str {
    if record.hidden.contains_key(FULL) { "disk_full" } else { "ready" }
}

/// How a server is, as its record tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It takes connections.
    Lives,
    /// It died, and is on its way back.
    Returns,
    /// It died, and could not be started again so far.
    Broken,
}

/// Writes how the server is. Gives whether that is news: what passes through a state is left to it.
pub(crate) fn tell(kind: &str, record: &mut Record, health: Health) -> bool {
    let status = match health {
        Health::Lives => settled(record),
        // `autohealing`: "in case of failure" (SDK); replicas have no such state.
        Health::Returns if kind == KIND => "autohealing",
        Health::Returns | Health::Broken => "error",
    };
    let now = record.text("status");
    let news = ["ready", "disk_full", "autohealing", "error"].contains(&now) && now != status;
    if news {
        record.body.insert("status".into(), status.into());
    }
    news
}

/// The addresses that the certificate of an instance names.
pub(super) fn addresses(record: &Record) -> Vec<IpAddr> {
    let private = endpoint::list(record).iter().filter_map(attachment).flat_map(|at| at.addresses).collect::<Vec<_>>();
    private.into_iter().chain([IpAddr::V4(Ipv4Addr::LOCALHOST)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_full_before_its_last_byte() {
        let giga = 1_000_000_000;
        assert!(!is_full(48 * giga / 10, 5 * giga));
        assert!(is_full(49 * giga / 10 + 1, 5 * giga), "less than a fiftieth is free");
        assert!(!is_full(497 * giga, 500 * giga), "3 GB are enough, however large it is");
        assert!(is_full(498 * giga + 1, 500 * giga));
        assert!(is_full(6 * giga, 5 * giga) && !is_full(giga, 0));
    }
}

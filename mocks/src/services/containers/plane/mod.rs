//! What is wanted of the processes behind a container, and what is told of them; who calls it when ([`crons`]), and
//! whom it lets in ([`door`]).

mod crons;
mod door;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

pub(crate) use crons::{Cron, crons};
pub(crate) use door::{Protocol, Route, is_public, of_host, opens, own_names, route, wants_tls};
use serde_json::{Value, json};
use stackproof_planes::{
    containers::{Check, Health, Limits, ScaleBy, ServiceSpec},
    network::Attachment,
};

use super::{
    CONTAINER, NAMESPACE,
    environment::{PLAIN, SECRET},
    settings,
};
use crate::kernel::{Record, Tables};

/// The kind of records that processes run for.
pub(crate) const KIND: &str = CONTAINER;
/// Where it counts deployments, hidden.
const DEPLOYMENT: &str = "deployment";
/// Where it keeps in full why it does not run, hidden.
const REASON: &str = "reason";

/// How long a container may take to listen where no startup probe says otherwise.
const SOON: Duration = Duration::from_secs(10);
/// After how long without requests the last instance is stopped, and one more than needed (documented).
const IDLE: Duration = Duration::from_secs(15 * 60);
const SPARE: Duration = Duration::from_secs(30);
/// How many requests an instance takes at a time at most (documented), also where something else decides how many
/// instances there are.
const MOST_CONCURRENT: u32 = 80;
/// How the reason begins why an image is not there; all of it is told.
const UNFETCHED: &str = "Unable to fetch image";
/// How long one that is stopped may take (documented).
const GRACE: Duration = Duration::from_secs(30);

/// The processes that a container wants.
#[derive(Clone, PartialEq)]
pub(crate) struct Wanted {
    /// How they run; the image is empty.
    pub(crate) service: ServiceSpec,
    /// The image's reference.
    pub(crate) image: String,
    /// Counts deployments.
    pub(crate) deployment: u64,
    /// Where the first of them is in a private network.
    pub(crate) attachment: Option<Attachment>,
}

/// Begins a deployment: what the image names then is what runs.
pub(super) fn deploy(record: &mut Record) {
    let count = record.hidden.get(DEPLOYMENT).and_then(Value::as_u64).unwrap_or_default();
    record.hidden.insert(DEPLOYMENT.into(), (count + 1).into());
}

/// The processes that a container wants; none where it is on its way out, or was never deployed.
pub(crate) fn wanted(tables: &Tables, key: &str, record: &Record) -> Option<Wanted> {
    if matches!(record.text("status"), "deleting" | "created") {
        return None;
    }
    let number = |field: &str| record.body.get(field).and_then(Value::as_u64);
    let texts = |field: &str| -> Vec<String> {
        let told = record.body.get(field).and_then(Value::as_array).into_iter().flatten();
        told.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let small = |field: &str, or: u32| number(field).and_then(|n| u32::try_from(n).ok()).unwrap_or(or);
    let (scale_by, concurrency) = scaling(record);
    Some(Wanted {
        service: ServiceSpec {
            id: key.to_owned(),
            image: String::new(),
            command: texts("command"),
            args: texts("args"),
            env: environment(tables, record),
            port: number("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(8080),
            min: small("min_scale", 0),
            max: small("max_scale", 1),
            concurrency,
            scale_by,
            limits: Limits {
                memory: number("memory_limit_bytes"),
                cpu: number("mvcpu_limit").and_then(|cpu| u32::try_from(cpu).ok()),
                processes: None,
                storage: number("local_storage_limit_bytes"),
            },
            health: probe(record, "liveness_probe"),
            startup: probe(record, "startup_probe"),
            start_within: SOON,
            idle: IDLE,
            spare: SPARE,
            grace: GRACE,
        },
        image: record.text("image").to_owned(),
        deployment: number_hidden(record, DEPLOYMENT),
        attachment: attachment(tables, key, record),
    })
}

fn number_hidden(record: &Record, field: &str) -> u64 {
    record.hidden.get(field).and_then(Value::as_u64).unwrap_or_default()
}

/// The namespace's variables, the container's over them; secret ones likewise.
fn environment(tables: &Tables, record: &Record) -> BTreeMap<String, String> {
    let namespace = tables.get(NAMESPACE, record.text("namespace_id"));
    let mut all = BTreeMap::new();
    for of in namespace.map(AsRef::as_ref).into_iter().chain([record]) {
        for variables in [of.body.get(PLAIN), of.hidden.get(SECRET)].into_iter().flatten() {
            let texts = variables.as_object().into_iter().flatten();
            all.extend(texts.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))));
        }
    }
    all
}

/// What decides how many instances there are, and how many requests one takes at a time.
fn scaling(record: &Record) -> (ScaleBy, u32) {
    let threshold = |name: &str| {
        let told = record.body.get("scaling_option").and_then(|by| by.get(name)?.as_u64());
        told.and_then(|threshold| u32::try_from(threshold).ok())
    };
    match (threshold("cpu_usage_threshold"), threshold("memory_usage_threshold")) {
        (Some(percent), _) => (ScaleBy::Cpu(percent), MOST_CONCURRENT),
        (None, Some(percent)) => (ScaleBy::Memory(percent), MOST_CONCURRENT),
        (None, None) => (ScaleBy::Requests, threshold("concurrent_requests_threshold").unwrap_or(MOST_CONCURRENT)),
    }
}

fn probe(record: &Record, name: &str) -> Option<Health> {
    let probe = record.body.get(name).filter(|probe| !probe.is_null())?;
    let path = probe.pointer("/http/path").and_then(Value::as_str);
    let failures = probe.get("failure_threshold").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let time = |part: &str, or| probe.get(part).and_then(|text| settings::duration(text.as_str()?)).unwrap_or(or);
    Some(Health {
        check: path.map_or(Check::Tcp, |path| Check::Http { path: path.to_owned() }),
        interval: time("interval", SOON),
        timeout: time("timeout", Duration::from_secs(1)),
        failures: failures.unwrap_or(1),
    })
}

/// Where a container is in its private network: with the address that IPAM gave it.
fn attachment(tables: &Tables, key: &str, record: &Record) -> Option<Attachment> {
    let network = record.text("private_network_id");
    let hidden = |ip: &Record, field: &str, is: &str| ip.hidden.get(field).and_then(Value::as_str) == Some(is);
    let mut held = tables.all("ipam.ip").map(|(_, ip)| ip);
    let ip = held.find(|ip| hidden(ip, "resource_id", key) && hidden(ip, "private_network_id", network))?;
    let address: IpAddr = ip.text("address").split('/').next()?.parse().ok()?;
    Some(Attachment { network: network.to_owned(), addresses: vec![address] })
}

/// Why an image is not there, in the product's words (told in an issue of its Serverless Framework plugin), and what is
/// the matter here.
pub(crate) fn unfetched(image: &str, why: &str) -> String {
    let (name, reference) = match image.rsplit_once('@').or_else(|| image.rsplit_once(':')) {
        Some((name, reference)) if !reference.contains('/') => (name, reference),
        _ => (image, "latest"),
    };
    let (host, path) = name.split_once('/').unwrap_or(("", name));
    if !(host.starts_with("rg.") && host.ends_with(".scw.cloud")) {
        return format!("{UNFETCHED} \"{image}\": the local cloud pulls from its own registry only\n{why}");
    }
    format!(
        "{UNFETCHED} \"{image}\": failed to resolve image to digest: HEAD https://{host}/v2/{path}/manifests/{reference}: \
         unexpected status code 404 Not Found (HEAD responses have no body, use GET for details)\n{why}"
    )
}

/// Writes that the container does not run. What Scaleway says of it is short (recorded), but for an image that is not
/// there; the whole reason is kept.
pub(crate) fn failed(record: &mut Record, reason: &str) {
    let port = record.body.get("port").cloned().unwrap_or_default();
    let message = match reason.split_once('\n') {
        Some((told, _)) if told.starts_with(UNFETCHED) => told.to_owned(),
        _ => format!("Container is unable to start OR is not listening on port {port}"),
    };
    record.body.insert("status".into(), "error".into());
    record.body.insert("error_message".into(), message.into());
    record.hidden.insert(REASON.into(), reason.into());
    record.next = None;
}

/// What keeps containers from running: for each its identifier, name and the whole reason.
pub(crate) fn troubles(tables: &Tables) -> Vec<Value> {
    let reason = |record: &Record| record.hidden.get(REASON).cloned();
    let all = tables.all(CONTAINER).filter(|(_, record)| record.text("status") == "error");
    all.filter_map(|(key, record)| {
        Some(json!({"kind": CONTAINER, "id": key, "name": record.text("name"), "reason": reason(record)?}))
    })
    .collect()
}

/// Writes that the container runs again. Gives whether that is news.
pub(crate) fn runs(record: &mut Record) -> bool {
    let news = record.text("status") == "error" && record.next.is_none();
    if news {
        record.body.insert("status".into(), "ready".into());
        record.body.insert("error_message".into(), "".into());
        record.hidden.remove(REASON);
    }
    news
}

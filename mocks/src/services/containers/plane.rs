//! What is wanted of the processes behind a container, and what is told of them.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use stackproof_planes::{
    containers::{Check, Health, Limits, ServiceSpec},
    network::Attachment,
};
use time::OffsetDateTime;

use super::{
    CONTAINER, NAMESPACE, TOKEN,
    environment::{PLAIN, SECRET},
    settings, token,
};
use crate::kernel::{Record, Tables};

/// The kind of records that processes run for.
pub(crate) const KIND: &str = CONTAINER;
/// Where it counts deployments, hidden.
const DEPLOYMENT: &str = "deployment";
/// Where it keeps in full why it does not run, hidden.
const REASON: &str = "reason";

/// How long a container may take to listen where time is not as Scaleway's.
const SOON: Duration = Duration::from_secs(10);
/// After how long without requests a container is stopped (documented: 15 minutes).
const IDLE: Duration = Duration::from_secs(15 * 60);
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
    let concurrency =
        record.body.get("scaling_option").and_then(|by| by.get("concurrent_requests_threshold")?.as_u64());
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
            concurrency: concurrency.and_then(|n| u32::try_from(n).ok()).unwrap_or(80),
            limits: Limits {
                memory: number("memory_limit_bytes"),
                cpu: number("mvcpu_limit").and_then(|cpu| u32::try_from(cpu).ok()),
                processes: None,
            },
            health: health(record),
            start_within: SOON,
            idle: IDLE,
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

fn health(record: &Record) -> Option<Health> {
    let probe = record.body.get("liveness_probe").filter(|probe| !probe.is_null())?;
    let path = probe.pointer("/http/path").and_then(Value::as_str);
    let failures = probe.get("failure_threshold").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    Some(Health {
        check: path.map_or(Check::Tcp, |path| Check::Http { path: path.to_owned() }),
        interval: probe.get("interval").and_then(|text| settings::duration(text.as_str()?)).unwrap_or(SOON),
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

/// Writes that the container does not run. What Scaleway says of it is short (recorded); the whole reason is kept.
pub(crate) fn failed(record: &mut Record, reason: &str) {
    let port = record.body.get("port").cloned().unwrap_or_default();
    let message = format!("Container is unable to start OR is not listening on port {port}");
    record.body.insert("status".into(), "error".into());
    record.body.insert("error_message".into(), message.into());
    record.hidden.insert(REASON.into(), reason.into());
    record.next = None;
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

/// The container that a host name leads to.
pub(crate) fn of_host<'t>(tables: &'t Tables, host: &str) -> Option<(&'t str, &'t Record)> {
    let containers = tables.all(CONTAINER).map(|(key, record)| (key, record.as_ref()));
    let mut named = containers.filter(|(_, record)| record.text("status") != "deleting");
    named.find(|(_, record)| record.text("public_endpoint").strip_prefix("https://") == Some(host))
}

/// Whether a container takes requests from everybody.
pub(crate) fn is_public(record: &Record) -> bool {
    record.text("privacy") != "private"
}

/// Whether a container takes requests by TLS only.
pub(crate) fn wants_tls(record: &Record) -> bool {
    record.body.get("https_connections_only") == Some(&json!(true))
}

/// Whether a token opens a container: signed with its namespace's key, for it or its namespace, known and not expired.
pub(crate) fn opens(tables: &Tables, key: &str, record: &Record, token: &str, now: OffsetDateTime) -> bool {
    opens_if(tables, key, record, token, now).is_some()
}

fn opens_if(tables: &Tables, key: &str, record: &Record, token: &str, now: OffsetDateTime) -> Option<()> {
    let (message, signature) = token.rsplit_once('.')?;
    let (_, claims) = message.split_once('.')?;
    let namespace = record.text("namespace_id");
    let signer = tables.get(NAMESPACE, namespace)?.hidden.get(token::KEY)?.as_str()?.to_owned();
    let signer = rcgen::KeyPair::try_from(STANDARD.decode(signer).ok()?).ok()?;
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.public_key_raw());
    public.verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let known = tables.get(TOKEN, claims.get("jti")?.as_str()?)?;
    let lives = claims.get("exp").and_then(Value::as_i64).is_none_or(|expires| expires > now.unix_timestamp());
    let fits = match known.text("container_id") {
        "" => known.text_or_hidden("namespace_id") == namespace,
        container => container == key,
    };
    (lives && fits).then_some(())
}

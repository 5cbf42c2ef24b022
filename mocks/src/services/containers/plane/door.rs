//! Whom a container lets in, and how requests are carried to it.

use std::{collections::BTreeSet, time::Duration};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::super::{CONTAINER, DOMAIN, NAMESPACE, TOKEN, settings, token};
use crate::kernel::{Record, Tables};

/// How long a request may take where nothing is said (recorded).
const TIMEOUT: Duration = Duration::from_secs(300);

/// The container that a host name leads to: its own, or one of its domains'.
pub(crate) fn of_host<'t>(tables: &'t Tables, host: &str) -> Option<(&'t str, &'t Record)> {
    let containers = tables.all(CONTAINER).map(|(key, record)| (key, record.as_ref()));
    let mut there = containers.filter(|(_, record)| record.text("status") != "deleting");
    let mut domains = tables.all(DOMAIN).map(|(_, domain)| domain);
    let named = domains.find(|domain| answers(domain) && domain.text("hostname").eq_ignore_ascii_case(host));
    match named {
        Some(domain) => there.find(|(key, _)| *key == domain.text("container_id")),
        None => there.find(|(_, record)| record.text("public_endpoint").strip_prefix("https://") == Some(host)),
    }
}

/// The names of users' own that lead to containers.
pub(crate) fn own_names(tables: &Tables) -> BTreeSet<String> {
    let domains = tables.all(DOMAIN).filter(|(_, domain)| answers(domain));
    domains.map(|(_, domain)| domain.text("hostname").to_ascii_lowercase()).collect()
}

fn answers(domain: &Record) -> bool {
    domain.text("status") == "ready"
}

/// What a container's endpoint speaks with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS.
    H2c,
}

/// How requests are carried to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// How long a request may take.
    pub(crate) timeout: Duration,
}

/// How requests are carried to this container.
pub(crate) fn route(record: &Record) -> Route {
    Route {
        protocol: if record.text("protocol") == "h2c" { Protocol::H2c } else { Protocol::Http1 },
        timeout: settings::duration(record.text("timeout")).unwrap_or(TIMEOUT),
    }
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

//! Who asks: `X-Auth-Token` holds the secret key of an API key.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, header};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::kernel::{Caller, Digest, Origin, Record, Refusal, Store};

/// The kind of the records that lead from a secret key's digest to its API key.
pub const SECRET_KIND: &str = "iam.secret_key";

/// What a secret key is looked up by: never the key itself.
pub fn secret_key_digest(secret_key: &str) -> String {
    Digest::of(secret_key.as_bytes()).as_str().to_owned()
}

pub(super) fn authenticate(store: &Store, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller, Refusal> {
    let token = headers.get("x-auth-token").ok_or(Refusal::DeniedAuthentication { reason: "invalid_argument" })?;
    let token = token.to_str().map_err(|_| Refusal::DeniedAuthentication { reason: "invalid_argument" })?;
    Ok(Caller { origin: origin(headers, extensions), ..caller_of(store, token)? })
}

/// The longest name of a program that conditions know (documented).
const AGENT_KNOWN: usize = 255;

/// Where a request came from.
pub(crate) fn origin(headers: &HeaderMap, extensions: &Extensions) -> Origin {
    let mut origin = Origin::default();
    if let Some(connection) = extensions.get::<ConnectInfo<SocketAddr>>() {
        origin.ip = connection.0.ip();
    }
    if let Some(agent) = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()) {
        origin.user_agent = agent.chars().take(AGENT_KNOWN).collect();
    }
    origin
}

/// Who a secret key speaks for.
///
/// # Errors
/// Nobody has this key, or it has expired.
pub(crate) fn caller_of(store: &Store, secret_key: &str) -> Result<Caller, Refusal> {
    let now = store.clock().now();
    store.read(|tables| {
        let pointer = tables.get(SECRET_KIND, &secret_key_digest(secret_key));
        let access_key = pointer.map(|pointer| pointer.text("access_key")).unwrap_or_default();
        let key = tables.get("iam.api_key", access_key).ok_or(Refusal::DeniedAuthentication { reason: "not_found" })?;
        if has_expired(key, now) {
            return Err(Refusal::DeniedAuthentication { reason: "expired" });
        }
        Ok(caller(key))
    })
}

/// Whether an API key's time is over.
pub(crate) fn has_expired(key: &Record, now: OffsetDateTime) -> bool {
    OffsetDateTime::parse(key.text("expires_at"), &Rfc3339).is_ok_and(|expires| expires <= now)
}

/// Who an API key speaks for.
pub(crate) fn caller(key: &Record) -> Caller {
    let principal = [("user", "user_id"), ("application", "application_id")]
        .into_iter()
        .find_map(|(kind, field)| Some((kind.to_owned(), key.body.get(field)?.as_str()?.to_owned())))
        .unwrap_or_default();
    Caller {
        principal,
        organization_id: key.hidden.get("organization_id").and_then(|id| id.as_str()).unwrap_or_default().to_owned(),
        default_project_id: key.text("default_project_id").to_owned(),
        access_key: key.text("access_key").to_owned(),
        origin: Origin::default(),
    }
}

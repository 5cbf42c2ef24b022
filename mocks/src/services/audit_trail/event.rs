//! Events: what was asked of the organisation's resources, and what happened to them by itself.

use std::sync::Arc;

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Builder;

use super::{READ, WRITE, method, resource_type};
use crate::kernel::{Asked, AuditEntry, Cause, Look, Reason, Refusal, Resource, moment};

const EVENTS: &str = "/audit-trail/v1alpha1/regions/{region}/events";

/// How far back is looked where the request does not say it (SDK: `RecordedAfter`).
const LOOKED_BACK: Duration = Duration::HOUR;

const PAGE: usize = 50;
const LARGEST_PAGE: usize = 100;

/// The local cloud listens on this machine only.
const SOURCE_IP: &str = "127.0.0.1";

pub(super) fn event() -> Resource {
    Resource::new("audit_trail.event")
        .at(EVENTS)
        .singleton()
        .of_organization()
        .permissions(READ, WRITE)
        .without(&["GET", "PATCH", "PUT"])
        .look(EVENTS, |look| {
            let asked =
                |entry: &AuditEntry| matches!(&entry.cause, Cause::Request(asked) if passes(look, entry, asked));
            list(look, asked, tell)
        })
        .look("/audit-trail/v1alpha1/regions/{region}/system-events", |look| {
            list(look, |entry| matches!(entry.cause, Cause::Schedule), tell)
        })
        .look("/audit-trail/v1alpha1/regions/{region}/authentication-events", |look| list(look, |_| false, tell))
        .look("/audit-trail/v1alpha1/regions/{region}/combined-events", |look| {
            let shown = |entry: &AuditEntry| of_resource(look, entry);
            list(look, shown, |entry| match entry.cause {
                Cause::Request(_) => json!({"api": tell(entry)}),
                Cause::Schedule => json!({"system": tell(entry)}),
            })
        })
        .look("/audit-trail/v1alpha1/regions/{region}/last-events-overview", |look| {
            own(look)?;
            let entries =
                here(look).filter(|entry| matches!(entry.cause, Cause::Request(_)) && of_resource(look, entry));
            let mut last: Vec<Value> = entries.map(|entry| tell(&entry)).collect();
            last.reverse();
            last.truncate(5);
            Ok(json!({ "last_events": last }))
        })
}

/// The organisation that the query names has to be the caller's own.
pub(super) fn own(look: &Look<'_>) -> Result<(), Refusal> {
    match look.call.query("organization_id") {
        Some(asked) if asked != look.call.caller.organization_id => {
            Err(Refusal::PermissionsDenied { resource: "audit_trail".into(), action: "read".into() })
        }
        _ => Ok(()),
    }
}

/// The organisation's entries of the path's region, and those of no place.
fn here(look: &Look<'_>) -> impl DoubleEndedIterator<Item = Arc<AuditEntry>> {
    let organization = look.call.caller.organization_id.clone();
    let region = look.call.param("region").unwrap_or_default().to_owned();
    look.audit.entries().into_iter().filter(move |entry| {
        entry.organization_id == organization && (entry.locality.is_empty() || entry.locality.starts_with(&region))
    })
}

fn list(
    look: &Look<'_>,
    shown: impl Fn(&AuditEntry) -> bool,
    tell: impl Fn(&AuditEntry) -> Value,
) -> Result<Value, Refusal> {
    own(look)?;
    let call = look.call;
    let wrong = |name: &str, help: String| Refusal::argument(name, Reason::Constraint, help);
    let at = |name: &str, otherwise: OffsetDateTime| match call.query(name) {
        None => Ok(otherwise),
        Some(text) => moment(text).ok_or_else(|| wrong(name, "must be a time in RFC 3339".into())),
    };
    let (after, before) = (at("recorded_after", look.now - LOOKED_BACK)?, at("recorded_before", look.now)?);
    let ascending = match call.query("order_by") {
        None | Some("recorded_at_desc") => false,
        Some("recorded_at_asc") => true,
        Some(_) => return Err(wrong("order_by", "must be recorded_at_desc or recorded_at_asc".into())),
    };
    let size = call.query("page_size").map_or(Ok(PAGE), |size| {
        let size = size.parse().ok().filter(|size| (1..=LARGEST_PAGE).contains(size));
        size.ok_or_else(|| wrong("page_size", format!("must be a number from 1 to {LARGEST_PAGE}")))
    })?;
    // A page's token is the number of the last entry before it.
    let token: Option<u64> = match call.query("page_token") {
        None => None,
        Some(token) => Some(token.parse().map_err(|_| wrong("page_token", "is no token of a page".into()))?),
    };
    let behind =
        |entry: &AuditEntry| token.is_none_or(|last| if ascending { entry.number > last } else { entry.number < last });
    let mut entries: Vec<Arc<AuditEntry>> =
        here(look).filter(|entry| (after..=before).contains(&entry.at) && behind(entry) && shown(entry)).collect();
    if !ascending {
        entries.reverse();
    }
    let more = entries.len() > size;
    entries.truncate(size);
    let mut page = json!({"events": entries.iter().map(|entry| tell(entry)).collect::<Vec<_>>()});
    // On the last page it is absent (recorded).
    if let Some(last) = entries.last().filter(|_| more) {
        page["next_page_token"] = last.number.to_string().into();
    }
    Ok(page)
}

/// Whether an entry is about what the query's project and type of resource say.
fn of_resource(look: &Look<'_>, entry: &AuditEntry) -> bool {
    let call = look.call;
    call.query("project_id").is_none_or(|asked| entry.project_id.as_deref() == Some(asked))
        && call
            .query("resource_type")
            .is_none_or(|asked| entry.about.iter().any(|about| resource_type::of(about.kind) == asked))
}

fn passes(look: &Look<'_>, entry: &AuditEntry, asked: &Asked) -> bool {
    let call = look.call;
    let is = |name: &str, value: &str| call.query(name).is_none_or(|wanted| wanted == value);
    of_resource(look, entry)
        && call.query("resource_id").is_none_or(|wanted| entry.about.iter().any(|about| about.id == wanted))
        && is("principal_id", &asked.principal_id)
        && is("source_ip", SOURCE_IP)
        && is("status", &asked.status.to_string())
        && is("method_name", &method::name(&asked.route))
        && is("service_name", &method::service(&asked.route))
        && is("product_name", &method::product(&asked.route))
}

/// An entry as an event.
fn tell(entry: &AuditEntry) -> Value {
    let resources: Vec<Value> = entry.about.iter().map(resource_type::tell).collect();
    let mut event = json!({
        "id": id(entry), "recorded_at": entry.at.format(&Rfc3339).unwrap_or_default(), "locality": entry.locality,
        "organization_id": entry.organization_id, "project_id": entry.project_id, "resources": resources,
    });
    let told = match &entry.cause {
        Cause::Request(asked) => json!({
            "principal": {"id": asked.principal_id}, "source_ip": SOURCE_IP, "user_agent": asked.user_agent,
            "product_name": method::product(&asked.route), "service_name": method::service(&asked.route),
            "method_name": method::name(&asked.route), "request_id": asked.request_id, "request_body": asked.body,
            "status_code": asked.status,
        }),
        Cause::Schedule => {
            let (product, name) = entry.kind.split_once('.').unwrap_or((entry.kind, ""));
            json!({
                "product_name": product.replace('_', "-"), "source": product, "system_name": format!("{name}_schedule"),
                "kind": "cron",
            })
        }
    };
    if let (Some(event), Value::Object(told)) = (event.as_object_mut(), told) {
        event.extend(told);
    }
    event
}

/// A UUID of version 7, as recorded: its time and its number.
fn id(entry: &AuditEntry) -> String {
    let milliseconds = u64::try_from(entry.at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    let mut rest = [0; 10];
    rest[2..].copy_from_slice(&entry.number.to_be_bytes());
    Builder::from_unix_timestamp_millis(milliseconds, &rest).into_uuid().to_string()
}

//! Data source: where metrics, logs or traces of a project are kept.
//!
//! Beside those a team makes, every project has Scaleway's own, which its products write to (provider: data
//! source `cockpit_source` with `origin = "scaleway"`).

use serde_json::{Value, json};

use super::{READ, WRITE, hide_organization};
use crate::kernel::{
    Call, Field, Making, Reason, Record, Refusal, Resource, Transaction, computed, optional, required, rfc3339,
};
use crate::services::account::COMES_WITH_PROJECT;

pub(super) const DATA_SOURCE: &str = "cockpit.data_source";

/// How long data can be kept, in days: least, most, and by default for metrics and for all else (recorded).
pub(super) const RETENTION: (i64, i64, i64, i64) = (1, 1825, 31, 7);

/// What there is from a project's first day: name and type.
const OF_SCALEWAY: [(&str, &str); 2] = [("Scaleway Metrics", "metrics"), ("Scaleway Logs", "logs")];

pub(super) fn data_source() -> Resource {
    Resource::new(DATA_SOURCE)
        .called("data source")
        .at("/cockpit/v1/regions/{region}/data-sources/{data_source_id}")
        .listed_as("data_sources")
        .fields(fields())
        .listed_if(is_asked_for)
        .order(&["created_at", "name", "type"])
        .permissions(READ, WRITE)
        .made(|making| {
            if making.record.body.get("retention_days").is_none_or(Value::is_null) {
                let days = default_retention(making.text("type"));
                making.set("retention_days", days);
            }
            hide_organization(making)
        })
        .deleted(|act, key| {
            if act.find(DATA_SOURCE, key)?.text("origin") == "custom" {
                return Ok(());
            }
            let help = "data sources of Scaleway's own products cannot be deleted".into();
            Err(Refusal::Precondition { precondition: "resource_not_usable", help })
        })
}

fn fields() -> Vec<Field> {
    let (least, most, ..) = RETENTION;
    vec![
        required("name").text(1..=255),
        optional("type").one_of(|| vec!["metrics", "logs", "traces"]).default("metrics").fixed(),
        optional("retention_days").integer(least..=most).default(Value::Null),
        computed("origin", |_| Ok(json!("custom"))),
        computed("synchronized_with_grafana", |_| Ok(json!(false))),
        computed("current_month_usage", |_| Ok(json!(0))),
        computed("url", |making: &mut Making<'_, '_>| {
            Ok(url(making.key, making.text("type"), making.text("region")).into())
        }),
    ]
}

/// Whether a list shows it, by `types` and `origin`.
///
/// A list that names no origin (to the API that is `unknown_origin`, which the provider sends) is recorded to show
/// what teams made and none of Scaleway's own.
fn is_asked_for(record: &Record, call: &Call) -> bool {
    let origin = record.text("origin");
    let of_origin = match call.query("origin") {
        None => origin != "scaleway",
        Some(asked) => origin == asked,
    };
    of_origin && call.asks_for("types", record.text("type"))
}

fn default_retention(kind: &str) -> i64 {
    if kind == "metrics" { RETENTION.2 } else { RETENTION.3 }
}

fn url(id: &str, kind: &str, region: &str) -> String {
    format!("https://{id}.{kind}.cockpit.{region}.scw.cloud")
}

/// Gives a project the data sources that Scaleway's products write to in a region.
pub(in crate::services) fn add_default(tx: &mut Transaction<'_>, organization: &str, project: &str, region: &str) {
    for (name, kind) in OF_SCALEWAY {
        let (id, now) = (tx.ids().uuid(), rfc3339(tx.now()));
        let mut record = Record::of(&json!({
            "id": id, "project_id": project, "region": region, "name": name, "type": kind, "origin": "scaleway",
            "retention_days": default_retention(kind), "synchronized_with_grafana": true, "current_month_usage": 0,
            "created_at": now, "updated_at": now, "url": url(&id, kind, region),
        }));
        record.hidden.insert("organization_id".into(), organization.into());
        // It goes with its project and does not keep it from being deleted.
        record.hidden.insert(COMES_WITH_PROJECT.into(), json!(true));
        tx.put(DATA_SOURCE, &id, record);
    }
}

/// The data source of Scaleway's own for a type in a project and region.
pub(super) fn of_scaleway(tables: &crate::kernel::Tables, project: &str, region: &str, kind: &str) -> Option<String> {
    let is_it = |record: &Record| {
        (record.text("project_id"), record.text("region")) == (project, region)
            && (record.text("type"), record.text("origin")) == (kind, "scaleway")
    };
    tables.all(DATA_SOURCE).find(|(_, record)| is_it(record)).map(|(key, _)| key.to_owned())
}

/// The refusal of a data source that is of another type than it must be.
pub(super) fn wrong_type(field: &str, kinds: &str) -> Refusal {
    Refusal::argument(field, Reason::Constraint, format!("must be a data source of {kinds}"))
}

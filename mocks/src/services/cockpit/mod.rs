//! Cockpit: metrics, logs and traces, and alerts on them. API reference: Cockpit API v1, global and regional.
//!
//! Nothing runs behind the addresses yet: they are well-formed and nobody answers there; nothing is measured,
//! so no alert ever fires and a test alert notifies nobody. What a data plane will need is kept: the secrets
//! of tokens with their scopes, contact points in their order, which alerts are enabled.
//!
//! Not emulated: usage, counts of rules, dashboards.

mod alert;
mod alert_manager;
mod data_source;
mod exporter;
mod grafana;
mod offer;
mod plan;
mod token;

use serde_json::{Value, json};

pub(in crate::services) use data_source::add_default;

use crate::kernel::{Act, Call, Catalogue, Look, Making, Product, Record, Refusal, Tables};

/// Documented in IAM's list of permission sets.
const READ: &[&str] = &["ObservabilityReadOnly", "ObservabilityGrafanaEditor"];
const WRITE: &[&str] = &["ObservabilityFullAccess"];

pub(super) fn product() -> Product {
    Product {
        name: "cockpit",
        title: "Cockpit",
        resources: vec![
            data_source::data_source(),
            token::token(),
            exporter::exporter(),
            alert_manager::alert_manager(),
            alert::alert(),
            grafana::grafana(),
            grafana::user(),
            plan::plan(),
            offer::offer(),
        ],
    }
}

/// The project a request is about, which has to be the caller's own.
///
/// # Errors
/// `permissions_denied` for any other (recorded, of a project that was deleted).
fn project(tables: &Tables, catalogue: &Catalogue, call: &Call) -> Result<String, Refusal> {
    let project = call.text("project_id").or(call.query("project_id")).unwrap_or(&call.caller.default_project_id);
    let denied = |_| Refusal::PermissionsDenied { resource: "cockpit".into(), action: "read".into() };
    catalogue.find(tables, "account.project", project, call).map_err(denied)?;
    Ok(project.to_owned())
}

/// What there is one of for a project in a region: its key.
fn place(tables: &Tables, catalogue: &Catalogue, call: &Call) -> Result<(String, String, String), Refusal> {
    let project = project(tables, catalogue, call)?;
    let region = call.param("region").unwrap_or_default().to_owned();
    Ok((format!("{region}/{project}"), region, project))
}

fn place_of_act(act: &Act<'_, '_>) -> Result<(String, String, String), Refusal> {
    place(act.tx.tables(), act.catalogue, act.call)
}

fn place_of_look(look: &Look<'_>) -> Result<(String, String, String), Refusal> {
    place(look.tables, look.catalogue, look.call)
}

/// A record that belongs to a project without telling so.
fn of_project(body: &Value, project: &str) -> Record {
    let mut record = Record::of(body);
    record.hidden.insert("project_id".into(), project.into());
    record
}

/// The organisation is kept out of sight: answers tell the project only (recorded).
fn hide_organization(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let organization = making.record.body.remove("organization_id").unwrap_or_default();
    making.record.hidden.insert("organization_id".into(), organization);
    Ok(())
}

/// A whole list as one page.
fn all(key: &str, items: &[Value]) -> Value {
    json!({key: items, "total_count": items.len()})
}

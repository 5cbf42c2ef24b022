//! VPC: a network of private networks in one region.

use serde_json::{Value, json};

use super::{READ, WRITE, acl};
use crate::kernel::{Act, Answer, Record, Refusal, Resource, Transaction, computed, optional, rfc3339};
use crate::services::account::COMES_WITH_PROJECT;

pub(super) fn vpc() -> Resource {
    Resource::new("vpc.vpc")
        .at("/vpc/v2/regions/{region}/vpcs/{vpc_id}")
        .fields([
            optional("name").text(0..=255).default("vpc"),
            optional("tags").strings(),
            // Taken, but routing comes back enabled all the same (recorded: trap 14 of the API notes).
            optional("enable_routing").flag().input_only(),
            optional("enable_transitivity").flag().input_only().fixed(),
            computed("transitivity_enabled", |making| {
                Ok(making.input.get("enable_transitivity").cloned().unwrap_or(Value::Bool(false)))
            }),
            computed("is_default", |_| Ok(json!(false))),
            computed("routing_enabled", |_| Ok(json!(true))),
            computed("custom_routes_propagation_enabled", |_| Ok(json!(true))),
            computed("private_network_count", |_| Ok(json!(0))),
            computed("s3_integration_enabled", |_| Ok(json!(false))),
        ])
        .filters(&["name", "tags", "is_default", "routing_enabled"])
        .order(&["created_at", "name"])
        .quota(50)
        .permissions(READ, WRITE)
        .act("POST", "/vpc/v2/regions/{region}/vpcs/{vpc_id}/enable-routing", |act| enable(act, "routing_enabled"))
        .act("POST", "/vpc/v2/regions/{region}/vpcs/{vpc_id}/enable-custom-routes-propagation", |act| {
            enable(act, "custom_routes_propagation_enabled")
        })
        .look("/vpc/v2/regions/{region}/vpcs/{vpc_id}/acl-rules", acl::show)
        .act("PUT", "/vpc/v2/regions/{region}/vpcs/{vpc_id}/acl-rules", acl::replace)
        .deleted(|act, key| {
            let record = act.find("vpc.vpc", key)?;
            if record.body.get("is_default") == Some(&json!(true)) {
                return Err(Refusal::Precondition {
                    precondition: "resource_not_usable",
                    help: "the default VPC of a project cannot be deleted".into(),
                });
            }
            Ok(())
        })
}

fn enable(act: &mut Act<'_, '_>, field: &str) -> Result<Answer, Refusal> {
    let key = act.call.param("vpc_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find("vpc.vpc", &key)?);
    record.body.insert(field.to_owned(), json!(true));
    Ok(Answer::record(&act.change("vpc.vpc", &key, record, "updated")))
}

/// Gives a project the VPC that it has in every region from its first day.
pub(in crate::services) fn add_default(tx: &mut Transaction<'_>, organization: &str, project: &str, region: &str) {
    let (id, now) = (tx.ids().uuid(), rfc3339(tx.now()));
    let mut record = Record::of(&json!({
        "id": id, "name": "default", "organization_id": organization, "project_id": project, "region": region,
        "tags": ["default"], "is_default": true, "transitivity_enabled": false, "created_at": now, "updated_at": now, "routing_enabled": true,
        "custom_routes_propagation_enabled": true, "private_network_count": 0, "s3_integration_enabled": false,
    }));
    record.hidden.insert(COMES_WITH_PROJECT.into(), json!(true));
    tx.put("vpc.vpc", &id, record);
    tx.event("vpc.vpc", &id, "created", None);
}

/// The project's default VPC of a region.
pub(super) fn default_of(act: &Act<'_, '_>, project: &str, region: &str) -> Option<String> {
    let is_it = |record: &Record| {
        record.text("project_id") == project
            && record.text("region") == region
            && record.body.get("is_default") == Some(&json!(true))
    };
    act.tx.tables().all("vpc.vpc").find(|(_, record)| is_it(record)).map(|(key, _)| key.to_owned())
}

/// Adds to the number of a VPC's private networks.
pub(super) fn count_networks(tx: &mut Transaction<'_>, vpc: &str, change: i64) {
    let Some(mut record) = tx.get("vpc.vpc", vpc).map(|record| Record::clone(record)) else { return };
    let count = record.body.get("private_network_count").and_then(serde_json::Value::as_i64).unwrap_or(0);
    record.body.insert("private_network_count".into(), json!((count + change).max(0)));
    tx.put("vpc.vpc", vpc, record);
}

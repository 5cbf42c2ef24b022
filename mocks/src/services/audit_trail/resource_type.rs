//! What the audit trail calls a kind of resource, and what it tells of one.

use serde_json::{Map, Value, json};

use crate::kernel::{About, rfc3339};

/// Kinds whose type (SDK: `ResourceType`) is not the kind with an underscore, and those that have none.
const TYPES: [(&str, &str); 23] = [
    ("secret.secret", "secret_manager_secret"),
    ("secret.version", "secret_manager_version"),
    ("rdb.backup", "rdb_instance_backup"),
    ("rdb.endpoint", "rdb_instance_endpoint"),
    ("rdb.log", "rdb_instance_logs"),
    ("rdb.read_replica", "rdb_instance_read_replica"),
    ("rdb.snapshot", "rdb_instance_snapshot"),
    ("sdb.database", "ssdb_database"),
    ("cockpit.data_source", "observability_datasource"),
    ("cockpit.token", "observability_token"),
    ("cockpit.exporter", "observability_exporter"),
    ("cockpit.alert_manager", UNKNOWN),
    ("cockpit.alert", UNKNOWN),
    ("cockpit.grafana_user", UNKNOWN),
    ("cockpit.plan", UNKNOWN),
    ("sdb.backup", UNKNOWN),
    ("rdb.database", UNKNOWN),
    ("rdb.user", UNKNOWN),
    ("rdb.privilege", UNKNOWN),
    ("rdb.acl", UNKNOWN),
    ("rdb.setting", UNKNOWN),
    ("account.project", "account_project"),
    ("audit_trail.export_job", "audit_trail_export_job"),
];

/// Products of whose resources the audit trail knows no types.
const UNKNOWN_PRODUCTS: [&str; 3] = ["containers.", "registry.", "billing."];

const UNKNOWN: &str = "unknown_type";

pub(super) fn of(kind: &str) -> String {
    if let Some((_, known)) = TYPES.iter().find(|(name, _)| *name == kind) {
        return (*known).to_owned();
    }
    if UNKNOWN_PRODUCTS.iter().any(|product| kind.starts_with(product)) {
        return UNKNOWN.to_owned();
    }
    kind.replace('.', "_")
}

/// What is told of a resource beside its name, by type (SDK: the `…Info` structs): the key it is told
/// under, and its fields with what they are called where they come from.
fn info(kind: &str) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
    Some(match kind {
        "secret_manager_secret" => ("secret_manager_secret_info", &[("path", "path"), ("key_id", "key_id")]),
        "secret_manager_version" => ("secret_manager_version_info", &[("revision", "revision")]),
        "key_manager_key" => ("key_manager_key_info", &[]),
        "account_project" => ("account_project_info", &[("description", "description")]),
        "ipam_ip" => ("ipam_ip_info", &[("address", "address")]),
        "vpc_private_network" => (
            "vpc_private_network_info",
            &[("vpc_id", "vpc_id"), ("push_default_route", "default_route_propagation_enabled")],
        ),
        "vpc_route" => ("vpc_route_info", &[("vpc_id", "vpc_id"), ("destination", "destination")]),
        "vpc_connector" => ("vpc_connector_info", &[("vpc_id", "vpc_id"), ("target_vpc_id", "target_vpc_id")]),
        "vpc_ingress_rule" => (
            "vpc_ingress_rule_info",
            &[
                ("vpc_id", "vpc_id"),
                ("source", "source"),
                ("nexthop_private_network_id", "nexthop_private_network_id"),
                ("nexthop_resource_ip", "nexthop_resource_ip"),
            ],
        ),
        "audit_trail_export_job" => ("audit_trail_export_job_info", &[]),
        _ => return None,
    })
}

/// A resource as an event tells of it.
pub(super) fn tell(about: &About) -> Value {
    let kind = of(about.kind);
    let field = |name: &str| about.body.get(name).cloned().unwrap_or_default();
    let mut told = json!({
        "id": about.id, "type": kind, "created_at": field("created_at"), "updated_at": field("updated_at"),
        "deleted_at": about.deleted_at.map(rfc3339), "name": field("name"),
    });
    if let Some((key, fields)) = info(&kind) {
        let told_fields = fields.iter().filter_map(|(name, from)| Some((*name, about.body.get(*from)?.clone())));
        let known: Map<String, Value> = told_fields.map(|(name, value)| (name.to_owned(), value)).collect();
        told[key] = Value::Object(known);
    }
    told
}

//! Engines, node types and default settings, as facts.
//!
//! Source: recorded traffic of the Terraform provider's RDB tests (engines, node
//! types, lssd sizes, default settings) and the public pricing page (the larger
//! node types' names).

use serde_json::{Value, json};

/// A gigabyte as the API counts it.
pub(super) const GIGABYTE: u64 = 1_000_000_000;

pub(super) fn engines() -> Vec<&'static str> {
    vec!["PostgreSQL-17", "PostgreSQL-16", "PostgreSQL-15", "PostgreSQL-14", "MySQL-8"]
}

pub(super) fn volume_types() -> Vec<&'static str> {
    vec!["lssd", "sbs_5k", "sbs_15k"]
}

/// Node type and the size of its local disk, in gigabytes; 0 where it has none of its own.
const NODE_TYPES: [(&str, u64); 15] = [
    ("db-dev-s", 5),
    ("db-dev-m", 25),
    ("db-dev-l", 50),
    ("db-dev-xl", 80),
    ("db-gp-xs", 100),
    ("db-gp-s", 200),
    ("db-gp-m", 400),
    ("db-gp-l", 800),
    ("db-gp-xl", 1500),
    ("db-play2-pico", 0),
    ("db-play2-nano", 0),
    ("db-pro2-xxs", 0),
    ("db-pro2-xs", 0),
    ("db-pro2-s", 0),
    ("db-pro2-m", 0),
];

pub(super) fn node_types() -> Vec<&'static str> {
    NODE_TYPES.iter().map(|(name, _)| *name).collect()
}

/// The volume of an instance: `{type, class, size}`, the size in bytes.
pub(super) fn volume(node_type: &str, volume_type: &str, size: u64) -> Value {
    let disk = NODE_TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(node_type)).map_or(0, |(_, disk)| *disk);
    match volume_type {
        "lssd" => json!({"type": "lssd", "class": "lssd", "size": disk * GIGABYTE}),
        other => json!({"type": other, "class": "sbs", "size": if size == 0 { 5 * GIGABYTE } else { size }}),
    }
}

/// The settings an instance has when it is ready, by node type (recorded for db-dev-s and db-dev-m).
pub(super) fn settings(engine: &str, node_type: &str) -> Vec<(&'static str, &'static str)> {
    if !engine.starts_with("PostgreSQL") {
        return vec![("max_connections", "100")];
    }
    let small = node_type == "db-dev-s" || node_type.starts_with("db-play2");
    let [cache, maintenance, connections, parallel, work] =
        if small { ["1300", "150", "100", "0", "4"] } else { ["2700", "300", "150", "1", "8"] };
    vec![
        ("effective_cache_size", cache),
        ("maintenance_work_mem", maintenance),
        ("max_connections", connections),
        ("max_parallel_workers", parallel),
        ("max_parallel_workers_per_gather", "0"),
        ("work_mem", work),
    ]
}

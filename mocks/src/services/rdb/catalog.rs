//! Engines, node types and default settings, as facts.
//!
//! Source: recorded traffic of the Terraform provider's RDB tests (engines, their
//! ends of life, lssd sizes, default settings) and the public pricing page (node
//! types, what they have).

use serde_json::{Value, json};

use super::settings_table::{Form, MYSQL, POSTGRESQL, Setting};
use crate::kernel::{Look, Refusal};

/// A gigabyte as the API counts it.
pub(super) const GIGABYTE: u64 = 1_000_000_000;

/// A version of an engine.
pub(super) struct Version {
    /// What it is called: `PostgreSQL-17`.
    pub(super) name: &'static str,
    engine: &'static str,
    number: u32,
    version: &'static str,
    minor: &'static str,
    end_of_life: &'static str,
    /// Made by us: the real ones change with every minor version.
    pub(super) upgrade_id: &'static str,
}

/// Newest first, as recorded.
#[rustfmt::skip]
const VERSIONS: &[Version] = &[
    Version { name: "MySQL-8", engine: "MySQL", number: 8, version: "8", minor: "8.4", end_of_life: "2026-04-01T00:00:00Z", upgrade_id: "8b3c5f0e-6f4f-4b1c-9b0a-5a1c1f0e0008" },
    Version { name: "PostgreSQL-17", engine: "PostgreSQL", number: 17, version: "17", minor: "17.10", end_of_life: "2029-11-08T00:00:00Z", upgrade_id: "8b3c5f0e-6f4f-4b1c-9b0a-5a1c1f0e0017" },
    Version { name: "PostgreSQL-16", engine: "PostgreSQL", number: 16, version: "16", minor: "16.14", end_of_life: "2028-11-09T00:00:00Z", upgrade_id: "8b3c5f0e-6f4f-4b1c-9b0a-5a1c1f0e0016" },
    Version { name: "PostgreSQL-15", engine: "PostgreSQL", number: 15, version: "15", minor: "15.18", end_of_life: "2027-11-11T00:00:00Z", upgrade_id: "8b3c5f0e-6f4f-4b1c-9b0a-5a1c1f0e0015" },
    Version { name: "PostgreSQL-14", engine: "PostgreSQL", number: 14, version: "14", minor: "14.23", end_of_life: "2026-11-12T00:00:00Z", upgrade_id: "8b3c5f0e-6f4f-4b1c-9b0a-5a1c1f0e0014" },
];

pub(super) fn engines() -> Vec<&'static str> {
    VERSIONS.iter().map(|version| version.name).collect()
}

/// The later versions of an engine, the next one first.
pub(super) fn later_than(name: &str) -> Vec<&'static Version> {
    let Some(now) = VERSIONS.iter().find(|version| version.name == name) else { return Vec::new() };
    VERSIONS.iter().rev().filter(|other| other.engine == now.engine && other.number > now.number).collect()
}

/// What an instance of this engine could be upgraded to.
pub(super) fn upgradable(name: &str) -> Vec<Value> {
    let shown = |version: &&Version| {
        json!({
            "id": version.upgrade_id, "name": version.name, "version": version.version,
            "minor_version": version.minor,
        })
    };
    later_than(name).iter().map(shown).collect()
}

fn available(version: &Version) -> impl Iterator<Item = &'static Setting> {
    let number = version.number;
    let table = if version.engine == "MySQL" { MYSQL } else { POSTGRESQL };
    table.iter().filter(move |(.., since)| *since <= number)
}

/// Whether an engine takes this value for this setting, or what would be right.
pub(super) fn check_setting(engine: &str, name: &str, value: &str) -> Result<(), String> {
    let version = VERSIONS.iter().find(|version| version.name == engine);
    let found = version.and_then(|version| available(version).find(|(setting, ..)| *setting == name));
    let Some((_, form, ..)) = found else { return Err(format!("{engine} has no setting {name}")) };
    let fits = match form {
        Form::Whole(least, most) => value.parse::<i64>().is_ok_and(|number| (*least..=*most).contains(&number)),
        Form::Fraction(least, most) => value.parse::<f64>().is_ok_and(|number| (*least..=*most).contains(&number)),
        Form::Switch => ["on", "off", "true", "false", "1", "0"].contains(&value.to_ascii_lowercase().as_str()),
        Form::Text => true,
    };
    let must = match form {
        Form::Whole(least, most) => format!("a whole number from {least} to {most}"),
        Form::Fraction(least, most) => format!("a number from {least} to {most}"),
        _ => "on or off".to_owned(),
    };
    if fits { Ok(()) } else { Err(format!("{name} must be {must}")) }
}

fn shown_setting((name, form, default, unit, hot, _): &Setting) -> Value {
    let kind = match form {
        Form::Whole(..) => "INT",
        Form::Fraction(..) => "FLOAT",
        Form::Switch => "BOOLEAN",
        Form::Text => "STRING",
    };
    let mut setting = json!({
        "name": name, "default_value": default, "property_type": kind, "hot_configurable": hot, "description": "",
        "unit": (!unit.is_empty()).then_some(unit), "string_constraint": null, "int_min": null, "int_max": null,
        "float_min": null, "float_max": null,
    });
    match form {
        Form::Whole(least, most) => (setting["int_min"], setting["int_max"]) = (json!(least), json!(most)),
        Form::Fraction(least, most) => (setting["float_min"], setting["float_max"]) = (json!(least), json!(most)),
        _ => {}
    }
    setting
}

/// GET database engines, by the query's `name` and `version`.
pub(super) fn list_engines(look: &Look<'_>) -> Result<Value, Refusal> {
    let asked = |name: &str, value: &str| look.call.query(name).is_none_or(|asked| asked == value);
    let region = look.call.param("region").unwrap_or_default();
    let mut engines = Vec::new();
    for engine in ["MySQL", "PostgreSQL"].into_iter().filter(|engine| asked("name", engine)) {
        let versions: Vec<Value> = VERSIONS
            .iter()
            .filter(|version| version.engine == engine && asked("version", version.version))
            .map(|version| {
                let settings: Vec<Value> = available(version).map(shown_setting).collect();
                let initial: Vec<Value> = if engine == "MySQL" { vec![initial_setting()] } else { Vec::new() };
                json!({
                    "name": version.name, "version": version.version, "end_of_life": version.end_of_life,
                    "disabled": false, "beta": false, "available_settings": settings,
                    "available_init_settings": initial,
                })
            })
            .collect();
        if !versions.is_empty() {
            engines.push(json!({"name": engine, "logo_url": "", "region": region, "versions": versions}));
        }
    }
    look.page("engines", engines)
}

/// The one setting that can only be made when an instance is (recorded).
fn initial_setting() -> Value {
    shown_setting(&("lower_case_table_names", Form::Whole(0, 1), "0", "", false, 8))
}

pub(super) fn volume_types() -> Vec<&'static str> {
    vec!["lssd", "sbs_5k", "sbs_15k"]
}

/// A block volume is so many times this, and no larger than that.
const CHUNK: u64 = 5 * GIGABYTE;
const LARGEST: u64 = 10_000 * GIGABYTE;

/// Accepts the size of a block volume, in bytes.
pub(super) fn block_size(size: u64) -> Result<(), String> {
    if size.is_multiple_of(CHUNK) && (CHUNK..=LARGEST).contains(&size) {
        return Ok(());
    }
    Err(format!("a block volume has a multiple of {CHUNK} bytes, at most {LARGEST}"))
}

/// Node type, how many processors, how many gigabytes of memory and of local disk; 0 where it has
/// no disk of its own.
#[rustfmt::skip]
const NODE_TYPES: [(&str, u32, u64, u64); 24] = [
    ("db-dev-s", 2, 2, 5),
    ("db-dev-m", 3, 4, 25),
    ("db-dev-l", 4, 8, 50),
    ("db-dev-xl", 4, 12, 80),
    ("db-gp-xs", 4, 16, 100),
    ("db-gp-s", 8, 32, 200),
    ("db-gp-m", 16, 64, 400),
    ("db-gp-l", 32, 128, 800),
    ("db-gp-xl", 48, 256, 1500),
    ("db-play2-pico", 1, 2, 0),
    ("db-play2-nano", 2, 4, 0),
    ("db-play2-micro", 4, 8, 0),
    ("db-pro2-xxs", 2, 8, 0),
    ("db-pro2-xs", 4, 16, 0),
    ("db-pro2-s", 8, 32, 0),
    ("db-pro2-m", 16, 64, 0),
    ("db-pro2-l", 32, 128, 0),
    ("db-pop2-2c-8g", 2, 8, 0),
    ("db-pop2-4c-16g", 4, 16, 0),
    ("db-pop2-8c-32g", 8, 32, 0),
    ("db-pop2-16c-64g", 16, 64, 0),
    ("db-pop2-32c-128g", 32, 128, 0),
    ("db-pop2-48c-192g", 48, 192, 0),
    ("db-pop2-64c-256g", 64, 256, 0),
];

/// How many processors a node has, and how many bytes of memory.
pub(super) fn size(node_type: &str) -> (u32, u64) {
    let row = NODE_TYPES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(node_type));
    row.map_or((1, GIGABYTE), |row| (row.1, row.2 * GIGABYTE))
}

/// Accepts the name of a node type, in any case.
pub(super) fn known_node_type(name: &Value) -> Result<(), String> {
    let name = name.as_str().unwrap_or_default();
    if NODE_TYPES.iter().any(|(known, ..)| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let names: Vec<&str> = NODE_TYPES.iter().map(|(known, ..)| *known).collect();
    Err(format!("must be one of {}", names.join(", ")))
}

/// GET node types.
pub(super) fn list_node_types(look: &Look<'_>) -> Result<Value, Refusal> {
    let region = look.call.param("region").unwrap_or_default();
    let block = |kind: &str, words: &str| {
        json!({
            "type": kind, "class": "sbs", "description": words, "min_size": CHUNK, "max_size": LARGEST,
            "chunk_size": CHUNK,
        })
    };
    let shown = |&(name, vcpus, memory, disk): &(&str, u32, u64, u64)| {
        let mut volumes = vec![block("sbs_5k", "Block Storage 5K"), block("sbs_15k", "Block Storage 15K")];
        if disk > 0 {
            let size = disk * GIGABYTE;
            let local = json!({
                "type": "lssd", "class": "lssd", "description": "Local Storage", "min_size": size,
                "max_size": size, "chunk_size": size,
            });
            volumes.insert(0, local);
        }
        json!({
            "name": name, "stock_status": "available", "description": format!("{vcpus} vCPU, {memory} GB of memory"),
            "vcpus": vcpus, "memory": memory * GIGABYTE, "disabled": false, "beta": false,
            "available_volume_types": volumes, "is_ha_required": false,
            "generation": if disk > 0 { "generation_v1" } else { "generation_v2" }, "instance_range": "",
            "region": region,
        })
    };
    look.page("node_types", NODE_TYPES.iter().map(shown).collect())
}

/// The volume of an instance: `{type, class, size}`, the size in bytes.
pub(super) fn volume(node_type: &str, volume_type: &str, size: u64) -> Value {
    let disk = NODE_TYPES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(node_type)).map_or(0, |row| row.3);
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

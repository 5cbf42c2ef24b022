//! RDB instance: one managed database server.
//!
//! Recorded: create answers `provisioning` with the private endpoint already
//! there; a public endpoint and the default settings appear with `ready`; without
//! `init_endpoints` there is exactly one public endpoint.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    READ, WRITE, catalog, certificate, endpoint, log, metrics, plane, schedule, setting, snapshot, upgrade, user,
};
use crate::kernel::{Act, Answer, Making, Reason, Record, Refusal, Resource, computed, optional, required, states};

const ITEM: &str = "/rdb/v1/regions/{region}/instances/{instance_id}";

pub(super) fn instance() -> Resource {
    Resource::new("rdb.instance")
        .at(ITEM)
        .fields([
            required("name").text(1..=255),
            required("engine").one_of(catalog::engines).fixed(),
            required("node_type").text(1..=64).check(catalog::known_node_type).fixed(),
            optional("user_name").text(0..=63).input_only().fixed(),
            optional("password").text(0..=128).check(user::strong_password).input_only().fixed(),
            optional("is_ha_cluster").flag().fixed(),
            // Later SDKs ask for it; what the two nodes of a cluster say is not recorded.
            computed("high_availability_mode", |making| {
                let both = making.input.get("is_ha_cluster") == Some(&json!(true));
                Ok(json!(if both { "single_zone" } else { "disabled" }))
            }),
            optional("disable_backup").flag().input_only().fixed(),
            optional("tags").strings(),
            optional("init_settings").objects(setting::fields()).fixed(),
            optional("volume_type").one_of(catalog::volume_types).default("lssd").input_only().fixed(),
            optional("volume_size").bytes().input_only().fixed(),
            optional("init_endpoints").objects(endpoint::spec()).input_only().fixed(),
            optional("backup_same_region").flag(),
            optional("encryption").object([optional("enabled").flag()]).default(json!({"enabled": false})).fixed(),
            optional("logs_policy")
                .object([
                    optional("max_age_retention").integer(1..=365).default(30),
                    optional("total_disk_retention").bytes().default(Value::Null),
                ])
                .default(json!({"max_age_retention": 30, "total_disk_retention": null})),
            // Only updates carry these.
            optional("is_backup_schedule_disabled").flag().default(Value::Null).input_only(),
            optional("backup_schedule_frequency").integer(1..=8760).default(Value::Null).input_only(),
            optional("backup_schedule_retention").integer(1..=365).default(Value::Null).input_only(),
            optional("backup_schedule_start_hour").integer(0..=23).default(Value::Null).input_only(),
            computed("backup_schedule", schedule::first),
            computed("volume", |making| {
                let size = making.input.get("volume_size").and_then(Value::as_u64).unwrap_or(0);
                Ok(catalog::volume(making.text("node_type"), making.text("volume_type"), size))
            }),
            computed("endpoint", |_| Ok(Value::Null)),
            computed("endpoints", |_| Ok(json!([]))),
            computed("settings", |_| Ok(json!([]))),
            computed("maintenances", |_| Ok(json!([]))),
            computed("read_replicas", |_| Ok(json!([]))),
            computed("upgradable_version", |making| Ok(catalog::upgradable(making.text("engine")).into())),
        ])
        .states(
            states("provisioning", Duration::from_secs(210), "ready")
                .deleting("deleting", Duration::from_secs(30))
                .passing(&["initializing", "configuring", "restarting"]),
        )
        .filters(&["name", "tags"])
        .order(&["created_at", "name", "region", "status"])
        .quota(10)
        .permissions(READ, WRITE)
        .made(build)
        .updated(|making| {
            schedule::change(making);
            Ok(())
        })
        .settled(open)
        .deleted(|act, key| {
            endpoint::release_all(act, key);
            log::forget(act, key);
            let replicas = act.tx.tables().all("rdb.read_replica");
            let replicas: Vec<String> = replicas
                .filter(|(_, replica)| replica.text("instance_id") == key)
                .map(|(replica, _)| replica.to_owned())
                .collect();
            for replica in replicas {
                endpoint::release_all(act, &replica);
            }
            Ok(())
        })
        .look("/rdb/v1/regions/{region}/instances/{instance_id}/certificate", certificate::show)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/upgrade", upgrade::upgrade)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/clone", clone)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/restart", restart)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/renew-certificate", certificate::renew)
        .act("PUT", "/rdb/v1/regions/{region}/instances/{instance_id}/settings", setting::replace)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/settings", setting::add)
        .act("DELETE", "/rdb/v1/regions/{region}/instances/{instance_id}/settings", setting::remove)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/endpoints", endpoint::add)
        .look("/rdb/v1/regions/{region}/endpoints/{endpoint_id}", endpoint::show)
        .act("DELETE", "/rdb/v1/regions/{region}/endpoints/{endpoint_id}", endpoint::remove)
        .act("POST", "/rdb/v1/regions/{region}/endpoints/{endpoint_id}/migrate", endpoint::migrate)
        .look("/rdb/v1/regions/{region}/database-engines", catalog::list_engines)
        .look("/rdb/v1/regions/{region}/node-types", catalog::list_node_types)
        .look("/rdb/v1/regions/{region}/instances/{instance_id}/metrics", metrics::show)
        .look("/rdb/v1/regions/{region}/instances/{instance_id}/logs", log::list)
        .look("/rdb/v1/regions/{region}/instances/{instance_id}/logs-details", log::details)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/prepare-logs", log::prepare)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/purge-logs", log::purge)
}

/// What comes with a new instance: its first user, the database `rdb`, its certificate, its
/// private endpoint.
fn build(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    // Instances answer no update time.
    making.record.body.remove("updated_at");
    let user = making.text("user_name").to_owned();
    if user.is_empty() != making.text("password").is_empty() {
        return Err(Refusal::argument("password", Reason::Required, "name user_name and password together"));
    }
    if !user.is_empty() {
        let mut record = Record::of(&json!({"name": user, "is_admin": true}));
        record.hidden.insert(user::VERIFIER.into(), user::verifier(making.text("password")).into());
        making.tx.put("rdb.user", &format!("{}/{user}", making.key), record);
    }
    making.tx.put("rdb.database", &format!("{}/rdb", making.key), super::database::new("rdb"));
    // Recorded: node types are taken in any case and told in small letters.
    let node_type = making.text("node_type").to_ascii_lowercase();
    making.set("node_type", node_type);
    check_initial_settings(making)?;
    let asked = making.input.get("volume_size").and_then(Value::as_u64).filter(|size| *size > 0);
    if let Some(size) = asked.filter(|_| making.text("volume_type") != "lssd") {
        catalog::block_size(size).map_err(|help| Refusal::argument("volume_size", Reason::Constraint, help))?;
    }
    // What a user logs in by is the user's record's to keep.
    for field in [
        "password",
        "is_backup_schedule_disabled",
        "backup_schedule_frequency",
        "backup_schedule_retention",
        "backup_schedule_start_hour",
    ] {
        making.record.hidden.remove(field);
    }
    endpoint::attach_private(making)?;
    // It names the addresses of the endpoints.
    certificate::put(making.key, making.record)
}

/// Some settings can only be made with the instance (recorded: one of MySQL's).
fn check_initial_settings(making: &Making<'_, '_>) -> Result<(), Refusal> {
    let asked = making.record.body.get("init_settings").and_then(Value::as_array);
    for setting in asked.into_iter().flatten() {
        let text = |field: &str| setting.get(field).and_then(Value::as_str).unwrap_or_default();
        let known = text("name") == "lower_case_table_names" && making.text("engine").starts_with("MySQL");
        if !known {
            catalog::check_setting(making.text("engine"), text("name"), text("value"))
                .map_err(|help| Refusal::argument("init_settings", Reason::Constraint, help))?;
        }
    }
    Ok(())
}

/// What an instance has once it is ready: settings, and its public endpoint if it has one.
fn open(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    if making.record.body.get("settings").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let defaults = setting::defaults(making.record);
        making.set("settings", defaults);
    }
    endpoint::open_public(making);
    let status = plane::settled(making.record);
    making.set("status", status);
    schedule::run_due(making);
    Ok(())
}

fn restart(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("instance_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled("rdb.instance", &key)?);
    plane::begin_anew(&mut record);
    act.pass_through("rdb.instance", &mut record, "restarting", Duration::from_secs(30));
    Ok(Answer::record(&act.change("rdb.instance", &key, record, "restarted")))
}

/// Another instance with the same contents.
fn clone(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("instance_id").unwrap_or_default().to_owned();
    let record = act.find_settled("rdb.instance", &key)?;
    let name = act.call.text("name");
    let name = name.ok_or_else(|| Refusal::argument("name", Reason::Required, "name is required"))?;
    let mut different = serde_json::Map::from_iter([("name".to_owned(), Value::from(name))]);
    if let Some(node_type) = act.call.text("node_type") {
        different.insert("node_type".into(), node_type.into());
    }
    let contents = super::backup::contents(act, &key);
    let like = Value::Object(record.body.clone());
    Ok(Answer::record(&snapshot::another(act, &like, different, &contents, plane::Origin::CopyOf(key))?))
}

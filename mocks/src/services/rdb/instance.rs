//! RDB instance: one managed database server.
//!
//! Recorded: create answers `provisioning` with the private endpoint already
//! there; a public endpoint and the default settings appear with `ready`; without
//! `init_endpoints` there is exactly one public endpoint.

use std::time::Duration;

use serde_json::{Value, json};

use super::{READ, WRITE, catalog, certificate, endpoint, upgrade, user};
use crate::kernel::{Act, Answer, Making, Reason, Record, Refusal, Resource, computed, optional, required, states};

const ITEM: &str = "/rdb/v1/regions/{region}/instances/{instance_id}";

pub(super) fn instance() -> Resource {
    Resource::new("rdb.instance")
        .at(ITEM)
        .fields([
            required("name").text(1..=255),
            required("engine").one_of(catalog::engines).fixed(),
            required("node_type").one_of(catalog::node_types).fixed(),
            optional("user_name").text(0..=63).input_only().fixed(),
            optional("password").text(0..=128).check(user::strong_password).input_only().fixed(),
            optional("is_ha_cluster").flag().fixed(),
            optional("disable_backup").flag().input_only().fixed(),
            optional("tags").strings(),
            optional("init_settings").objects(setting()).fixed(),
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
            computed("backup_schedule", |making| {
                let disabled = making.input.get("disable_backup").cloned().unwrap_or_default();
                Ok(json!({"disabled": disabled, "frequency": 24, "retention": 7, "next_run_at": null}))
            }),
            computed("volume", |making| {
                let size = making.input.get("volume_size").and_then(Value::as_u64).unwrap_or(0);
                Ok(catalog::volume(making.text("node_type"), making.text("volume_type"), size))
            }),
            computed("endpoint", |_| Ok(Value::Null)),
            computed("endpoints", |_| Ok(json!([]))),
            computed("settings", |_| Ok(json!([]))),
            computed("maintenances", |_| Ok(json!([]))),
            computed("read_replicas", |_| Ok(json!([]))),
            computed("upgradable_version", |_| Ok(json!([]))),
        ])
        .states(
            states("provisioning", Duration::from_secs(210), "ready")
                .deleting("deleting", Duration::from_secs(30))
                .passing(&["initializing", "configuring"]),
        )
        .filters(&["name", "tags"])
        .order(&["created_at", "name", "region", "status"])
        .quota(10)
        .permissions(READ, WRITE)
        .made(build)
        .updated(reschedule_backups)
        .settled(open)
        .deleted(|act, key| {
            endpoint::release_all(act, key);
            Ok(())
        })
        .look("/rdb/v1/regions/{region}/instances/{instance_id}/certificate", certificate::show)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/upgrade", upgrade::upgrade)
        .act("PUT", "/rdb/v1/regions/{region}/instances/{instance_id}/settings", set_settings)
        .act("POST", "/rdb/v1/regions/{region}/instances/{instance_id}/endpoints", endpoint::add)
        .act("DELETE", "/rdb/v1/regions/{region}/endpoints/{endpoint_id}", endpoint::remove)
}

fn setting() -> [crate::kernel::Field; 2] {
    [required("name").text(1..=63), required("value").text(0..=255)]
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
        let record = Record::of(&json!({"name": user, "is_admin": true}));
        making.tx.put("rdb.user", &format!("{}/{user}", making.key), record);
    }
    let database =
        json!({"name": "rdb", "managed": true, "owner": "_rdb_superadmin", "size": super::database::EMPTY_SIZE});
    making.tx.put("rdb.database", &format!("{}/rdb", making.key), Record::of(&database));
    let certificate = certificate::generate(making.key).map_err(|error| Refusal::Internal(error.to_string()))?;
    making.record.hidden.insert("certificate".into(), certificate.into());
    // The password is the database's to keep, once one runs; nobody else needs it.
    for field in [
        "password",
        "is_backup_schedule_disabled",
        "backup_schedule_frequency",
        "backup_schedule_retention",
        "backup_schedule_start_hour",
    ] {
        making.record.hidden.remove(field);
    }
    endpoint::attach_private(making)
}

/// What an instance has once it is ready: settings, and its public endpoint if it has one.
fn open(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    if making.record.body.get("settings").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let defaults = default_settings(making.record);
        making.set("settings", defaults);
    }
    endpoint::open_public(making);
    Ok(())
}

fn default_settings(record: &Record) -> Vec<Value> {
    let defaults = catalog::settings(record.text("engine"), record.text("node_type"));
    defaults.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// The backup schedule is changed by fields of its own (recorded: asymmetric names).
fn reschedule_backups(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let mut schedule = making.record.body.get("backup_schedule").cloned().unwrap_or_else(|| json!({}));
    for (field, part) in [
        ("is_backup_schedule_disabled", "disabled"),
        ("backup_schedule_frequency", "frequency"),
        ("backup_schedule_retention", "retention"),
        ("backup_schedule_start_hour", "start_hour"),
    ] {
        making.record.hidden.remove(field);
        if let Some(value) = making.input.get(field) {
            schedule[part] = value.clone();
        }
    }
    making.set("backup_schedule", schedule);
    Ok(())
}

/// Replaces the settings that differ from the defaults.
fn set_settings(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("instance_id").unwrap_or_default().to_owned();
    let mut record = Record::clone(&*act.find_settled("rdb.instance", &key)?);
    let mut settings = default_settings(&record);
    for setting in act.call.body.get("settings").and_then(Value::as_array).into_iter().flatten() {
        let text = |field: &str| setting.get(field).and_then(Value::as_str);
        let (Some(name), Some(value)) = (text("name"), text("value")) else {
            return Err(Refusal::argument("settings", Reason::Format, "must be a list of objects with name and value"));
        };
        settings.retain(|other| other["name"] != name);
        settings.push(json!({"name": name, "value": value}));
    }
    settings.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    record.body.insert("settings".into(), settings.clone().into());
    act.pass_through("rdb.instance", &mut record, "configuring", Duration::from_secs(20));
    act.change("rdb.instance", &key, record, "settings");
    Ok(Answer::Ok(json!({"settings": settings})))
}

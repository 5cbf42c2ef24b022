//! Key: what it is for, its versions and when the next one is made, whether it may be used and deleted.

use serde_json::{Value, json};
use time::Duration;

use super::{
    CREATE, DECRYPT, DELETE, ENCRYPT, FULL, KEY, READ, RESTORE, SIGN, VERIFY, WRITE, WRITES, asymmetric::Algorithm,
    material, using,
};
use crate::kernel::{
    Act, Answer, Look, Making, Passage, Reason, Record, Refusal, Resource, Route, Work, computed, optional, rfc3339,
    states,
};

const ITEM: &str = "/key-manager/v1alpha1/regions/{region}/keys/{key_id}";

const ROTATE: &str = "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/rotate";

/// The algorithms, by usage (SDK: the enums of `KeyUsage`), the recommended one first.
pub(super) const ALGORITHMS: [(&str, &[&str]); 3] = [
    ("symmetric_encryption", &["aes_256_gcm"]),
    ("asymmetric_encryption", &["rsa_oaep_3072_sha256", "rsa_oaep_2048_sha256", "rsa_oaep_4096_sha256"]),
    (
        "asymmetric_signing",
        &[
            "ec_p256_sha256",
            "ec_p384_sha384",
            "rsa_pss_2048_sha256",
            "rsa_pss_3072_sha256",
            "rsa_pss_4096_sha256",
            "rsa_pkcs1_2048_sha256",
            "rsa_pkcs1_3072_sha256",
            "rsa_pkcs1_4096_sha256",
            "ml_dsa_44",
            "ml_dsa_65",
            "ml_dsa_87",
        ],
    ),
];

/// How often a key may be rotated, in hours. The SDK says "24 hours" to "1 year (876000 hours)", which are a
/// hundred: what it says in hours refuses less.
const ROTATION: std::ops::RangeInclusive<i64> = 24..=876_000;

/// How long a deleted key can be restored (documented: "a 7-day pending deletion period").
const RETENTION: Duration = Duration::days(7);

pub(super) fn key() -> Resource {
    Resource::new(KEY)
        .at(ITEM)
        .fields([
            optional("name").text(0..=255),
            optional("usage").object([
                optional("symmetric_encryption").one_of(|| ALGORITHMS[0].1.to_vec()),
                optional("asymmetric_encryption").one_of(|| ALGORITHMS[1].1.to_vec()),
                optional("asymmetric_signing").one_of(|| ALGORITHMS[2].1.to_vec()),
            ]),
            optional("description").text(0..=200).default(Value::Null),
            optional("tags").strings(),
            optional("rotation_policy")
                .object([optional("rotation_period").text(0..=64), optional("next_rotation_at").time()]),
            optional("unprotected").flag().input_only().fixed(),
            optional("origin").one_of(|| vec!["scaleway_kms", "external"]).default("scaleway_kms").fixed(),
            computed("rotation_count", |_| Ok(json!(0))),
            computed("protected", |making| Ok(json!(making.input.get("unprotected") != Some(&json!(true))))),
            computed("locked", |_| Ok(json!(false))),
            computed("rotated_at", |_| Ok(Value::Null)),
            computed("deletion_requested_at", |_| Ok(Value::Null)),
            computed("protection_level", |_| Ok(json!("software"))),
        ])
        // A key is made at once; what it is on its way to is its next rotation.
        .states(states("enabled", std::time::Duration::ZERO, "enabled").told_in("state"))
        .filters(&["tags"])
        .order(&["created_at", "updated_at", "name"])
        .listed_if(|record, call| {
            let of_usage = |usage: &str| {
                usage.starts_with("unknown_") || record.body["usage"].get(usage).is_some_and(|it| !it.is_null())
            };
            call.query("name").is_none_or(|name| record.text("name") == name)
                && call.query("usage").is_none_or(of_usage)
                && is_deleted(record) == (call.query("scheduled_for_deletion") == Some("true"))
        })
        .permissions(READ, FULL)
        .allowing(&["POST"], CREATE)
        .allowing(WRITES, WRITE)
        .allowing(&["DELETE"], DELETE)
        .allowing(&["restore"], RESTORE)
        .allowing(&["encrypt", "generate-data-key"], ENCRYPT)
        .allowing(&["decrypt"], DECRYPT)
        .allowing(&["sign"], SIGN)
        .allowing(&["verify"], VERIFY)
        .quota(100)
        .prepared(prepare)
        .made(make)
        .updated(|making| {
            if making.input.contains_key("usage") {
                one_usage(making.record)?;
                // Its material is of one algorithm; the SDK's update does not name it.
                if making.tx.get(KEY, making.key).is_some_and(|key| key.body["usage"] != making.record.body["usage"]) {
                    return Err(Refusal::argument("usage", Reason::Constraint, "usage cannot be changed"));
                }
            }
            if making.input.contains_key("rotation_policy") { plan_rotation(making) } else { Ok(()) }
        })
        .settled(|making| {
            rotate(making)?;
            plan_rotation_from_now(making)
        })
        .act("DELETE", ITEM, delete)
        .act("POST", ROTATE, |act| {
            if usable(&find(act)?.1)?.text("origin") == "external" {
                return Err(Refusal::argument("key_id", Reason::Constraint, "key material is imported, not rotated"));
            }
            change(act, rotate)
        })
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/protect", |act| {
            change(act, |making| set(making, "protected", json!(true)))
        })
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/unprotect", |act| {
            change(act, |making| set(making, "protected", json!(false)))
        })
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/enable", |act| {
            change(act, |making| {
                set(making, "state", json!("enabled"))?;
                plan_rotation_from_now(making)
            })
        })
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/disable", |act| {
            change(act, |making| {
                making.record.next = None;
                set(making, "state", json!("disabled"))
            })
        })
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/restore", restore)
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/import-key-material", using::import)
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/delete-key-material", using::forget)
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/encrypt", using::encrypt)
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/decrypt", using::decrypt)
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/generate-data-key", using::data_key)
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/sign", using::sign)
        .act("POST", "/key-manager/v1alpha1/regions/{region}/keys/{key_id}/verify", using::verify)
        .look("/key-manager/v1alpha1/regions/{region}/keys/{key_id}/public-key", using::public_key)
        .look("/key-manager/v1alpha1/regions/{region}/algorithms", using::algorithms)
}

fn set(making: &mut Making<'_, '_>, field: &str, value: Value) -> Result<(), Refusal> {
    making.set(field, value);
    Ok(())
}

pub(super) fn is_deleted(record: &Record) -> bool {
    record.body.get("deletion_requested_at").is_some_and(|at| !at.is_null())
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    one_usage(making.record)?;
    // Whose organisation it is is not told (recorded).
    let organization = making.record.body.remove("organization_id").unwrap_or_default();
    making.record.hidden.insert("organization_id".into(), organization);
    if making.text("origin") == "external" {
        if material::of(making.record) != "aes_256_gcm" {
            return Err(Refusal::argument("origin", Reason::Constraint, "only symmetric keys can be imported"));
        }
        making.set("state", "pending_key_material");
    } else {
        rotate(making)?;
    }
    plan_rotation(making)
}

/// Exactly one usage; the others are absent in answers (recorded). Symmetric encryption if none is named.
fn one_usage(record: &mut Record) -> Result<(), Refusal> {
    let asked = record.body.get("usage").and_then(Value::as_object).cloned().unwrap_or_default();
    let named: serde_json::Map<String, Value> = asked.into_iter().filter(|(_, value)| value.is_string()).collect();
    let usage = match named.len() {
        0 => json!({"symmetric_encryption": "aes_256_gcm"}),
        1 => Value::Object(named),
        _ => return Err(Refusal::argument("usage", Reason::Constraint, "name exactly one usage")),
    };
    record.body.insert("usage".into(), usage);
    Ok(())
}

/// RSA keys take up to seconds to make. A request that needs one has it made before its change begins; one
/// whose time for rotation has come makes it within.
fn prepare(look: &Look<'_>, route: &Route) -> Result<Option<Work>, Refusal> {
    let algorithm = match (route.method, route.path) {
        ("POST", ROTATE) => {
            let record = look.find(KEY, look.call.param("key_id").unwrap_or_default())?;
            usable(record)?;
            material::of(record).to_owned()
        }
        ("POST", _) if route.is_create() => {
            let usage = look.call.body.get("usage").and_then(Value::as_object);
            let named = usage.into_iter().flat_map(|usage| usage.values()).find_map(Value::as_str).unwrap_or_default();
            // What is no algorithm is refused when the key is made.
            if !ALGORITHMS.iter().any(|(_, names)| names.contains(&named)) {
                return Ok(None);
            }
            named.to_owned()
        }
        _ => return Ok(None),
    };
    if !Algorithm::named(&algorithm).is_some_and(Algorithm::is_slow) {
        return Ok(None);
    }
    Ok(Some(Box::new(move || Ok(json!({"algorithm": algorithm, "version": material::generate(&algorithm)?})))))
}

/// A new version of the key's material.
pub(super) fn rotate(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let algorithm = material::of(making.record);
    let prepared = &making.call.prepared;
    let fresh =
        if prepared["algorithm"] == algorithm { prepared["version"].clone() } else { material::generate(algorithm)? };
    add_version(making, fresh);
    Ok(())
}

/// Adds a version: everything encrypted from now on is encrypted under it.
pub(super) fn add_version(making: &mut Making<'_, '_>, version: Value) {
    let mut versions = material::versions(making.record);
    versions.push(version);
    making.set("rotation_count", versions.len());
    making.set("rotated_at", rfc3339(making.tx.now()));
    making.record.hidden.insert("versions".into(), versions.into());
}

/// Takes a rotation policy as it was asked for: its period in the form that answers have, its next moment.
fn plan_rotation(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    making.record.next = None;
    let policy = making.record.body.get("rotation_policy").cloned().unwrap_or_default();
    let Some(period) = policy["rotation_period"].as_str().filter(|period| !period.is_empty()) else {
        making.set("rotation_policy", Value::Null);
        return Ok(());
    };
    let wrong = || {
        let help = format!("must be {} to {} hours, such as 7776000s", ROTATION.start(), ROTATION.end());
        Refusal::argument("rotation_policy.rotation_period", Reason::Constraint, help)
    };
    let seconds: f64 = period.strip_suffix('s').and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let hours = seconds / 3600.0;
    if !(*ROTATION.start() as f64..=*ROTATION.end() as f64).contains(&hours) {
        return Err(wrong());
    }
    let period = Duration::seconds(seconds as i64);
    let asked = policy["next_rotation_at"].as_str().and_then(crate::kernel::moment);
    let next = asked.unwrap_or_else(|| making.tx.now() + period);
    making.set(
        "rotation_policy",
        json!({"rotation_period": format!("{}s", period.whole_seconds()), "next_rotation_at": rfc3339(next)}),
    );
    if making.text("state") == "enabled" && making.text("origin") != "external" {
        making.record.next = Some(Passage { to: Some("enabled".into()), due: next });
    }
    Ok(())
}

/// The same policy, counted from now.
fn plan_rotation_from_now(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    if let Some(policy) = making.record.body.get_mut("rotation_policy").and_then(Value::as_object_mut) {
        policy.insert("next_rotation_at".into(), Value::Null);
    }
    plan_rotation(making)
}

/// The key that the path names.
pub(super) fn find(act: &Act<'_, '_>) -> Result<(String, std::sync::Arc<Record>), Refusal> {
    let id = act.call.param("key_id").unwrap_or_default().to_owned();
    let record = act.find(KEY, &id)?;
    Ok((id, record))
}

/// The key, if it may be used.
pub(in crate::services) fn usable(record: &Record) -> Result<&Record, Refusal> {
    match record.text("state") {
        "enabled" => Ok(record),
        state => {
            Err(Refusal::Precondition { precondition: "resource_not_usable", help: format!("the key is {state}") })
        }
    }
}

/// Changes a key that is not deleted.
pub(super) fn change(
    act: &mut Act<'_, '_>,
    run: impl FnOnce(&mut Making<'_, '_>) -> Result<(), Refusal>,
) -> Result<Answer, Refusal> {
    let (id, record) = find(act)?;
    let mut record = Record::clone(&record);
    if is_deleted(&record) {
        let help = "the key is scheduled for deletion".into();
        return Err(Refusal::Precondition { precondition: "resource_not_usable", help });
    }
    let input = serde_json::Map::new();
    let (catalogue, call) = (act.catalogue, act.call);
    run(&mut Making { tx: act.tx, catalogue, call, key: &id, record: &mut record, input: &input })?;
    Ok(Answer::record(&act.change(KEY, &id, record, "updated")))
}

fn delete(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record) = find(act)?;
    let mut record = Record::clone(&record);
    if record.body.get("protected") == Some(&json!(true)) {
        return Err(Refusal::Precondition {
            precondition: "protected_resource",
            help: "cannot delete a protected key".into(),
        });
    }
    if !is_deleted(&record) {
        let now = act.tx.now();
        record.next = Some(Passage { to: None, due: now + RETENTION });
        record.body.insert("state".into(), "scheduled_for_deletion".into());
        record.body.insert("deletion_requested_at".into(), rfc3339(now).into());
        act.change(KEY, &id, record, "deleted");
    }
    Ok(Answer::NoContent)
}

fn restore(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record) = find(act)?;
    let mut record = Record::clone(&record);
    if !is_deleted(&record) {
        return Err(Refusal::Precondition {
            precondition: "resource_not_usable",
            help: "the key is not scheduled for deletion".into(),
        });
    }
    record.next = None;
    record.body.insert("deletion_requested_at".into(), Value::Null);
    // It comes back disabled: whoever restores a key decides anew that it may be used.
    record.body.insert("state".into(), "disabled".into());
    Ok(Answer::record(&act.change(KEY, &id, record, "restored")))
}

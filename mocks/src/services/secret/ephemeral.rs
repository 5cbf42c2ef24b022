//! Ephemeral secrets: versions that are disabled or deleted after a while, or once somebody has
//! read them. The while passes on the cloud's clock.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::version::schedule;
use crate::kernel::{Act, Field, Making, Passage, Record, Refusal, moment, optional, required, rfc3339};

fn actions() -> Vec<&'static str> {
    vec!["delete", "disable"]
}

/// What a secret says of its versions.
pub(super) fn policy() -> [Field; 3] {
    [
        optional("time_to_live").text(0..=40).check(duration),
        optional("expires_once_accessed").flag().default(Value::Null),
        required("action").one_of(actions),
    ]
}

/// What a version says of itself.
pub(super) fn properties() -> [Field; 3] {
    [
        optional("expires_at").time(),
        optional("expires_once_accessed").flag().default(Value::Null),
        required("action").one_of(actions),
    ]
}

/// The seconds of a duration of up to a year (documented) as the SDKs write it, such as `1800.000000000s`.
fn seconds(text: &str) -> Option<i64> {
    let (whole, _) = text.strip_suffix('s')?.split_once('.').unwrap_or((text.strip_suffix('s')?, ""));
    whole.parse().ok().filter(|seconds| (0..=365 * 86_400).contains(seconds))
}

fn duration(value: &Value) -> Result<(), String> {
    match value.as_str().unwrap_or_default() {
        "" => Ok(()),
        text if seconds(text).is_some() => Ok(()),
        _ => Err("must be a duration in seconds of at most a year, such as 1800s".into()),
    }
}

/// A policy without any end would not be one.
pub(super) fn makes_sense(policy: &Value) -> Result<(), String> {
    let ends = policy["time_to_live"].as_str().is_some_and(|text| !text.is_empty())
        || policy["expires_once_accessed"] == json!(true);
    if ends { Ok(()) } else { Err("needs time_to_live or expires_once_accessed".into()) }
}

/// Durations are told in whole seconds (recorded).
pub(super) fn tell_in_seconds(making: &mut Making<'_, '_>) {
    let Some(policy) = making.record.body.get_mut("ephemeral_policy").filter(|policy| !policy.is_null()) else {
        return;
    };
    let told = policy["time_to_live"].as_str().and_then(seconds).map(|seconds| format!("{seconds}s"));
    policy["time_to_live"] = json!(told);
}

/// What a new version begins with follows from its secret's policy.
pub(super) fn begin(making: &mut Making<'_, '_>) {
    let secret = making.tx.get("secret.secret", making.text("secret_id")).cloned();
    if let Some(secret) = secret {
        renew(&secret, making.record, making.tx.now());
    }
}

/// A version begins anew, when it is made or enabled again (documented), as its secret's policy says.
pub(super) fn renew(secret: &Record, version: &mut Record, now: OffsetDateTime) {
    let policy = secret.body.get("ephemeral_policy").filter(|policy| !policy.is_null());
    let Some(policy) = policy else { return };
    let lives = policy["time_to_live"].as_str().and_then(seconds);
    let expires = lives.map(|lives| rfc3339(now + Duration::seconds(lives)));
    let properties = json!({
        "expires_at": expires, "expires_once_accessed": policy["expires_once_accessed"],
        "action": policy["action"],
    });
    version.body.insert("ephemeral_properties".into(), properties);
    wait(version);
}

/// The properties were changed, or anything else.
pub(super) fn reschedule(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    wait(making.record);
    Ok(())
}

fn properties_of(version: &Record) -> Value {
    version.body.get("ephemeral_properties").cloned().unwrap_or_default()
}

fn end(version: &Record) -> Option<OffsetDateTime> {
    moment(properties_of(version)["expires_at"].as_str()?)
}

pub(super) fn wait(version: &mut Record) {
    let due = end(version).filter(|_| version.text("status") == "enabled");
    version.next = due.map(|due| Passage { to: Some("enabled".into()), due });
}

/// The clock has come to the end of an enabled version.
pub(super) fn expire(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let now = making.tx.now();
    if end(making.record).is_some_and(|end| end <= now) {
        finish(making.record, &rfc3339(now));
    }
    Ok(())
}

/// Somebody has read a version.
pub(super) fn accessed(act: &mut Act<'_, '_>, key: &str, mut version: Record) {
    if properties_of(&version)["expires_once_accessed"] == json!(true) {
        finish(&mut version, &rfc3339(act.tx.now()));
        act.change("secret.version", key, version, "expired");
    }
}

fn finish(version: &mut Record, now: &str) {
    version.next = None;
    if properties_of(version)["action"] == "delete" {
        schedule(version, now);
    } else {
        version.body.insert("status".into(), "disabled".into());
    }
}

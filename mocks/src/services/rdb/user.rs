//! User of an instance's databases, told apart by name.

use serde_json::Value;

use super::{READ, WRITE};
use crate::kernel::{Act, Making, Refusal, Resource, optional, required};

pub(super) fn user() -> Resource {
    Resource::new("rdb.user")
        .at("/rdb/v1/regions/{region}/instances/{instance_id}/users/{user_name}")
        .under("rdb.instance")
        .named_by("name")
        .fields([
            required("name").text(1..=63).check(plain_name).fixed(),
            required("password").text(8..=128).check(strong_password).input_only(),
            optional("is_admin").flag(),
        ])
        .filters(&["name"])
        .order(&["name", "is_admin"])
        .without(&["GET"])
        .permissions(READ, WRITE)
        .made(keep_verifier)
        .updated(keep_verifier)
        .deleted(take_privileges_along)
}

/// Where a user keeps the verifier of its password, hidden. The password itself is nobody's to keep.
pub(super) const VERIFIER: &str = "verifier";

/// What a database checks a password by (SCRAM, RFC 5802), salted anew.
pub(super) fn verifier(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}

fn keep_verifier(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let known = making.tx.get("rdb.user", making.key).and_then(|user| user.hidden.get(VERIFIER).cloned());
    let said = making.input.get("password").and_then(Value::as_str).map(|password| verifier(password).into());
    making.record.hidden.clear();
    if let Some(verifier) = said.or(known) {
        making.record.hidden.insert(VERIFIER.into(), verifier);
    }
    Ok(())
}

fn take_privileges_along(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let Some((instance, user)) = key.split_once('/') else { return Ok(()) };
    let (prefix, suffix) = (format!("{instance}/"), format!("/{user}"));
    let privileges = act.tx.tables().under("rdb.privilege", &prefix, None);
    let his: Vec<String> =
        privileges.filter(|(key, _)| key.ends_with(&suffix)).map(|(key, _)| key.to_owned()).collect();
    for key in his {
        act.erase("rdb.privilege", &key);
    }
    Ok(())
}

/// Names that need no quoting in SQL beyond double quotes, and no slash.
pub(super) fn plain_name(value: &Value) -> Result<(), String> {
    let name = value.as_str().unwrap_or_default();
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.$".contains(c)) {
        Ok(())
    } else {
        Err("must consist of letters, digits, '_', '-', '.' and '$'".into())
    }
}

/// Accepts what the API reference asks of a password: 8 to 128 characters of four kinds.
pub(super) fn strong_password(value: &Value) -> Result<(), String> {
    let password = value.as_str().unwrap_or_default();
    let has = |kind: fn(&char) -> bool| password.chars().any(|c| kind(&c));
    let strong = password.chars().count() >= 8
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_digit)
        && has(|c| !c.is_alphanumeric());
    if password.is_empty() || strong {
        Ok(())
    } else {
        Err("must have 8 to 128 characters, with a lower-case and an upper-case letter, a digit and a special character".into())
    }
}

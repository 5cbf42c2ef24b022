//! Environment variables, plain and secret.
//!
//! Secret values are answered as Argon2id hashes, which the provider compares with
//! what its user wrote. Scaleway's cost 64 MiB and three passes each (recorded); the
//! parameters are read from the hash, so cheap ones keep a refresh fast. A value is
//! hashed once, when it is set; the value itself stays in the record's hidden part.

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher};
use serde_json::{Map, Value, json};

use super::before;
use crate::kernel::{Field, Making, Refusal, optional};

pub(super) const PLAIN: &str = "environment_variables";
pub(in crate::services) const SECRET: &str = "secret_environment_variables";

/// The fields of this file.
pub(in crate::services) const FIELDS: [&str; 2] = [PLAIN, SECRET];

/// How many a container or namespace may have of each kind (documented), and how long a name is
/// (the provider's schema).
pub(in crate::services) const MOST: usize = 100;
const LONGEST_NAME: usize = 100;
/// How long values may be (documented).
const LONGEST_VALUE: usize = 1000;
pub(super) const LONGEST_SECRET: usize = 65_536;

/// The field of the plain ones.
pub(in crate::services) fn plain() -> Field {
    optional(PLAIN).text_map().check(|value| check(value, LONGEST_VALUE))
}

/// The field of the secret ones.
pub(super) fn secret() -> Field {
    optional(SECRET).text_map().check(|value| check(value, LONGEST_SECRET)).input_only()
}

fn check(value: &Value, longest: usize) -> Result<(), String> {
    let variables = value.as_object().into_iter().flatten();
    if variables.clone().count() > MOST {
        return Err(format!("must have at most {MOST} variables"));
    }
    for (name, value) in variables {
        check_name(name)?;
        let length = value.as_str().unwrap_or_default().len();
        if length > longest {
            return Err(format!("the value of {name} must have at most {longest} bytes"));
        }
    }
    Ok(())
}

/// What a Kubernetes pod takes as a name, on which the product runs, without the reserved ones
/// (documented).
pub(in crate::services) fn check_name(name: &str) -> Result<(), String> {
    let form = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty()
        || name.len() > LONGEST_NAME
        || !name.chars().all(form)
        || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(format!(
            "names must have 1 to {LONGEST_NAME} letters, digits, '_', '-' and '.', and not start with a digit"
        ));
    }
    if name == "PORT" || name.starts_with("SCW_") {
        return Err(format!("{name} is reserved"));
    }
    Ok(())
}

/// Takes over the secrets that a request sets: values into the hidden part, hashes into the answer.
/// In a change, `""` leaves a secret as it is, and one that is not named goes (recorded).
pub(super) fn keep_secrets(making: &mut Making<'_, '_>, kind: &str) -> Result<(), Refusal> {
    let Some(asked) = making.input.get(SECRET).and_then(Value::as_object) else {
        return Ok(());
    };
    let before = before(making, kind);
    let (old_values, old_hashes) = (object(before.hidden.get(SECRET)), object(before.body.get(SECRET)));
    let (mut values, mut hashes) = (Map::new(), Map::new());
    for (name, value) in asked {
        let kept = old_values.get(name).zip(old_hashes.get(name)).filter(|_| value == "");
        let (value, hash) = match kept {
            Some((value, hash)) => (value.clone(), hash.clone()),
            None => (value.clone(), json!(hash(making, value.as_str().unwrap_or_default())?)),
        };
        values.insert(name.clone(), value);
        hashes.insert(name.clone(), hash);
    }
    making.record.hidden.insert(SECRET.into(), values.into());
    making.set(SECRET, hashes);
    Ok(())
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The hash of a secret value, salted anew.
pub(in crate::services) fn hash(making: &mut Making<'_, '_>, value: &str) -> Result<String, Refusal> {
    let salt: [u8; 16] = std::array::from_fn(|_| making.tx.ids().below(256).try_into().unwrap_or_default());
    let parameters = Params::new(Params::MIN_M_COST, 1, 1, None);
    let failed = |error: &dyn std::fmt::Display| Refusal::Internal(format!("a secret cannot be hashed: {error}"));
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters.map_err(|error| failed(&error))?);
    let hash = hasher.hash_password_with_salt(value.as_bytes(), &salt).map_err(|error| failed(&error))?;
    Ok(hash.to_string())
}

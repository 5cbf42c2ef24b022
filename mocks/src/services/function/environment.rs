//! Secret environment variables, in the form of this API: a list of key and value.
//!
//! Answered as Argon2id hashes, as containers answer theirs. Values are kept in the
//! record's hidden part. A change says what changes: a key without a value goes, what
//! is not named stays (SDK).

use serde_json::{Map, Value, json};

use crate::{
    kernel::{Field, Making, Reason, Refusal},
    services::containers::{
        before,
        environment::{MOST, SECRET, hash},
        v1beta1::environment::listed,
    },
};

/// The field.
pub(super) fn secret() -> Field {
    listed().input_only()
}

/// Takes over the secrets that a request sets: values into the hidden part, hashes into the answer.
///
/// # Errors
/// When there would be too many.
pub(super) fn keep_secrets(making: &mut Making<'_, '_>, kind: &str) -> Result<(), Refusal> {
    let Some(asked) = making.input.get(SECRET).and_then(Value::as_array) else {
        return Ok(());
    };
    let before = before(making, kind);
    let mut values: Map<String, Value> =
        before.hidden.get(SECRET).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut hashes: Vec<Value> = before.body.get(SECRET).and_then(Value::as_array).cloned().unwrap_or_default();
    for item in asked {
        let key = item["key"].as_str().unwrap_or_default();
        hashes.retain(|hash| hash["key"] != key);
        match &item["value"] {
            Value::String(value) => {
                hashes.push(json!({"key": key, "hashed_value": hash(making, value)?}));
                values.insert(key.to_owned(), value.clone().into());
            }
            _ => {
                values.remove(key);
            }
        }
    }
    if values.len() > MOST {
        let help = format!("must have at most {MOST} variables");
        return Err(Refusal::argument(SECRET, Reason::Constraint, help));
    }
    making.record.hidden.insert(SECRET.into(), values.into());
    making.set(SECRET, hashes);
    Ok(())
}

//! Secret environment variables as a list of key and value; answered as a list of key and hash.
//!
//! A change says what changes: a key without a value goes, what is not named stays (SDK).

use serde_json::{Map, Value, json};

use super::said;
use crate::{
    kernel::{Act, Field, Making, Record, Refusal, optional, required},
    services::containers::environment::{LONGEST_SECRET, SECRET, check_name, hash},
};

/// The field, as requests have it.
pub(in crate::services) fn listed() -> Field {
    optional(SECRET).objects([
        required("key").text(1..=100).check(|key| check_name(key.as_str().unwrap_or_default())),
        optional("value").text(0..=LONGEST_SECRET).default(Value::Null),
    ])
}

/// The field of a view.
pub(super) fn secret() -> Field {
    listed().told(|record| {
        let hashes = record.body.get(SECRET).and_then(Value::as_object).into_iter().flatten();
        Some(hashes.map(|(key, hash)| json!({"key": key, "hashed_value": hash})).collect())
    })
}

/// Says all of the secrets, as v1 wants them: those that stay without a value.
pub(super) fn say(
    act: &Act<'_, '_>,
    kind: &str,
    said: &Map<String, Value>,
    body: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let asked = said.get(SECRET).and_then(Value::as_array).filter(|asked| !asked.is_empty());
    let Some(asked) = asked else {
        return Ok(());
    };
    let mut values = match act.call.ids().last() {
        Some(key) => kept(&*act.find(kind, key)?),
        None => Map::new(),
    };
    for (key, value) in asked.iter().filter_map(named) {
        match value {
            Value::String(value) => drop(values.insert(key.to_owned(), value.clone().into())),
            _ => drop(values.remove(key)),
        }
    }
    body.insert(SECRET.to_owned(), values.into());
    Ok(())
}

fn named(item: &Value) -> Option<(&str, &Value)> {
    Some((item.get("key")?.as_str()?, item.get("value")?))
}

fn kept(record: &Record) -> Map<String, Value> {
    let names = record.body.get(SECRET).and_then(Value::as_object).into_iter().flatten();
    names.map(|(name, _)| (name.clone(), "".into())).collect()
}

/// Empties the secrets that are said to be empty; to v1 that means that they stay.
pub(super) fn empty(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let asked = said(making.call).and_then(|said| said.get(SECRET)).and_then(Value::as_array);
    let emptied = asked.into_iter().flatten().filter_map(named).filter(|(_, value)| *value == "");
    let emptied: Vec<String> = emptied.map(|(key, _)| key.to_owned()).collect();
    for key in emptied {
        let hash = hash(making, "")?;
        for (place, value) in [(&mut making.record.hidden, Value::from("")), (&mut making.record.body, hash.into())] {
            if let Some(secrets) = place.get_mut(SECRET).and_then(Value::as_object_mut)
                && secrets.contains_key(&key)
            {
                secrets.insert(key.clone(), value);
            }
        }
    }
    Ok(())
}

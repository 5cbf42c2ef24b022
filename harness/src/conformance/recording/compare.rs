//! How two JSON answers differ: keys that are missing, values of another type, errors told otherwise.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where a real answer and ours differ, as `path: how`; array elements are `[]`.
pub(super) fn differences(recorded: &Value, seen: &Value, error: bool) -> Vec<String> {
    let mut found = Vec::new();
    walk(recorded, seen, error, String::new(), &mut found);
    found.sort();
    found.dedup();
    found
}

fn walk(recorded: &Value, seen: &Value, error: bool, path: String, found: &mut Vec<String>) {
    match (recorded, seen) {
        // What was not there yet when it was recorded may be there at once here.
        (Value::Null, _) => {}
        (Value::Object(recorded), Value::Object(seen)) => {
            for (key, value) in recorded {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match seen.get(key) {
                    Some(seen) => walk(value, seen, error, path, found),
                    None if value.is_null() => {}
                    None => found.push(format!("{path}: missing")),
                }
            }
        }
        (Value::Array(recorded), Value::Array(seen)) => {
            if let Some(seen) = seen.first() {
                for item in recorded {
                    walk(item, seen, error, format!("{path}[]"), found);
                }
            }
        }
        (recorded, seen) if name(recorded) != name(seen) => {
            found.push(format!("{path}: {} instead of {}", name(seen), name(recorded)));
        }
        // The words of an error's classification are part of the API; its prose is not.
        (Value::String(recorded), Value::String(seen)) if error && recorded != seen && classifies(&path) => {
            found.push(format!("{path}: {seen} instead of {recorded}"));
        }
        _ => {}
    }
}

fn classifies(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    matches!(last, "type" | "resource" | "precondition" | "reason" | "argument_name" | "method" | "action")
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Learns which of our identifiers stands for which recorded one: those at the same place in both answers.
pub(super) fn learn(recorded: &Value, seen: &Value, known: &mut BTreeMap<String, String>) {
    match (recorded, seen) {
        (Value::Object(recorded), Value::Object(seen)) => {
            for (key, value) in recorded {
                if let Some(seen) = seen.get(key) {
                    learn(value, seen, known);
                }
            }
        }
        (Value::Array(recorded), Value::Array(seen)) => {
            for (recorded, seen) in recorded.iter().zip(seen) {
                learn(recorded, seen, known);
            }
        }
        (Value::String(recorded), Value::String(seen)) if is_identifier(recorded) && is_identifier(seen) => {
            known.entry(recorded.clone()).or_insert_with(|| seen.clone());
        }
        _ => {}
    }
}

fn is_identifier(text: &str) -> bool {
    uuid::Uuid::parse_str(text).is_ok() || (text.len() == 20 && text.starts_with("SCW"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_keys_and_other_types_are_differences() {
        let recorded = json!({"id": "1", "tags": [], "size": 5, "next": null, "items": [{"a": 1}]});
        let seen = json!({"id": "2", "tags": {}, "size": "5", "items": [{"b": 1}]});
        let expected = ["items[].a: missing", "size: text instead of number", "tags: object instead of list"];
        assert_eq!(differences(&recorded, &seen, false), expected);
    }

    #[test]
    fn an_errors_classification_counts_its_prose_does_not() {
        let recorded = json!({"type": "not_found", "message": "resource is not found"});
        let seen = json!({"type": "unknown", "message": "there is none"});
        assert_eq!(differences(&recorded, &seen, true), ["type: unknown instead of not_found"]);
        assert!(differences(&recorded, &seen, false).is_empty());
    }

    #[test]
    fn identifiers_are_learnt_where_they_stand_at_the_same_place() {
        let (one, other) = ("326abf03-dfa1-4cb2-8fe5-9b5463490fcd", "11111111-1111-4111-8111-111111111111");
        let mut known = BTreeMap::new();
        learn(&json!({"id": one, "name": "x"}), &json!({"id": other, "name": "y"}), &mut known);
        assert_eq!(known, BTreeMap::from([(one.to_owned(), other.to_owned())]));
    }
}

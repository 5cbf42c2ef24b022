//! How two JSON answers differ: keys that are missing, values of another type, errors told otherwise.

use std::collections::BTreeMap;

use serde_json::Value;

/// Recorded identifiers and ours.
pub(super) type Known = BTreeMap<String, String>;

/// Where a real answer and ours differ, as `path: how`; array elements are `[]`.
pub(super) fn differences(recorded: &Value, seen: &Value, known: &Known, error: bool) -> Vec<String> {
    let mut found = Vec::new();
    walk(recorded, seen, (known, error), String::new(), &mut found);
    found.sort();
    found.dedup();
    found
}

fn walk(recorded: &Value, seen: &Value, how: (&Known, bool), path: String, found: &mut Vec<String>) {
    let (known, error) = how;
    match (recorded, seen) {
        // What was not there yet when it was recorded may be there at once here.
        (Value::Null, _) => {}
        (Value::Object(recorded), Value::Object(seen)) => {
            for (key, value) in recorded {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match seen.get(key) {
                    Some(seen) => walk(value, seen, how, path, found),
                    None if value.is_null() => {}
                    None => found.push(format!("{path}: missing")),
                }
            }
        }
        (Value::Array(recorded), Value::Array(seen)) => {
            for (recorded, seen) in pairs(recorded, seen, known) {
                walk(recorded, seen, how, format!("{path}[]"), found);
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
    let last = last.trim_end_matches("[]");
    matches!(last, "Code" | "type" | "resource" | "precondition" | "reason" | "argument_name" | "method" | "action")
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

/// Recorded elements of a list with ours that stand for them: those of a known identifier, of the same name, or, in
/// lists of one length, at the same place. What a recorded account held besides stands alone, and is left out.
fn pairs<'a>(
    recorded: &'a [Value],
    seen: &'a [Value],
    known: &'a Known,
) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let same_length = recorded.len() == seen.len();
    recorded.iter().enumerate().filter_map(move |(place, item)| {
        let place = if same_length { seen.get(place) } else { None };
        let identified = ["id", "access_key"].into_iter().find_map(|key| Some((key, item.get(key)?.as_str()?)));
        if let Some((key, ours)) = identified.and_then(|(key, id)| Some((key, known.get(id)?))) {
            return seen.iter().find(|seen| seen[key] == **ours).map(|seen| (item, seen));
        }
        let namesake = NAMES.into_iter().find_map(|name| {
            let said = item.get(name)?.as_str().filter(|said| !said.is_empty())?;
            place.filter(|seen| seen[name] == *said).or_else(|| seen.iter().find(|seen| seen[name] == *said))
        });
        // Entries of catalogues have no identifiers: any of ours shows what there is of one.
        let other = || if identified.is_none() { seen.first() } else { None };
        Some((item, namesake.or(place).or_else(other)?))
    })
}

/// What tells apart what has no identifier, or one we do not know yet.
const NAMES: [&str; 4] = ["name", "login", "email", "description"];

/// Learns which of our identifiers stands for which recorded one: those at the same place in both answers.
pub(super) fn learn(recorded: &Value, seen: &Value, known: &mut Known) {
    match (recorded, seen) {
        (Value::Object(recorded), Value::Object(seen)) => {
            for (key, value) in recorded {
                let Some(seen) = seen.get(key) else { continue };
                // S3's identifiers have no form of their own.
                if matches!(key.as_str(), "UploadId" | "VersionId")
                    && let (Some(recorded), Some(seen)) = (value[0].as_str(), seen[0].as_str())
                {
                    known.entry(recorded.to_owned()).or_insert_with(|| seen.to_owned());
                }
                learn(value, seen, known);
            }
        }
        (Value::Array(recorded), Value::Array(seen)) => {
            let before = known.clone();
            for (recorded, seen) in pairs(recorded, seen, &before) {
                learn(recorded, seen, known);
            }
        }
        (Value::String(recorded), Value::String(seen)) if is_identifier(recorded) && is_identifier(seen) => {
            known.entry(recorded.clone()).or_insert_with(|| seen.clone());
        }
        // Addresses to upload to are signed by who gave them out.
        (Value::String(recorded), Value::String(seen)) if recorded.contains(SIGNED) && seen.contains(SIGNED) => {
            known.insert(recorded.clone(), seen.clone());
        }
        _ => {}
    }
}

/// What every address has that is signed beforehand.
pub(super) const SIGNED: &str = "X-Amz-Signature=";

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
        assert_eq!(differences(&recorded, &seen, &Known::new(), false), expected);
    }

    #[test]
    fn an_errors_classification_counts_its_prose_does_not() {
        let recorded = json!({"type": "not_found", "message": "resource is not found"});
        let seen = json!({"type": "unknown", "message": "there is none"});
        assert_eq!(differences(&recorded, &seen, &Known::new(), true), ["type: unknown instead of not_found"]);
        assert!(differences(&recorded, &seen, &Known::new(), false).is_empty());
    }

    #[test]
    fn elements_of_lists_are_compared_with_those_they_stand_for() {
        let recorded = json!([
            {"id": "326abf03-dfa1-4cb2-8fe5-9b5463490fcd", "of": "somebody else"},
            {"id": "7f1ac1a5-5b2d-4c0c-9b0e-1d2f3a4b5c6d", "name": "shop", "size": 1},
        ]);
        let seen = json!([{"id": "other", "name": "depot"}, {"id": "ours", "name": "shop", "size": "1"}, {}]);
        assert_eq!(differences(&recorded, &seen, &Known::new(), false), ["[].size: text instead of number"]);
        let known = Known::from([("326abf03-dfa1-4cb2-8fe5-9b5463490fcd".to_owned(), "other".to_owned())]);
        let expected = ["[].of: missing", "[].size: text instead of number"];
        assert_eq!(differences(&recorded, &seen, &known, false), expected);
    }

    #[test]
    fn identifiers_are_learnt_where_they_stand_at_the_same_place() {
        let (one, other) = ("326abf03-dfa1-4cb2-8fe5-9b5463490fcd", "11111111-1111-4111-8111-111111111111");
        let mut known = Known::new();
        learn(&json!({"id": one, "name": "x"}), &json!({"id": other, "name": "y"}), &mut known);
        assert_eq!(known, Known::from([(one.to_owned(), other.to_owned())]));
    }
}

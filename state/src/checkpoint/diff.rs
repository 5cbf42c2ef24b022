//! What differs between two checkpoints. Secrets are told to differ or not, never what they are.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Checkpoint, Resource, model, verify::by_urn};

/// What stands for a secret.
const MASK: &str = "[secret]";

/// What differs between two checkpoints, in the order of URNs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    /// Only in the second.
    pub added: Vec<Named>,
    /// Only in the first.
    pub removed: Vec<Named>,
    /// In both, and not the same.
    pub changed: Vec<Changed>,
    /// How many are the same in both.
    pub unchanged: usize,
}

/// A resource by its names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Named {
    /// Its URN.
    pub urn: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its identifier at the provider.
    pub id: Option<String>,
}

/// A resource that is not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// Which.
    #[serde(flatten)]
    pub resource: Named,
    /// In what, by path.
    pub properties: Vec<Property>,
}

/// A property that is not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Property {
    /// Where it is, such as `outputs.tags[0]`.
    pub path: String,
    /// What it was; none if it was not there.
    pub old: Option<Value>,
    /// What it is; none if it is not there.
    pub new: Option<Value>,
}

impl Diff {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// What differs from `old` to `new`. Times at which resources were looked at do not count.
#[must_use]
pub fn diff(old: &Checkpoint, new: &Checkpoint) -> Diff {
    let (before, after) = (by_urn(old.resources()), by_urn(new.resources()));
    let urns: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut diff = Diff::default();
    for urn in urns {
        match (before.get(urn), after.get(urn)) {
            (None, Some(resource)) => diff.added.push(named(resource)),
            (Some(resource), None) => diff.removed.push(named(resource)),
            (Some(old), Some(new)) => {
                let mut properties = Vec::new();
                compare("", Some(&facts(old)), Some(&facts(new)), &mut properties);
                if properties.is_empty() {
                    diff.unchanged += 1;
                } else {
                    diff.changed.push(Changed { resource: named(new), properties });
                }
            }
            (None, None) => {}
        }
    }
    diff
}

/// A checkpoint as JSON, with its secrets masked: to be shown.
///
/// # Errors
/// When it cannot be put into JSON.
pub fn shown(checkpoint: &Checkpoint) -> Result<Value, serde_json::Error> {
    let latest = checkpoint.latest.as_ref().map(serde_json::to_value).transpose()?;
    let mut latest = latest.unwrap_or(Value::Null);
    mask(&mut latest);
    // The salt and check word let anybody try passphrases.
    if let Some(state) = latest.pointer_mut("/secrets_providers/state") {
        *state = Value::String(MASK.to_owned());
    }
    Ok(serde_json::json!({"version": checkpoint.version, "deployment": latest}))
}

fn mask(value: &mut Value) {
    if model::secret(value).is_some() {
        *value = Value::String(MASK.to_owned());
        return;
    }
    match value {
        Value::Array(all) => all.iter_mut().for_each(mask),
        Value::Object(all) => all.values_mut().for_each(mask),
        _ => {}
    }
}

fn named(resource: &Resource) -> Named {
    Named { urn: resource.urn.clone(), kind: resource.kind.clone(), id: resource.id.clone() }
}

/// What a resource is, as one value.
fn facts(resource: &Resource) -> Value {
    let mut all = Map::new();
    if let Ok(Value::Object(fields)) = serde_json::to_value(resource) {
        all.extend(fields.into_iter().filter(|(name, _)| {
            !matches!(name.as_str(), "urn" | "type" | "created" | "modified" | "sourcePosition" | "stackTrace")
        }));
    }
    Value::Object(all)
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Property>) {
    if old == new {
        return;
    }
    let secret = |value: Option<&Value>| value.is_some_and(|value| model::secret(value).is_some());
    if !secret(old) && !secret(new) {
        match (old, new) {
            (Some(Value::Object(one)), Some(Value::Object(two))) => {
                let names: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
                for name in names {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    compare(&path, one.get(name), two.get(name), found);
                }
                return;
            }
            (Some(Value::Array(one)), Some(Value::Array(two))) => {
                for index in 0..one.len().max(two.len()) {
                    compare(&format!("{path}[{index}]"), one.get(index), two.get(index), found);
                }
                return;
            }
            _ => {}
        }
    }
    let told = |value: Option<&Value>| {
        value.map(|value| {
            let mut value = value.clone();
            mask(&mut value);
            value
        })
    };
    // Where a value became a secret, what it was is as secret.
    let (old, new) = if secret(old) || secret(new) {
        let masked = |value: Option<&Value>| value.map(|_| Value::String(MASK.to_owned()));
        (masked(old), masked(new))
    } else {
        (told(old), told(new))
    };
    found.push(Property { path: path.to_owned(), old, new });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checkpoint::model::{SECRET, SIGNATURE};

    fn state(resources: Value) -> Checkpoint {
        let text = json!({"version": 3, "checkpoint": {"latest": {"resources": resources}}}).to_string();
        Checkpoint::read(text.as_bytes()).unwrap()
    }

    fn secret(ciphertext: &str) -> Value {
        json!({SIGNATURE: SECRET, "ciphertext": ciphertext})
    }

    #[test]
    fn what_was_added_removed_and_changed_is_told_by_path() {
        let old = state(json!([
            {"urn": "a", "type": "t", "id": "1", "outputs": {"tags": ["x", "y"], "size": 1}},
            {"urn": "b", "type": "t"}, {"urn": "same", "type": "t", "modified": "then"}]));
        let new = state(json!([
            {"urn": "a", "type": "t", "id": "1", "outputs": {"tags": ["x"], "size": 2}, "protect": true},
            {"urn": "c", "type": "t"}, {"urn": "same", "type": "t", "modified": "now"}]));
        let diff = diff(&old, &new);
        assert_eq!((diff.added[0].urn.as_str(), diff.removed[0].urn.as_str(), diff.unchanged), ("c", "b", 1));
        let told: Vec<_> =
            diff.changed[0].properties.iter().map(|p| (p.path.as_str(), p.old.clone(), p.new.clone())).collect();
        assert_eq!(
            told,
            [
                ("outputs.size", Some(json!(1)), Some(json!(2))),
                ("outputs.tags[1]", Some(json!("y")), None),
                ("protect", Some(json!(false)), Some(json!(true))),
            ]
        );
    }

    #[test]
    fn a_secret_is_told_to_differ_and_not_what_it_is() {
        let of = |value: Value| state(json!([{"urn": "a", "type": "t", "inputs": {"password": value}}]));
        let cases = [
            (secret("v1:a:b"), secret("v1:c:d")),
            (json!("in the clear"), secret("v1:c:d")),
            (secret("v1:c:d"), json!({"k": "in the clear"})),
        ];
        for (old, new) in cases {
            let diff = diff(&of(old), &of(new));
            assert_eq!(diff.changed[0].properties[0].path, "inputs.password");
            let text = serde_json::to_string(&diff).unwrap();
            assert!(!text.contains("v1:") && !text.contains("in the clear"), "{text}");
        }
        assert!(diff(&of(secret("v1:a:b")), &of(secret("v1:a:b"))).is_empty());
        let within = diff(&of(json!({"deep": [secret("v1:a:b")]})), &of(json!("x")));
        assert!(!serde_json::to_string(&within).unwrap().contains("v1:"));
    }

    #[test]
    fn what_is_shown_holds_no_ciphertext_and_no_salt() {
        let text = json!({"version": 3, "checkpoint": {"latest": {
            "secrets_providers": {"type": "passphrase", "state": {"salt": "v1:s:v1:n:c"}},
            "resources": [{"urn": "a", "type": "t", "outputs": {"deep": [secret("v1:a:b")]}, "new": secret("v1:x:y")}]}}});
        let shown = shown(&Checkpoint::read(text.to_string().as_bytes()).unwrap()).unwrap().to_string();
        assert!(shown.contains(MASK) && !shown.contains("v1:"), "{shown}");
    }
}

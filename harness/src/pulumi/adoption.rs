//! Adoption: taking resources that exist into another state, all at once.
//!
//! The form is that of `pulumi import --file`: components by their type and
//! name, resources by their type, name and identifier, each under its parent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::Failure;

/// The list of everything in a state, as `pulumi import --file` reads it. `state` is what
/// `pulumi stack export` writes. Whatever the provider made an identifier of is its import identifier.
///
/// # Errors
/// When the state has no list of resources, or two resources that the list cannot tell apart.
pub fn import_file(state: &Value) -> Result<Value, Failure> {
    let resources = state.pointer("/deployment/resources").and_then(Value::as_array);
    let resources = resources.ok_or_else(|| {
        Failure::failed("the state has no list of resources").next("pulumi stack export, and look at it")
    })?;
    let mut names = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let mut list = Vec::new();
    for resource in resources {
        let text = |field: &str| resource[field].as_str().unwrap_or_default();
        let (urn, token) = (text("urn"), text("type"));
        if token.starts_with("pulumi:") {
            continue;
        }
        let name = urn.rsplit("::").next().unwrap_or(urn);
        if !taken.insert(name) {
            return Err(Failure::failed(format!("two resources of the state are called {name}"))
                .because("a list for pulumi import tells resources apart by their names")
                .next("import one of them by itself: pulumi import TYPE NAME ID"));
        }
        names.insert(urn, name);
        let mut entry = json!({"type": token, "name": name});
        if resource["custom"] == json!(true) {
            entry["id"] = text("id").into();
        } else {
            entry["component"] = true.into();
        }
        // The stack itself is everyone's parent without being said.
        if let Some(parent) = names.get(text("parent")) {
            entry["parent"] = (*parent).into();
        }
        list.push(entry);
    }
    Ok(json!({"resources": list}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(resources: &Value) -> Value {
        json!({"deployment": {"resources": resources}})
    }

    #[test]
    fn components_and_their_resources_are_listed_under_their_parents() {
        let resources = json!([
            {"urn": "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev", "type": "pulumi:pulumi:Stack"},
            {"urn": "urn:pulumi:dev::p::pulumi:providers:scaleway::default", "type": "pulumi:providers:scaleway",
             "custom": true, "id": "1"},
            {"urn": "urn:pulumi:dev::p::app:Network::net", "type": "app:Network",
             "parent": "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"},
            {"urn": "urn:pulumi:dev::p::app:Network$scaleway:network/vpc:Vpc::net-vpc", "custom": true,
             "type": "scaleway:network/vpc:Vpc", "id": "fr-par/1", "parent": "urn:pulumi:dev::p::app:Network::net"},
        ]);
        let expected = json!({"resources": [
            {"type": "app:Network", "name": "net", "component": true},
            {"type": "scaleway:network/vpc:Vpc", "name": "net-vpc", "id": "fr-par/1", "parent": "net"},
        ]});
        assert_eq!(import_file(&state(&resources)).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_listed_is_refused() {
        let twice = json!([
            {"urn": "urn:pulumi:dev::p::t::same", "type": "t"},
            {"urn": "urn:pulumi:dev::p::u::same", "type": "u"},
        ]);
        assert!(import_file(&state(&twice)).unwrap_err().what.contains("same"));
        assert!(import_file(&json!({})).is_err());
    }
}

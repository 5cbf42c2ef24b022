//! Operations that an interrupted run left pending, decided.
//!
//! Pulumi's own `refresh --import-pending-creates` notes that a resource is there, and then forgets it: nothing of its
//! engine takes an operation of the type `importing` over (seen with 3.259). So it is written here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A state, as `pulumi stack export` writes it, without pending operations, and with those resources in it that are there,
/// by URN and identifier: as the run would have written them, but for the outputs, which a refresh reads.
pub fn taken_in(mut state: Value, there: &BTreeMap<String, String>) -> Value {
    let deployment = &mut state["deployment"];
    let pending = deployment["pending_operations"].take();
    let mut resources = match deployment["resources"].take() {
        Value::Array(resources) => resources,
        _ => Vec::new(),
    };
    let creating = pending.as_array().into_iter().flatten().filter(|operation| operation["type"] == "creating");
    for operation in creating {
        let mut resource = operation["resource"].clone();
        let Some(id) = resource["urn"].as_str().and_then(|urn| there.get(urn)) else { continue };
        // It was to replace this one, which is to be deleted then.
        for old in resources.iter_mut().filter(|old| old["urn"] == resource["urn"]) {
            old["delete"] = json!(true);
        }
        resource["id"] = json!(id);
        resource["outputs"] = resource["inputs"].clone();
        resources.push(resource);
    }
    deployment["resources"] = Value::Array(resources);
    if let Some(deployment) = deployment.as_object_mut() {
        deployment.remove("pending_operations");
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(urn: &str) -> Value {
        json!({"urn": urn, "type": "t", "custom": true, "inputs": {"name": "n"}})
    }

    #[test]
    fn what_is_there_is_taken_in_and_what_is_not_is_forgotten() {
        let state = json!({"version": 3, "deployment": {"resources": [resource("a")], "pending_operations": [
            {"type": "creating", "resource": resource("b")},
            {"type": "creating", "resource": resource("c")},
            {"type": "deleting", "resource": resource("a")},
        ]}});
        let taken = taken_in(state, &BTreeMap::from([("b".to_owned(), "fr-par/1".to_owned())]));
        let resources = taken["deployment"]["resources"].as_array().unwrap();
        let urns: Vec<&Value> = resources.iter().map(|resource| &resource["urn"]).collect();
        assert_eq!(urns, ["a", "b"]);
        assert_eq!(resources[1]["id"], "fr-par/1");
        assert_eq!(resources[1]["outputs"], json!({"name": "n"}));
        assert!(resources[0].get("delete").is_none());
        assert!(taken["deployment"].get("pending_operations").is_none());
    }

    #[test]
    fn what_was_to_be_replaced_is_still_to_be_deleted() {
        let state = json!({"deployment": {"resources": [resource("a")], "pending_operations": [
            {"type": "creating", "resource": resource("a")},
        ]}});
        let taken = taken_in(state, &BTreeMap::from([("a".to_owned(), "2".to_owned())]));
        let resources = taken["deployment"]["resources"].as_array().unwrap();
        assert_eq!((&resources[0]["delete"], &resources[1]["id"]), (&json!(true), &json!("2")));
    }
}

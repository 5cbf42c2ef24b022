//! What a container passes through, and what it holds meanwhile.

use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};

use crate::{
    fixture::{CONTAINERS, IPS, NAMESPACES, NETWORKS, advance, container, item, namespace, patch, with},
    support::Fixture,
};

#[tokio::test]
async fn a_container_holds_its_private_network_and_has_an_address_in_it() {
    let fixture = Fixture::new();
    let first = fixture.make(NETWORKS, json!({"subnets": ["10.1.0.0/24"]})).await;
    let second = fixture.make(NETWORKS, json!({"subnets": ["10.2.0.0/24"]})).await;
    let made = container(&fixture, json!({"private_network_id": first})).await;
    let (id, path) = (made["id"].as_str().unwrap(), item(CONTAINERS, &made));
    let addresses = async || {
        let query = format!("{IPS}?resource_id={id}&resource_type=serverless_container");
        let ips = fixture.get(&query).await.body["ips"].clone();
        ips.as_array().unwrap().iter().map(|ip| ip["address"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let delete = async |network: &str| fixture.send("DELETE", &format!("{NETWORKS}/{network}"), Value::Null).await;
    assert_eq!(addresses().await, ["10.1.0.2/24"]);
    let refused = delete(&first).await;
    assert_eq!((refused.status, &refused.body["precondition"]), (412, &json!("resource_still_in_use")));
    let moved = patch(&fixture, &path, json!({"private_network_id": second})).await;
    assert_eq!((&moved["private_network_id"], addresses().await), (&json!(second), vec!["10.2.0.2/24".to_owned()]));
    assert_eq!(delete(&first).await.status, 204);
    let kept = patch(&fixture, &path, json!({"private_network_id": null, "port": 81})).await;
    assert_eq!((&kept["private_network_id"], addresses().await.len()), (&json!(second), 1));
    let detached = patch(&fixture, &path, json!({"private_network_id": ""})).await;
    assert_eq!((detached.get("private_network_id"), addresses().await.len()), (None, 0));
    assert_eq!(delete(&second).await.status, 204);
    let elsewhere = fixture.make("/vpc/v2/regions/nl-ams/private-networks", json!({})).await;
    assert_eq!(fixture.send("PATCH", &path, json!({"private_network_id": elsewhere})).await.status, 404);
}

/// Trap: the provider does not wait for a container's deletion before it deletes namespace and network.
#[tokio::test]
async fn a_destroy_that_does_not_wait_succeeds_at_once_when_nothing_takes_time() {
    let fixture = Fixture::new();
    let network = fixture.make(NETWORKS, json!({})).await;
    let made = container(&fixture, json!({"private_network_id": network})).await;
    let deleted = fixture.send("DELETE", &item(CONTAINERS, &made), Value::Null).await;
    assert_eq!((deleted.status, &deleted.body["status"]), (200, &json!("deleting")));
    let gone = fixture.send("DELETE", &item(CONTAINERS, &made), Value::Null).await;
    assert_eq!((gone.status, &gone.body["resource"]), (404, &json!("container")));
    let namespace = format!("{NAMESPACES}/{}", made["namespace_id"].as_str().unwrap());
    assert_eq!(fixture.send("DELETE", &namespace, Value::Null).await.body["status"], "deleting");
    assert_eq!(fixture.get(&namespace).await.status, 404);
    assert_eq!(fixture.send("DELETE", &format!("{NETWORKS}/{network}"), Value::Null).await.status, 204);
}

/// The provider repeats a network's deletion for 30 seconds while it is answered 412.
#[tokio::test]
async fn a_destroy_that_does_not_wait_succeeds_within_thirty_seconds_in_real_time() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let network = fixture.make(NETWORKS, json!({})).await;
    let namespace = namespace(&fixture).await;
    advance(&fixture, 10);
    let body = with(json!({"namespace_id": namespace, "private_network_id": network}), json!({}));
    let (first, second) = (fixture.post(CONTAINERS, body.clone()).await.body, with(body, json!({"name": "second"})));
    let second = fixture.post(CONTAINERS, second).await.body;
    advance(&fixture, 20);
    let status = |body: &Value| body["status"].as_str().map(str::to_owned);
    assert_eq!(status(&fixture.send("DELETE", &item(CONTAINERS, &first), Value::Null).await.body).unwrap(), "deleting");
    assert_eq!(
        status(&fixture.send("DELETE", &format!("{NAMESPACES}/{namespace}"), Value::Null).await.body).unwrap(),
        "deleting"
    );
    assert_eq!(status(&fixture.get(&item(CONTAINERS, &second)).await.body).unwrap(), "deleting");
    assert_eq!(fixture.get(IPS).await.body["total_count"], 0);
    let early = fixture.send("DELETE", &format!("{NETWORKS}/{network}"), Value::Null).await;
    assert_eq!((early.status, &early.body["type"]), (412, &json!("precondition_failed")));
    advance(&fixture, 29);
    assert_eq!(fixture.send("DELETE", &format!("{NETWORKS}/{network}"), Value::Null).await.status, 204);
    for path in [item(CONTAINERS, &first), item(CONTAINERS, &second), format!("{NAMESPACES}/{namespace}")] {
        assert_eq!(fixture.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn states_are_passed_through_as_recorded() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let made = fixture.post(NAMESPACES, json!({"name": "n"})).await.body;
    let namespace = item(NAMESPACES, &made);
    assert_eq!(made["status"], "creating");
    let body = with(json!({"namespace_id": made["id"]}), json!({}));
    let early = fixture.post(CONTAINERS, body.clone()).await;
    assert_eq!((early.status, &early.body["current_state"]), (409, &json!("creating")));
    advance(&fixture, 5);
    assert_eq!(patch(&fixture, &namespace, json!({"description": "d", "tags": ["t"]})).await["status"], "ready");
    let changed = patch(&fixture, &namespace, json!({"environment_variables": {"A": "1"}})).await;
    assert_eq!(changed["status"], "updating");
    advance(&fixture, 5);
    let made = fixture.post(CONTAINERS, body).await.body;
    let path = item(CONTAINERS, &made);
    assert_eq!((&made["status"], made.get("error_message")), (&json!("creating"), None));
    let early = fixture.send("PATCH", &path, json!({"port": 80})).await;
    assert_eq!((early.status, &early.body["type"]), (409, &json!("transient_state")));
    advance(&fixture, 20);
    let ready = fixture.get(&path).await.body;
    assert_eq!((&ready["status"], &ready["error_message"]), (&json!("ready"), &json!("")));
    assert_eq!(patch(&fixture, &path, json!({"description": "d"})).await["status"], "ready");
    // The provider's `registry_sha256` sends the image as it is, to have it deployed anew.
    let changed = patch(&fixture, &path, json!({"image": "nginx:alpine"})).await;
    assert_eq!((&changed["status"], changed.get("error_message")), (&json!("updating"), None));
    advance(&fixture, 20);
    let redeployed = fixture.post(&format!("{path}/redeploy"), json!({})).await.body;
    assert_eq!(redeployed["status"], "updating");
    assert_ne!(redeployed["updated_at"], changed["updated_at"]);
    advance(&fixture, 20);
    assert_eq!(fixture.get(&path).await.body["status"], "ready");
}

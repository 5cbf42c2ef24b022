//! API v1beta1: the same records as v1's, in its own words.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use stackproof_cloud::{api::Outcome, kernel::Profile, services};

use crate::{
    fixture::{CONTAINERS, DOMAINS, NAMESPACES, NETWORKS, advance, container, item, namespace, patch, with},
    support::{Answer, Fixture, faulty},
};

pub(crate) const OLD: &str = "/containers/v1beta1/regions/fr-par";

pub(crate) fn old(collection: &str) -> String {
    format!("{OLD}/{collection}")
}

/// A container that v1beta1 makes, with these settings, in a namespace of its own.
pub(crate) async fn old_container(fixture: &Fixture, settings: Value) -> Answer {
    let namespace = fixture.make(&old("namespaces"), json!({"name": "shop"})).await;
    let mut body = json!({"namespace_id": namespace, "name": "web"});
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    fixture.post(&old("containers"), body).await
}

pub(crate) fn keys(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_container_that_v1_made_is_seen_with_the_fields_and_units_of_v1beta1() {
    let fixture = Fixture::new();
    let network = fixture.make(NETWORKS, json!({})).await;
    let settings = json!({
        "memory_limit_bytes": 512_000_000, "mvcpu_limit": 280, "local_storage_limit_bytes": 2_000_000_000,
        "https_connections_only": true, "private_network_id": network, "tags": ["t"], "timeout": "30s",
        "environment_variables": {"A": "b"}, "liveness_probe": {"interval": "20s", "http": {"path": "/up"}},
    });
    let made = container(&fixture, settings).await;
    let seen = fixture.get(&item(&old("containers"), &made)).await.body;
    let endpoint = made["public_endpoint"].as_str().unwrap().strip_prefix("https://").unwrap();
    assert!(seen["ready_at"].is_string(), "{seen}");
    assert_eq!(
        seen,
        json!({
            "id": made["id"], "name": "web", "namespace_id": made["namespace_id"], "status": "ready",
            "environment_variables": {"A": "b"}, "min_scale": 0, "max_scale": 5, "memory_limit": 512,
            "cpu_limit": 280, "timeout": "30s", "error_message": null, "privacy": "public", "description": "",
            "registry_image": "nginx:alpine", "max_concurrency": 50, "domain_name": endpoint, "protocol": "http1",
            "port": 8080, "secret_environment_variables": [], "http_option": "redirected", "sandbox": "v2",
            "local_storage_limit": 2000, "scaling_option": {"concurrent_requests_threshold": 50},
            "created_at": made["created_at"], "updated_at": seen["updated_at"], "ready_at": seen["ready_at"],
            "health_check": {"failure_threshold": 30, "interval": "20s", "http": {"path": "/up"}}, "tags": ["t"],
            "private_network_id": network, "command": [], "args": [], "region": "fr-par",
        })
    );
    let listed = fixture.get(&old("containers")).await.body;
    assert_eq!((&listed["containers"], &listed["total_count"]), (&json!([seen]), &json!(1)));
}

#[tokio::test]
async fn a_container_that_v1beta1_made_is_seen_by_v1_and_changed_by_both() {
    let fixture = Fixture::new();
    let settings = json!({
        "registry_image": "nginx:1.29", "memory_limit": 256, "cpu_limit": 140, "local_storage_limit": 500,
        "http_option": "redirected", "max_concurrency": 10, "port": 80, "privacy": "unknown_privacy",
        "health_check": {"failure_threshold": 0, "interval": "5.000000000s", "tcp": {}}, "tags": null,
    });
    let made = old_container(&fixture, settings).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let (path, new) = (item(&old("containers"), &made.body), item(CONTAINERS, &made.body));
    let seen = fixture.get(&new).await.body;
    let expected = json!({
        "image": "nginx:1.29", "memory_limit_bytes": 256_000_000, "mvcpu_limit": 140, "privacy": "public",
        "local_storage_limit_bytes": 500_000_000, "https_connections_only": true, "port": 80, "tags": [],
        "scaling_option": {"concurrent_requests_threshold": 10}, "timeout": "300s", "max_scale": 5,
        "liveness_probe": {"failure_threshold": 30, "interval": "5s", "timeout": "1s", "tcp": {}},
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&seen[field], value, "{field}");
    }
    assert!(!keys(&seen).contains(&"ready_at") && !keys(&seen).contains(&"registry_image"), "{seen}");
    let changed = patch(&fixture, &new, json!({"memory_limit_bytes": 1_000_000_000, "image": "nginx:2"})).await;
    assert_eq!(changed["memory_limit_bytes"], 1_000_000_000);
    let seen = fixture.get(&path).await.body;
    assert_eq!((&seen["memory_limit"], &seen["registry_image"]), (&json!(1000), &json!("nginx:2")));
    assert_eq!((&seen["port"], &seen["http_option"]), (&json!(80), &json!("redirected")));
    let changed = patch(&fixture, &path, json!({"http_option": "enabled", "memory_limit": 2048})).await;
    assert_eq!((&changed["http_option"], &changed["max_concurrency"]), (&json!("enabled"), &json!(10)));
    let seen = fixture.get(&new).await.body;
    assert_eq!((&seen["https_connections_only"], &seen["memory_limit_bytes"]), (&json!(false), &json!(2_048_000_000)));
    let deleted = fixture.send("DELETE", &new, Value::Null).await;
    assert_eq!((deleted.status, fixture.get(&path).await.status), (200, 404));
}

#[tokio::test]
async fn a_namespace_is_the_same_to_both_and_has_a_registry_to_the_one_that_made_it() {
    let fixture = Fixture::new();
    let made =
        fixture.post(&old("namespaces"), json!({"name": "My shop!", "project_id": fixture.organization.id})).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let endpoint = made.body["registry_endpoint"].as_str().unwrap();
    assert!(endpoint.starts_with("rg.fr-par.scw.cloud/funcscwmyshop"), "{endpoint}");
    assert!(made.body["registry_namespace_id"].as_str().is_some_and(|id| id.len() == 36));
    assert_eq!(made.body["vpc_integration_activated"], false);
    let seen = fixture.get(&item(NAMESPACES, &made.body)).await.body;
    assert_eq!((&seen["name"], seen.get("registry_endpoint")), (&json!("My shop!"), None));
    let body = json!({"namespace_id": made.body["id"], "name": "web"});
    let in_it = fixture.post(&old("containers"), body).await.body;
    assert_eq!(in_it["registry_image"], format!("{endpoint}/web:latest"));
    let host = format!("{}-web.functions.fnc.fr-par.scw.cloud", endpoint.rsplit_once("funcscw").unwrap().1);
    assert_eq!(in_it["domain_name"], host);

    let of_v1 = namespace(&fixture).await;
    let seen = fixture.get(&format!("{}/{of_v1}", old("namespaces"))).await.body;
    assert_eq!((&seen["registry_endpoint"], &seen["error_message"]), (&json!(""), &Value::Null));
    assert_eq!((&seen["project_id"], &seen["status"]), (&json!(fixture.organization.id), &json!("ready")));
    let unnamed = json!({"namespace_id": of_v1, "name": "web"});
    assert_eq!(faulty(&fixture.post(&old("containers"), unnamed).await), ["registry_image"]);

    // Recorded: unlike v1's, the list is asked for by name.
    let named = fixture.get(&format!("{}?name=shop!", old("namespaces"))).await.body;
    assert_eq!((&named["namespaces"][0]["id"], &named["total_count"]), (&made.body["id"], &json!(1)));
    let path = format!("{}/{of_v1}", old("namespaces"));
    patch(&fixture, &path, json!({"environment_variables": {"A": "b"}, "description": "changed"})).await;
    let seen = fixture.get(&format!("{NAMESPACES}/{of_v1}")).await.body;
    assert_eq!((&seen["environment_variables"], &seen["description"]), (&json!({"A": "b"}), &json!("changed")));
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.body["status"], "deleting");
    assert_eq!(fixture.get(&format!("{NAMESPACES}/{of_v1}")).await.status, 404);
}

#[tokio::test]
async fn a_container_waits_for_its_first_deployment() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let made = fixture.post(&old("namespaces"), json!({"name": "shop"})).await.body;
    assert_eq!((&made["status"], &made["registry_endpoint"]), (&json!("pending"), &json!("")));
    advance(&fixture, 5);
    let body = with(json!({"namespace_id": made["id"]}), json!({"registry_image": "nginx"}));
    let made = fixture.post(&old("containers"), body).await.body;
    let (path, new) = (item(&old("containers"), &made), item(CONTAINERS, &made));
    advance(&fixture, 100);
    let status = async |path: &str| fixture.get(path).await.body["status"].clone();
    assert_eq!((&made["status"], status(&path).await), (&json!("created"), json!("created")));
    assert_eq!(made["ready_at"], Value::Null);
    let deployed = fixture.post(&format!("{path}/deploy"), json!({})).await;
    assert_eq!((deployed.status, &deployed.body["status"]), (200, &json!("pending")));
    assert_eq!((status(&path).await, status(&new).await), (json!("pending"), json!("creating")));
    let again = fixture.post(&format!("{path}/deploy"), json!({})).await;
    let told = (again.status, &again.body["type"], &again.body["current_state"]);
    assert_eq!(told, (409, &json!("transient_state"), &json!("pending")));
    advance(&fixture, 20);
    assert_eq!((status(&path).await, status(&new).await), (json!("ready"), json!("ready")));
    let first = fixture.get(&path).await.body["ready_at"].clone();
    let changed = patch(&fixture, &path, json!({"description": "nothing is deployed for it"})).await;
    assert_eq!(changed["status"], "ready");
    for change in [json!({"redeploy": true}), json!({"port": 81})] {
        assert_eq!(patch(&fixture, &path, change).await["status"], "pending");
        assert_eq!((status(&path).await, status(&new).await), (json!("pending"), json!("updating")));
        advance(&fixture, 20);
    }
    assert_ne!(fixture.get(&path).await.body["ready_at"], first);
    let again = fixture.post(&format!("{path}/deploy"), json!({})).await.body;
    assert_eq!((&again["status"], status(&new).await), (&json!("pending"), json!("updating")));
}

#[tokio::test]
async fn a_domain_is_the_same_to_both() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let namespace = fixture.make(NAMESPACES, json!({"name": "n"})).await;
    advance(&fixture, 5);
    let made = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), json!({}))).await.body;
    advance(&fixture, 20);
    let body = json!({"container_id": made["id"], "hostname": "shop.example.com"});
    let domain = fixture.post(&old("domains"), body).await.body;
    let keyed = ["container_id", "error_message", "hostname", "id", "status", "url"];
    assert_eq!((keys(&domain), &domain["url"]), (keyed.to_vec(), &json!("")));
    assert_eq!(domain["status"], "pending");
    advance(&fixture, 20);
    let seen = fixture.get(&item(&old("domains"), &domain)).await.body;
    assert_eq!((&seen["url"], &seen["status"]), (&json!("https://shop.example.com"), &json!("ready")));
    assert_eq!(fixture.get(&item(DOMAINS, &domain)).await.body["hostname"], "shop.example.com");
    let query = format!("{}?container_id={}", old("domains"), made["id"].as_str().unwrap());
    assert_eq!(fixture.get(&query).await.body["total_count"], 1);
    assert_eq!(fixture.get(&query.replace("container_id=", "container_id=x")).await.body["total_count"], 0);
    assert_eq!(fixture.send("DELETE", &item(DOMAINS, &domain), Value::Null).await.status, 200);
    advance(&fixture, 5);
    assert_eq!(fixture.get(&item(&old("domains"), &domain)).await.status, 404);
}

#[tokio::test]
async fn the_audit_trail_tells_of_the_version_that_was_asked() {
    let fixture = Fixture::new();
    let made = old_container(
        &fixture,
        json!({"registry_image": "nginx", "secret_environment_variables": [{"key": "K", "value": "plain"}]}),
    )
    .await
    .body;
    fixture.post(&format!("{}/deploy", item(&old("containers"), &made)), json!({})).await;
    let query = format!("resource_id={}&order_by=recorded_at_asc", made["id"].as_str().unwrap());
    let told = fixture.get(&format!("/audit-trail/v1alpha1/regions/fr-par/events?{query}")).await.body;
    let of = |field: &str| -> Vec<Value> {
        told["events"].as_array().unwrap().iter().map(|event| event[field].clone()).collect()
    };
    assert_eq!(of("method_name"), ["CreateContainer", "DeployContainer"]);
    assert_eq!(of("service_name"), ["scaleway.containers.v1beta1.Api", "scaleway.containers.v1beta1.Api"]);
    assert!(!told.to_string().contains("plain"), "{told}");
}

#[tokio::test]
async fn a_poll_in_vain_is_one_in_both_versions() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let namespace = fixture.post(&old("namespaces"), json!({"name": "shop"})).await.body;
    let poll = async |collection: String| {
        let path = item(&collection, &namespace);
        let request = Request::get(path).header("x-auth-token", &fixture.organization.secret_key);
        let answer = fixture.api.handle(request.body(Body::empty()).unwrap()).await;
        let outcome = answer.extensions().get::<Outcome>().unwrap();
        (outcome.kind, outcome.not_ready)
    };
    for (waited, in_vain) in [(0, true), (5, false)] {
        advance(&fixture, waited);
        for collection in [NAMESPACES.to_owned(), old("namespaces")] {
            assert_eq!(poll(collection).await, ("containers.namespace", in_vain));
        }
    }
}

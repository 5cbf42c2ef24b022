//! API v1beta1: what may be said, by whom, and how it is refused.

use argon2::{
    Argon2,
    password_hash::{PasswordVerifier, phc::PasswordHash},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fixture::{CONTAINERS, NAMESPACES, item, namespace, patch},
    support::{Fixture, faulty},
    v1beta1::{old, old_container},
};

#[rstest]
#[case::memory(json!({"memory_limit": 64}), "memory_limit")]
#[case::processor(json!({"cpu_limit": 7000}), "cpu_limit")]
#[case::storage(json!({"local_storage_limit": 25_000}), "local_storage_limit")]
#[case::time(json!({"timeout": "2h"}), "timeout")]
#[case::option(json!({"http_option": "off"}), "http_option")]
#[case::image(json!({"registry_image": 1}), "registry_image")]
#[case::concurrency(json!({"max_concurrency": 81}), "max_concurrency")]
#[case::scaling(json!({"scaling_option": {"cpu_usage_threshold": 1, "memory_usage_threshold": 1}}), "scaling_option")]
#[case::scale(json!({"min_scale": 7}), "min_scale")]
#[case::no_way_to_ask(json!({"health_check": {"interval": "1s"}}), "health_check")]
#[case::two_ways_to_ask(json!({"health_check": {"tcp": {}, "http": {"path": "/"}}}), "health_check")]
#[case::path(json!({"health_check": {"http": {"path": "up"}}}), "health_check.http.path")]
#[case::secret(json!({"secret_environment_variables": [{"key": "1A", "value": "x"}]}), "secret_environment_variables.0.key")]
#[case::map(json!({"secret_environment_variables": {"A": "x"}}), "secret_environment_variables")]
#[case::network(json!({"private_network_id": "mine"}), "private_network_id")]
#[tokio::test]
async fn what_is_wrong_is_named_in_its_own_words(#[case] settings: Value, #[case] field: &str) {
    let fixture = Fixture::new();
    let refused = old_container(&fixture, settings).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec![field.to_owned()]), "{}", refused.body);
    assert!(!refused.body.to_string().contains("bytes"), "{}", refused.body);
    assert_eq!(fixture.get(CONTAINERS).await.body["total_count"], 0);
}

#[tokio::test]
async fn what_is_fixed_or_out_of_its_bounds_is_refused_in_a_change_too() {
    let fixture = Fixture::new();
    let made = old_container(&fixture, json!({})).await.body;
    let path = item(&old("containers"), &made);
    for (change, field) in [
        (json!({"name": "other"}), "name"),
        (json!({"memory_limit": 1}), "memory_limit"),
        (json!({"max_scale": 0}), "max_scale"),
        (json!({"scaling_option": {"cpu_usage_threshold": 0}}), "scaling_option.cpu_usage_threshold"),
    ] {
        assert_eq!(faulty(&fixture.send("PATCH", &path, change).await), [field]);
    }
    let kept = patch(&fixture, &path, json!({"registry_image": "", "sandbox": "unknown_sandbox"})).await;
    assert_eq!((&kept["registry_image"], &kept["sandbox"]), (&made["registry_image"], &json!("v2")));
    let scaled = patch(&fixture, &path, json!({"scaling_option": {"cpu_usage_threshold": 70}})).await;
    assert_eq!(
        (&scaled["scaling_option"], &scaled["max_concurrency"]),
        (&json!({"cpu_usage_threshold": 70}), &json!(80))
    );
    let asked = patch(&fixture, &path, json!({"health_check": {"failure_threshold": 0, "interval": "7s"}})).await;
    assert_eq!(asked["health_check"], json!({"failure_threshold": 30, "interval": "7s", "tcp": {}}));
}

fn matches(secrets: &Value, key: &str, value: &str) -> bool {
    let hash = secrets.as_array().unwrap().iter().find(|secret| secret["key"] == key).unwrap()["hashed_value"].clone();
    let hash = PasswordHash::new(hash.as_str().unwrap()).unwrap();
    Argon2::default().verify_password(value.as_bytes(), &hash).is_ok()
}

#[rstest]
#[case::namespace("namespaces", NAMESPACES)]
#[case::container("containers", CONTAINERS)]
#[tokio::test]
async fn a_change_names_the_secrets_that_change(#[case] collection: &str, #[case] new: &str) {
    const SECRETS: &str = "secret_environment_variables";
    let fixture = Fixture::new();
    let all = json!([{"key": "A", "value": "one"}, {"key": "B", "value": "two"}, {"key": "C", "value": "three"}]);
    let made = if collection == "namespaces" {
        fixture.post(&old("namespaces"), json!({"name": "n", SECRETS: all})).await.body
    } else {
        old_container(&fixture, json!({ SECRETS: all })).await.body
    };
    let path = item(&old(collection), &made);
    assert!(matches(&made[SECRETS], "A", "one") && !made.to_string().contains("\"one\""), "{made}");
    let change = json!([{"key": "A"}, {"key": "B", "value": ""}, {"key": "D", "value": "four"}]);
    let changed = patch(&fixture, &path, json!({ SECRETS: change })).await[SECRETS].clone();
    let keys: Vec<&str> = changed.as_array().unwrap().iter().map(|secret| secret["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["B", "C", "D"]);
    assert!(matches(&changed, "B", "") && matches(&changed, "C", "three") && matches(&changed, "D", "four"));
    assert_eq!(patch(&fixture, &path, json!({ SECRETS: [] })).await[SECRETS], changed);
    let seen = fixture.get(&item(new, &made)).await.body[SECRETS].clone();
    assert_eq!(seen["C"], changed[1]["hashed_value"]);
    // v1 names all of them: those it leaves out go.
    patch(&fixture, &item(new, &made), json!({ SECRETS: {"C": ""} })).await;
    let seen = fixture.get(&path).await.body[SECRETS].clone();
    assert_eq!(seen, json!([{"key": "C", "hashed_value": changed[1]["hashed_value"]}]));
}

#[tokio::test]
async fn the_same_rights_open_both_versions() {
    let fixture = Fixture::new();
    let project = fixture.make("/account/v3/projects", json!({"name": "mine"})).await;
    let mine = fixture.make(NAMESPACES, json!({"name": "mine", "project_id": project})).await;
    let theirs = namespace(&fixture).await;
    let key = async |set: &str| {
        let application = fixture.make("/iam/v1alpha1/applications", json!({"name": set})).await;
        let rule = json!({"permission_set_names": [set], "project_ids": [project]});
        let policy = json!({"name": set, "application_id": application, "rules": [rule]});
        fixture.make("/iam/v1alpha1/policies", policy).await;
        let key = fixture.post("/iam/v1alpha1/api-keys", json!({"application_id": application})).await.body;
        key["secret_key"].as_str().unwrap().to_owned()
    };
    let (reader, writer, stranger) =
        (key("ContainersReadOnly").await, key("ContainersFullAccess").await, key("FunctionsFullAccess").await);
    let send = async |method: &str, path: &str, key: &str, body: Value| {
        fixture.send_raw(method, path, key, body.to_string().into_bytes()).await.status
    };
    let body = |namespace: &str| json!({"namespace_id": namespace, "name": "web", "registry_image": "nginx"});
    let all = old("containers");
    assert_eq!(send("POST", &all, &reader, body(&mine)).await, 403);
    assert_eq!(send("POST", &all, &writer, body(&theirs)).await, 403);
    assert_eq!(send("POST", &all, &writer, body(&mine)).await, 200);
    let made = fixture.get(&all).await.body["containers"][0].clone();
    let path = item(&all, &made);
    assert_eq!(send("GET", &path, &reader, Value::Null).await, 200);
    assert_eq!(send("GET", &path, &stranger, Value::Null).await, 403);
    assert_eq!(send("GET", &all, &stranger, Value::Null).await, 403);
    assert_eq!(send("PATCH", &path, &reader, json!({})).await, 403);
    assert_eq!(send("POST", &format!("{path}/deploy"), &reader, json!({})).await, 403);
    assert_eq!(send("POST", &format!("{path}/deploy"), &writer, json!({})).await, 200);
    assert_eq!(send("DELETE", &format!("{}/{theirs}", old("namespaces")), &writer, Value::Null).await, 403);
    assert_eq!(send("DELETE", &path, &writer, Value::Null).await, 200);
}

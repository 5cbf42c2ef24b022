//! Serverless Containers as clients meet them.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use std::time::Duration;

use argon2::{
    Argon2,
    password_hash::{PasswordVerifier, phc::PasswordHash},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rstest::rstest;
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Fixture, faulty};

const NAMESPACES: &str = "/containers/v1/regions/fr-par/namespaces";
const CONTAINERS: &str = "/containers/v1/regions/fr-par/containers";
const DOMAINS: &str = "/containers/v1/regions/fr-par/domains";
const TRIGGERS: &str = "/containers/v1/regions/fr-par/triggers";
const TOKENS: &str = "/containers/v1beta1/regions/fr-par/tokens";
const NETWORKS: &str = "/vpc/v2/regions/fr-par/private-networks";
const IPS: &str = "/ipam/v1/regions/fr-par/ips";

async fn namespace(fixture: &Fixture) -> String {
    fixture.make(NAMESPACES, json!({"name": "shop"})).await
}

/// A container with these settings.
async fn container(fixture: &Fixture, settings: Value) -> Value {
    let namespace = namespace(fixture).await;
    let answer = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), settings)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The least a container needs, with these settings laid over it.
fn with(more: Value, settings: Value) -> Value {
    let mut body = json!({"name": "web", "image": "nginx:alpine"});
    for layer in [more, settings] {
        body.as_object_mut().unwrap().extend(layer.as_object().unwrap().clone());
    }
    body
}

fn item(collection: &str, body: &Value) -> String {
    format!("{collection}/{}", body["id"].as_str().unwrap())
}

async fn patch(fixture: &Fixture, path: &str, body: Value) -> Value {
    let answer = fixture.send("PATCH", path, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn advance(fixture: &Fixture, seconds: u64) {
    fixture.cloud.store().clock().advance(Duration::from_secs(seconds));
    fixture.cloud.settle().unwrap();
}

fn is_hash_of(hash: &Value, value: &str) -> bool {
    let hash = PasswordHash::new(hash.as_str().unwrap()).unwrap();
    Argon2::default().verify_password(value.as_bytes(), &hash).is_ok()
}

#[tokio::test]
async fn a_container_has_the_recorded_defaults() {
    let fixture = Fixture::new();
    let mut made = container(&fixture, json!({})).await;
    for unforeseen in ["id", "namespace_id", "created_at", "updated_at", "public_endpoint"] {
        assert!(made.as_object_mut().unwrap().remove(unforeseen).unwrap().is_string(), "{unforeseen}");
    }
    let expected = json!({
        "name": "web", "image": "nginx:alpine", "description": "", "tags": [], "status": "ready", "error_message": "",
        "min_scale": 0, "max_scale": 5, "memory_limit_bytes": 2_048_000_000_u64, "mvcpu_limit": 1000,
        "local_storage_limit_bytes": 1_000_000_000, "timeout": "300s", "privacy": "public", "protocol": "http1",
        "port": 8080, "https_connections_only": false, "sandbox": "v2", "command": [], "args": [],
        "scaling_option": {"concurrent_requests_threshold": 50}, "startup_probe": null,
        "liveness_probe": {"failure_threshold": 30, "interval": "10s", "timeout": "1s", "tcp": {}},
        "environment_variables": {}, "secret_environment_variables": {}, "region": "fr-par",
    });
    assert_eq!(made, expected);
}

#[rstest]
#[case::short("tf-acctest-basic", "tfacctestbasic")]
#[case::cut_at_twenty("tf-acctest-private-network", "tfacctestprivatenetw")]
#[case::upper_case("My_Shop.2", "myshop2")]
#[tokio::test]
async fn an_endpoint_is_made_of_the_namespace_s_name_and_identifier(#[case] name: &str, #[case] start: &str) {
    let fixture = Fixture::new();
    let namespace = fixture.make(NAMESPACES, json!({"name": name})).await;
    let made = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), json!({"name": "web-1"}))).await.body;
    let expected = format!("https://{start}{}-web-1.functions.fnc.fr-par.scw.cloud", &namespace[..8]);
    assert_eq!(made["public_endpoint"], expected);
}

#[rstest]
#[case::name_in_upper_case(json!({"name": "Web"}), "name")]
#[case::name_ends_with_a_dash(json!({"name": "web-"}), "name")]
#[case::name_fills_more_than_a_label(json!({"name": "w".repeat(35)}), "name")]
#[case::too_little_memory(json!({"memory_limit_bytes": 127_999_999}), "memory_limit_bytes")]
#[case::too_much_memory(json!({"memory_limit_bytes": 12_228_000_001_u64}), "memory_limit_bytes")]
#[case::too_little_cpu(json!({"mvcpu_limit": 69}), "mvcpu_limit")]
#[case::too_much_cpu(json!({"mvcpu_limit": 6001}), "mvcpu_limit")]
#[case::too_much_storage(json!({"local_storage_limit_bytes": 25_165_824_001_u64}), "local_storage_limit_bytes")]
#[case::scale_too_large(json!({"max_scale": 51}), "max_scale")]
#[case::scale_of_nothing(json!({"max_scale": 0}), "max_scale")]
#[case::scale_upside_down(json!({"min_scale": 3, "max_scale": 2}), "min_scale")]
#[case::min_scale_above_the_default(json!({"min_scale": 6}), "min_scale")]
#[case::no_port(json!({"port": 0}), "port")]
#[case::port_too_large(json!({"port": 65_536}), "port")]
#[case::port_taken(json!({"port": 9090}), "port")]
#[case::timeout_too_short(json!({"timeout": "9.999s"}), "timeout")]
#[case::timeout_too_long(json!({"timeout": "3601s"}), "timeout")]
#[case::timeout_without_unit(json!({"timeout": "300"}), "timeout")]
#[case::no_such_privacy(json!({"privacy": "secret"}), "privacy")]
#[case::no_such_protocol(json!({"protocol": "h3"}), "protocol")]
#[case::no_such_sandbox(json!({"sandbox": "v3"}), "sandbox")]
#[case::two_thresholds(json!({"scaling_option": {"cpu_usage_threshold": 5, "memory_usage_threshold": 5}}), "scaling_option")]
#[case::too_many_requests(json!({"scaling_option": {"concurrent_requests_threshold": 81}}), "scaling_option.concurrent_requests_threshold")]
#[case::more_than_all_cpu(json!({"scaling_option": {"cpu_usage_threshold": 101}}), "scaling_option.cpu_usage_threshold")]
#[case::probe_without_a_way(json!({"liveness_probe": {"interval": "5s"}}), "liveness_probe")]
#[case::probe_of_two_ways(json!({"startup_probe": {"tcp": {}, "http": {"path": "/"}}}), "startup_probe")]
#[case::probe_without_slash(json!({"startup_probe": {"http": {"path": "up"}}}), "startup_probe.http.path")]
#[case::probe_all_the_time(json!({"liveness_probe": {"tcp": {}, "interval": "0s"}}), "liveness_probe.interval")]
#[case::variable_with_a_space(json!({"environment_variables": {"A B": "x"}}), "environment_variables")]
#[case::variable_starts_with_a_digit(json!({"environment_variables": {"1ST": "x"}}), "environment_variables")]
#[case::variable_reserved(json!({"environment_variables": {"PORT": "80"}}), "environment_variables")]
#[case::secret_reserved(json!({"secret_environment_variables": {"SCW_SECRET": "x"}}), "secret_environment_variables")]
#[case::value_too_long(json!({"environment_variables": {"A": "x".repeat(1001)}}), "environment_variables")]
#[case::secret_too_long(json!({"secret_environment_variables": {"A": "x".repeat(65_537)}}), "secret_environment_variables")]
#[tokio::test]
async fn a_container_out_of_bounds_is_refused_by_create_and_change(#[case] settings: Value, #[case] argument: &str) {
    let fixture = Fixture::new();
    let namespace = namespace(&fixture).await;
    let refused = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), settings.clone())).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec![argument.to_owned()]), "{}", refused.body);
    if settings.get("name").is_some() || argument == "liveness_probe" {
        return;
    }
    let made = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), json!({}))).await.body;
    let refused = fixture.send("PATCH", &item(CONTAINERS, &made), settings).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec![argument.to_owned()]), "{}", refused.body);
    assert_eq!(fixture.get(&item(CONTAINERS, &made)).await.body, made, "a refused change changed something");
}

#[tokio::test]
async fn too_many_variables_are_refused() {
    let fixture = Fixture::new();
    let variables = |number: usize| -> Value {
        (0..number).map(|number| (format!("V{number}"), json!(""))).collect::<serde_json::Map<_, _>>().into()
    };
    let make = async |name: &str, number| {
        fixture.post(NAMESPACES, json!({"name": name, "environment_variables": variables(number)})).await
    };
    assert_eq!(make("full", 100).await.status, 200);
    assert_eq!(faulty(&make("over", 101).await), ["environment_variables"]);
}

#[tokio::test]
async fn names_are_unique_in_their_project_and_namespace() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    assert_eq!(faulty(&fixture.post(NAMESPACES, json!({"name": "shop"})).await), ["name"]);
    let again = with(json!({"namespace_id": made["namespace_id"]}), json!({}));
    assert_eq!(faulty(&fixture.post(CONTAINERS, again.clone()).await), ["name"]);
    let other = fixture.make(NAMESPACES, json!({"name": "other"})).await;
    assert_eq!(fixture.post(CONTAINERS, with(json!({"namespace_id": other}), json!({}))).await.status, 200);
    assert_eq!(fixture.send("DELETE", &item(CONTAINERS, &made), Value::Null).await.status, 200);
    assert_eq!(fixture.post(CONTAINERS, again).await.status, 200);
}

#[rstest]
#[case::namespace(NAMESPACES)]
#[case::container(CONTAINERS)]
#[tokio::test]
async fn secret_values_are_answered_as_hashes_only(#[case] collection: &str) {
    let fixture = Fixture::new();
    let secrets = json!({"secret_environment_variables": {"API_KEY": "hunter2-plain", "OTHER": ""}});
    let made = if collection == NAMESPACES {
        fixture
            .post(
                NAMESPACES,
                json!({"name": "n", "secret_environment_variables": secrets["secret_environment_variables"]}),
            )
            .await
            .body
    } else {
        container(&fixture, secrets).await
    };
    let path = item(collection, &made);
    let shown = fixture.get(&path).await.body;
    let hash = &shown["secret_environment_variables"]["API_KEY"];
    assert!(hash.as_str().unwrap().starts_with("$argon2id$v=19$m="), "{hash}");
    assert!(is_hash_of(hash, "hunter2-plain") && !is_hash_of(hash, "hunter2"));
    assert!(is_hash_of(&shown["secret_environment_variables"]["OTHER"], ""));
    assert_eq!(shown["secret_environment_variables"], made["secret_environment_variables"], "hashed anew");
    for answer in [made, shown, fixture.get(collection).await.body] {
        assert!(!answer.to_string().contains("hunter2-plain"));
    }
    let changed = patch(&fixture, &path, json!({"secret_environment_variables": {"API_KEY": "hunter3-plain"}})).await;
    assert!(is_hash_of(&changed["secret_environment_variables"]["API_KEY"], "hunter3-plain"));
    assert!(!changed.to_string().contains("plain"));
}

/// What the provider relies on in `filterSecretEnvsToPatch`.
#[rstest]
#[case::not_said(json!({"tags": ["t"]}), &[("A", "one", true), ("B", "two", true)])]
#[case::null(json!({"secret_environment_variables": null}), &[("A", "one", true), ("B", "two", true)])]
#[case::empty_leaves_as_it_is(json!({"secret_environment_variables": {"A": "", "B": ""}}), &[("A", "one", true), ("B", "two", true)])]
#[case::missing_is_removed(json!({"secret_environment_variables": {"B": ""}}), &[("B", "two", true)])]
#[case::changed(json!({"secret_environment_variables": {"A": "", "B": "new"}}), &[("A", "one", true), ("B", "new", false)])]
#[case::renamed(json!({"secret_environment_variables": {"B": "", "C": "one"}}), &[("B", "two", true), ("C", "one", false)])]
#[case::all_removed(json!({"secret_environment_variables": {}}), &[])]
#[tokio::test]
async fn a_change_of_secrets_keeps_what_is_empty_and_drops_what_is_missing(
    #[case] change: Value,
    #[case] expected: &[(&str, &str, bool)],
) {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({"secret_environment_variables": {"A": "one", "B": "two"}})).await;
    let changed = patch(&fixture, &item(CONTAINERS, &made), change).await;
    let hashes = changed["secret_environment_variables"].as_object().unwrap();
    assert_eq!(hashes.keys().collect::<Vec<_>>(), expected.iter().map(|(name, ..)| name).collect::<Vec<_>>());
    let kept = fixture.cloud.store().read(|tables| {
        let record = tables.get("containers.container", made["id"].as_str().unwrap()).unwrap();
        record.hidden["secret_environment_variables"].clone()
    });
    assert_eq!(kept.as_object().unwrap().len(), expected.len());
    for (name, value, unchanged) in expected {
        assert!(is_hash_of(&hashes[*name], value), "{name}");
        assert_eq!(hashes[*name] == made["secret_environment_variables"][*name], *unchanged, "{name}");
        assert_eq!(kept[*name], *value, "what a data plane gets");
    }
}

/// Trap: create and answer say `https_connections_only`, a change `https_connection_only`.
#[tokio::test]
async fn https_is_required_by_another_name_in_a_change() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({"https_connections_only": true, "https_connection_only": false})).await;
    let path = item(CONTAINERS, &made);
    assert_eq!(made["https_connections_only"], true);
    assert_eq!(made.get("https_connection_only"), None);
    assert_eq!(patch(&fixture, &path, json!({"https_connections_only": false})).await["https_connections_only"], true);
    assert_eq!(patch(&fixture, &path, json!({"https_connection_only": false})).await["https_connections_only"], false);
    let untouched = patch(&fixture, &path, json!({"description": "d"})).await;
    assert_eq!((&untouched["https_connections_only"], untouched.get("https_connection_only")), (&json!(false), None));
}

/// Trap: the SDK sends unset enums as `unknown_*`, in each change.
#[tokio::test]
async fn unknown_words_and_nulls_change_nothing() {
    let fixture = Fixture::new();
    let settings = json!({"privacy": "private", "protocol": "h2c", "sandbox": "v1", "tags": ["a"], "port": 5000});
    let made = container(&fixture, settings).await;
    let sent = json!({
        "privacy": "unknown_privacy", "protocol": "unknown_protocol", "sandbox": "unknown_sandbox", "tags": null,
        "port": null, "environment_variables": null, "command": null, "liveness_probe": null,
    });
    let mut changed = patch(&fixture, &item(CONTAINERS, &made), sent.clone()).await;
    changed["updated_at"] = made["updated_at"].clone();
    assert_eq!(changed, made);
    let defaults = container_in(&fixture, &made["namespace_id"], with(json!({"name": "other"}), sent)).await;
    assert_eq!(
        (&defaults["privacy"], &defaults["protocol"], &defaults["sandbox"]),
        (&json!("public"), &json!("http1"), &json!("v2"))
    );
}

async fn container_in(fixture: &Fixture, namespace: &Value, mut body: Value) -> Value {
    body["namespace_id"] = namespace.clone();
    body["name"] = json!("other");
    let answer = fixture.post(CONTAINERS, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn probes_and_thresholds_show_only_what_was_chosen() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({"timeout": "360.000000000s"})).await;
    assert_eq!(made["timeout"], "360s");
    let path = item(CONTAINERS, &made);
    let change = json!({
        "liveness_probe": {"failure_threshold": 40, "interval": "12.000000000s", "timeout": "1.000000000s", "http": {"path": "/up"}},
        "startup_probe": {"failure_threshold": null, "interval": "2s", "timeout": null, "tcp": {}},
        "scaling_option": {"cpu_usage_threshold": 72},
    });
    let changed = patch(&fixture, &path, change).await;
    let expected = json!({"failure_threshold": 40, "interval": "12s", "timeout": "1s", "http": {"path": "/up"}});
    assert_eq!(changed["liveness_probe"], expected);
    let expected = json!({"failure_threshold": 30, "interval": "2s", "timeout": "1s", "tcp": {}});
    assert_eq!(changed["startup_probe"], expected);
    assert_eq!(changed["scaling_option"], json!({"cpu_usage_threshold": 72}));
    let changed = patch(&fixture, &path, json!({"startup_probe": {"interval": "3s"}, "scaling_option": {}})).await;
    let expected = json!({"failure_threshold": 30, "interval": "3s", "timeout": "1s", "tcp": {}});
    assert_eq!(changed["startup_probe"], expected);
    assert_eq!(changed["scaling_option"], json!({"cpu_usage_threshold": 72}));
}

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

#[tokio::test]
async fn lists_are_asked_for_by_project_namespace_and_container() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let project = fixture.make("/account/v3/projects", json!({"name": "other"})).await;
    let elsewhere = fixture.make(NAMESPACES, json!({"name": "elsewhere", "project_id": project})).await;
    let other = fixture.post(CONTAINERS, with(json!({"namespace_id": elsewhere}), json!({"name": "api"}))).await.body;
    for (container, hostname) in [(&made, "one.example.com"), (&other, "two.example.com")] {
        let id = &container["id"];
        fixture.make(DOMAINS, json!({"container_id": id, "hostname": hostname})).await;
        let cron = json!({"schedule": "@daily", "timezone": "UTC"});
        fixture.make(TRIGGERS, json!({"container_id": id, "name": "t", "cron_config": cron})).await;
        assert_eq!(fixture.post(TOKENS, json!({"container_id": id})).await.status, 200);
    }
    let count =
        async |path: &str, query: String| fixture.get(&format!("{path}?{query}")).await.body["total_count"].clone();
    let (namespace, id) = (made["namespace_id"].as_str().unwrap(), made["id"].as_str().unwrap());
    for path in [CONTAINERS, DOMAINS, TRIGGERS, TOKENS] {
        assert_eq!(count(path, String::new()).await, 2, "{path}");
        assert_eq!(count(path, format!("project_id={project}")).await, 1, "{path}");
        assert_eq!(count(path, format!("project_id={namespace}")).await, 0, "{path}");
        if path != TOKENS {
            assert_eq!(count(path, format!("namespace_id={namespace}")).await, 1, "{path}");
        }
        if path != CONTAINERS {
            assert_eq!(count(path, format!("container_id={id}")).await, 1, "{path}");
        }
    }
    assert_eq!(count(CONTAINERS, "name=api".into()).await, 1);
    // Recorded: namespaces are not told apart by name.
    assert_eq!(count(NAMESPACES, "name=nothing-like-it".into()).await, 2);
    assert_eq!(count(TRIGGERS, "trigger_type=unknown_source_type".into()).await, 2);
    assert_eq!(count(TRIGGERS, "trigger_type=sqs".into()).await, 0);
    let domains = fixture.get(&format!("{DOMAINS}?order_by=hostname_desc")).await.body;
    assert_eq!(domains["domains"][0]["hostname"], "two.example.com");
}

#[tokio::test]
async fn a_right_in_the_namespace_s_project_is_a_right_to_its_containers() {
    let fixture = Fixture::new();
    let project = fixture.make("/account/v3/projects", json!({"name": "mine"})).await;
    let mine = fixture.make(NAMESPACES, json!({"name": "mine", "project_id": project})).await;
    let theirs = namespace(&fixture).await;
    let application = fixture.make("/iam/v1alpha1/applications", json!({"name": "app"})).await;
    let rule = json!({"permission_set_names": ["ContainersFullAccess"], "project_ids": [project]});
    fixture.make("/iam/v1alpha1/policies", json!({"name": "p", "application_id": application, "rules": [rule]})).await;
    let key = fixture.post("/iam/v1alpha1/api-keys", json!({"application_id": application})).await.body;
    let key = key["secret_key"].as_str().unwrap().to_owned();
    let post =
        async |path: &str, body: Value| fixture.send_raw("POST", path, &key, body.to_string().into_bytes()).await;
    let made = post(CONTAINERS, with(json!({"namespace_id": mine}), json!({}))).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(post(TOKENS, json!({"container_id": made.body["id"]})).await.status, 200);
    assert_eq!(post(TOKENS, json!({"namespace_id": mine})).await.status, 200);
    for (path, body) in
        [(CONTAINERS, with(json!({"namespace_id": theirs}), json!({}))), (TOKENS, json!({"namespace_id": theirs}))]
    {
        let refused = post(path, body).await;
        assert_eq!((refused.status, &refused.body["type"]), (403, &json!("permissions_denied")));
    }
}

#[tokio::test]
async fn an_organisation_s_containers_have_their_memory_in_common() {
    let fixture = Fixture::new();
    let namespace = namespace(&fixture).await;
    let make = async |name: String| {
        let large = json!({"name": name, "memory_limit_bytes": 12_000_000_000_u64, "max_scale": 50});
        fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), large)).await
    };
    let first = make("first".into()).await;
    assert_eq!(first.status, 200);
    let refused = make("second".into()).await;
    assert_eq!((refused.status, &refused.body["type"]), (403, &json!("quotas_exceeded")));
    fixture.send("DELETE", &item(CONTAINERS, &first.body), Value::Null).await;
    assert_eq!(make("second".into()).await.status, 200);
}

mod domains {
    use super::*;

    #[tokio::test]
    async fn a_domain_tells_no_region_and_leads_to_one_container() {
        let fixture = Fixture::new();
        let made = container(&fixture, json!({})).await;
        let body = json!({"container_id": made["id"], "hostname": "shop.example.com", "tags": null});
        let domain = fixture.post(DOMAINS, body.clone()).await.body;
        let mut fields: Vec<&String> = domain.as_object().unwrap().keys().collect();
        fields.sort();
        let expected =
            ["container_id", "created_at", "error_message", "hostname", "id", "status", "tags", "updated_at"];
        assert_eq!(fields, expected);
        assert_eq!(faulty(&fixture.post(DOMAINS, body).await), ["hostname"]);
        assert_eq!(patch(&fixture, &item(DOMAINS, &domain), json!({"tags": ["t"]})).await["tags"], json!(["t"]));
        assert_eq!(fixture.send("DELETE", &item(CONTAINERS, &made), Value::Null).await.status, 200);
        let gone = fixture.get(&item(DOMAINS, &domain)).await;
        assert_eq!((gone.status, &gone.body["resource"]), (404, &json!("domain")));
    }

    #[rstest]
    #[case("localhost")]
    #[case("shop..example.com")]
    #[case("-shop.example.com")]
    #[case("shop.example.com/path")]
    #[case("*.example.com")]
    #[tokio::test]
    async fn a_domain_is_a_host_name(#[case] hostname: &str) {
        let fixture = Fixture::new();
        let made = container(&fixture, json!({})).await;
        let refused = fixture.post(DOMAINS, json!({"container_id": made["id"], "hostname": hostname})).await;
        assert_eq!((refused.status, faulty(&refused)), (400, vec!["hostname".to_owned()]));
    }
}

mod triggers {
    use super::*;

    fn cron() -> Value {
        json!({"cron_config": {"schedule": "5 4 * * *", "timezone": "Europe/Paris", "body": "{}", "headers": {"X-A": "1"}}})
    }

    fn sqs() -> Value {
        json!({"sqs_config": {
            "region": "fr-par", "endpoint": "https://sqs.mnq.fr-par.scaleway.com", "queue_url": "https://sqs.mnq.fr-par.scaleway.com/p/Queue",
            "access_key_id": "access", "secret_access_key": "sqs-plain",
        }})
    }

    fn nats() -> Value {
        json!({"nats_config": {
            "server_urls": ["nats://nats.mnq.fr-par.scaleway.com:4222"], "subject": "Subject",
            "credentials_file_content": "nats-plain",
        }})
    }

    /// A trigger with these settings, of a container of its own.
    async fn trigger(fixture: &Fixture, settings: Value) -> support::Answer {
        let made = container(fixture, json!({})).await;
        let mut body = json!({"container_id": made["id"], "name": "t", "tags": null});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        fixture.post(TRIGGERS, body).await
    }

    #[rstest]
    #[case::cron(cron(), "cron", cron())]
    #[case::sqs(sqs(), "sqs", sqs())]
    #[case::nats(nats(), "nats", nats())]
    #[tokio::test]
    async fn a_trigger_shows_its_source_without_credentials(
        #[case] settings: Value,
        #[case] source: &str,
        #[case] mut expected: Value,
    ) {
        let fixture = Fixture::new();
        let made = trigger(&fixture, settings).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let (field, expected) = expected.as_object_mut().unwrap().iter_mut().next().unwrap();
        for secret in ["secret_access_key", "credentials_file_content"] {
            expected.as_object_mut().unwrap().remove(secret);
        }
        let shown = fixture.get(&item(TRIGGERS, &made.body)).await.body;
        assert_eq!((&shown["source_type"], &shown[field]), (&json!(source), &*expected));
        assert_eq!(shown["destination_config"], json!({"http_path": "/", "http_method": "post"}));
        let others = ["cron_config", "sqs_config", "nats_config"].into_iter().filter(|other| other != field);
        assert_eq!(others.filter_map(|other| shown.get(other)).count(), 0);
        for answer in [shown, made.body, fixture.get(TRIGGERS).await.body] {
            assert!(!answer.to_string().contains("-plain"), "{answer}");
        }
    }

    /// Trap: `container_cron` reads `cron_config` and `destination_config` without asking whether they are there.
    #[tokio::test]
    async fn a_change_leaves_what_it_does_not_say() {
        let fixture = Fixture::with(services::products(), Profile::Manual);
        let namespace = namespace(&fixture).await;
        advance(&fixture, 5);
        let made = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), json!({}))).await.body;
        let mut body = cron();
        body.as_object_mut()
            .unwrap()
            .extend(json!({"container_id": made["id"], "name": "t"}).as_object().unwrap().clone());
        let made = fixture.post(TRIGGERS, body).await.body;
        let path = item(TRIGGERS, &made);
        assert_eq!((&made["status"], made.get("error_message")), (&json!("creating"), None));
        advance(&fixture, 2);
        // Recorded: only the name is said, everything else is null.
        let nulls = json!({"schedule": null, "timezone": null, "body": null, "headers": null});
        let renamed = patch(&fixture, &path, json!({"name": "renamed", "cron_config": nulls})).await;
        assert_eq!((&renamed["name"], &renamed["status"]), (&json!("renamed"), &json!("ready")));
        assert_eq!(renamed["cron_config"], made["cron_config"]);
        let changed =
            json!({"cron_config": {"schedule": "*/5 * * * SUN"}, "destination_config": {"http_method": "delete"}});
        let changed = patch(&fixture, &path, changed).await;
        assert_eq!((&changed["status"], changed.get("error_message")), (&json!("updating"), None));
        let expected =
            json!({"schedule": "*/5 * * * SUN", "timezone": "Europe/Paris", "body": "{}", "headers": {"X-A": "1"}});
        assert_eq!(changed["cron_config"], expected);
        assert_eq!(changed["destination_config"], json!({"http_path": "/", "http_method": "delete"}));
        advance(&fixture, 2);
        let emptied = patch(&fixture, &path, json!({"cron_config": {"body": "", "headers": {}}})).await;
        assert_eq!((&emptied["cron_config"]["body"], &emptied["cron_config"]["headers"]), (&json!(""), &json!({})));
    }

    #[tokio::test]
    async fn new_credentials_replace_the_kept_ones() {
        let fixture = Fixture::new();
        let made = trigger(&fixture, sqs()).await.body;
        let kept = || {
            fixture.cloud.store().read(|tables| {
                tables.get("containers.trigger", made["id"].as_str().unwrap()).unwrap().hidden["sqs_config"].clone()
            })
        };
        assert_eq!(kept()["secret_access_key"], "sqs-plain");
        let change =
            json!({"sqs_config": {"region": null, "access_key_id": "other", "secret_access_key": "other-plain"}});
        let changed = patch(&fixture, &item(TRIGGERS, &made), change).await;
        assert_eq!(
            (&changed["sqs_config"]["access_key_id"], &changed["sqs_config"]["region"]),
            (&json!("other"), &json!("fr-par"))
        );
        assert!(!changed.to_string().contains("plain"));
        assert_eq!(
            (&kept()["secret_access_key"], &kept()["queue_url"]),
            (&json!("other-plain"), &made["sqs_config"]["queue_url"])
        );
    }

    #[tokio::test]
    async fn a_trigger_keeps_its_source() {
        let fixture = Fixture::new();
        let made = trigger(&fixture, cron()).await.body;
        let refused = fixture.send("PATCH", &item(TRIGGERS, &made), sqs()).await;
        assert_eq!((refused.status, faulty(&refused)), (400, vec!["sqs_config".to_owned()]));
    }

    #[rstest]
    #[case::no_source(json!({}), &["cron_config"])]
    #[case::two_sources(json!({"cron_config": cron()["cron_config"], "nats_config": nats()["nats_config"]}), &["cron_config"])]
    #[case::incomplete_schedule(json!({"cron_config": {}}), &["cron_config.schedule", "cron_config.timezone"])]
    #[case::six_fields(json!({"cron_config": {"schedule": "0 5 4 * * *", "timezone": "UTC"}}), &["cron_config.schedule"])]
    #[case::no_such_minute(json!({"cron_config": {"schedule": "61 4 * * *", "timezone": "UTC"}}), &["cron_config.schedule"])]
    #[case::no_such_zone(json!({"cron_config": {"schedule": "@daily", "timezone": "Mars/Olympus"}}), &["cron_config.timezone"])]
    #[case::incomplete_queue(json!({"sqs_config": {"endpoint": "https://sqs.example.com"}}), &["sqs_config.queue_url", "sqs_config.access_key_id", "sqs_config.secret_access_key"])]
    #[case::no_server(json!({"nats_config": {"server_urls": [], "subject": "s", "credentials_file_content": "c"}}), &["nats_config.server_urls"])]
    #[case::no_such_method(json!({"cron_config": cron()["cron_config"], "destination_config": {"http_method": "head"}}), &["destination_config.http_method"])]
    #[case::no_path(json!({"cron_config": cron()["cron_config"], "destination_config": {"http_path": "here"}}), &["destination_config.http_path"])]
    #[tokio::test]
    async fn a_trigger_out_of_bounds_is_refused(#[case] settings: Value, #[case] arguments: &[&str]) {
        let refused = trigger(&Fixture::new(), settings).await;
        assert_eq!(
            (refused.status, faulty(&refused)),
            (400, arguments.iter().map(|name| (*name).to_owned()).collect()),
            "{}",
            refused.body
        );
    }

    proptest::proptest! {
        /// The schedule's parser is somebody else's: whatever it is given, it must not panic.
        #[test]
        fn no_schedule_makes_the_cloud_fail(schedule in "([0-9*/,LW#?@A-Z +-]{0,6} ){0,5}[^ ]{0,8}") {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let answer = runtime.block_on(trigger(&Fixture::new(), json!({"cron_config": {"schedule": schedule, "timezone": "UTC"}})));
            proptest::prop_assert!(answer.status == 200 || answer.status == 400, "{} {}", answer.status, answer.body);
        }
    }
}

mod tokens {
    use super::*;

    fn parts(token: &Value) -> (String, Vec<u8>, Value, Value) {
        let token = token.as_str().unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let decoded = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        (message.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap(), decoded(header), decoded(claims))
    }

    fn verifies(pem: &Value, message: &str, signature: &[u8]) -> bool {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_str().unwrap().as_bytes()).unwrap();
        // The point is at the end of the key's description.
        let point = &key.as_ref()[key.as_ref().len() - 65..];
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), signature).is_ok()
    }

    #[tokio::test]
    async fn a_token_is_shown_once_and_verifies_with_its_public_key() {
        let fixture = Fixture::new();
        let made = container(&fixture, json!({})).await;
        let namespace = &made["namespace_id"];
        let body = json!({"namespace_id": namespace, "expires_at": "2126-05-06T16:42:11+02:00"});
        let of_namespace = fixture.post(TOKENS, body).await.body;
        let of_container = fixture.post(TOKENS, json!({"container_id": made["id"]})).await.body;
        let (message, signature, header, claims) = parts(&of_namespace["token"]);
        assert_eq!(header, json!({"alg": "ES256", "typ": "JWT"}));
        assert_eq!(claims["application_claim"], json!([{"namespace_id": namespace, "application_id": ""}]));
        assert_eq!((&claims["jti"], &claims["exp"]), (&of_namespace["id"], &json!(4_933_752_131_i64)));
        assert_eq!(
            (&claims["aud"], &claims["iss"], &claims["sub"]),
            (&json!("functions"), &json!("SCALEWAY"), &json!("token"))
        );
        assert!(verifies(&of_namespace["public_key"], &message, &signature));
        assert!(!verifies(&of_namespace["public_key"], &format!("{message}x"), &signature));
        let (.., claims) = parts(&of_container["token"]);
        assert_eq!(claims["application_claim"], json!([{"namespace_id": "", "application_id": made["id"]}]));
        assert_eq!(claims.get("exp"), None);
        assert_eq!(of_container["public_key"], of_namespace["public_key"], "a namespace has one key");
        let shown = fixture.get(&item(TOKENS, &of_namespace)).await.body;
        let expected = json!({
            "token": "<hidden>", "public_key": "", "namespace_id": namespace, "id": of_namespace["id"],
            "status": "ready", "expires_at": "2126-05-06T14:42:11Z", "description": "",
        });
        assert_eq!(shown, expected);
        let shown = fixture.get(&item(TOKENS, &of_container)).await.body;
        assert_eq!((shown.get("namespace_id"), &shown["container_id"]), (None, &made["id"]));
        assert!(!fixture.get(NAMESPACES).await.body.to_string().contains("token_key"));
    }

    #[rstest]
    #[case::container("containers", 1)]
    #[case::namespace("namespaces", 0)]
    #[tokio::test]
    async fn tokens_go_with_what_they_open(#[case] deleted: &str, #[case] left: u64) {
        let fixture = Fixture::new();
        let made = container(&fixture, json!({})).await;
        fixture.post(TOKENS, json!({"container_id": made["id"]})).await;
        fixture.post(TOKENS, json!({"namespace_id": made["namespace_id"]})).await;
        assert_eq!(fixture.get(TOKENS).await.body["total_count"], 2);
        let id = if deleted == "containers" { &made["id"] } else { &made["namespace_id"] };
        let path = format!("/containers/v1/regions/fr-par/{deleted}/{}", id.as_str().unwrap());
        assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 200);
        assert_eq!(fixture.get(TOKENS).await.body["total_count"], left);
    }

    #[rstest]
    #[case::neither(json!({}), "container_id")]
    #[case::both(json!({"namespace_id": "NAMESPACE", "container_id": "CONTAINER"}), "container_id")]
    #[case::past(json!({"namespace_id": "NAMESPACE", "expires_at": "2001-01-01T00:00:00Z"}), "expires_at")]
    #[tokio::test]
    async fn a_token_opens_one_thing_and_expires_later(#[case] mut body: Value, #[case] argument: &str) {
        let fixture = Fixture::new();
        let made = container(&fixture, json!({})).await;
        for (field, id) in [("namespace_id", &made["namespace_id"]), ("container_id", &made["id"])] {
            if let Some(value) = body.get_mut(field) {
                *value = id.clone();
            }
        }
        let refused = fixture.post(TOKENS, body).await;
        assert_eq!((refused.status, faulty(&refused)), (400, vec![argument.to_owned()]));
    }
}

//! Serverless Functions as clients meet them.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use std::{sync::Arc, time::Duration};

use argon2::{Argon2, PasswordVerifier, password_hash::phc::PasswordHash};
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{
    identity::IamIdentity,
    kernel::{Blobs, Profile},
    object::ObjectStorage,
    services,
};
use support::{Answer, Fixture, faulty};

const NAMESPACES: &str = "/functions/v1beta1/regions/fr-par/namespaces";
const FUNCTIONS: &str = "/functions/v1beta1/regions/fr-par/functions";
const CRONS: &str = "/functions/v1beta1/regions/fr-par/crons";
const DOMAINS: &str = "/functions/v1beta1/regions/fr-par/domains";
const TOKENS: &str = "/functions/v1beta1/regions/fr-par/tokens";
const TRIGGERS: &str = "/functions/v1beta1/regions/fr-par/triggers";

async fn ask(fixture: &Fixture, settings: Value) -> Answer {
    let namespace = match fixture.get(NAMESPACES).await.body["namespaces"][0]["id"].as_str() {
        Some(namespace) => namespace.to_owned(),
        None => fixture.make(NAMESPACES, json!({"name": "My shop, the first one"})).await,
    };
    let mut body = json!({"namespace_id": namespace, "name": "resize", "runtime": "go126", "handler": "Handle"});
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    fixture.post(FUNCTIONS, body).await
}

async fn function(fixture: &Fixture, settings: Value) -> Value {
    let answer = ask(fixture, settings).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn item(collection: &str, body: &Value) -> String {
    format!("{collection}/{}", body["id"].as_str().unwrap())
}

async fn patch(fixture: &Fixture, path: &str, body: Value) -> Value {
    let answer = fixture.send("PATCH", path, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn manual() -> Fixture {
    Fixture::with(services::products(), Profile::Manual)
}

fn advance(fixture: &Fixture, seconds: u64) {
    fixture.cloud.store().clock().advance(Duration::from_secs(seconds));
    fixture.cloud.settle().unwrap();
}

/// Object Storage of the same cloud.
fn storage(fixture: &Fixture) -> ObjectStorage {
    let (store, guard) = (fixture.cloud.store(), Arc::clone(fixture.cloud.guard()));
    ObjectStorage::new(Arc::clone(store), Blobs::in_memory(), Arc::new(IamIdentity::new(Arc::clone(store), guard)))
}

/// What Object Storage answers to a request with these headers and this body.
async fn send(storage: &ObjectStorage, method: &str, told: &Value, body: &'static str) -> (u16, String) {
    let uri: http::Uri = told["url"].as_str().unwrap().parse().unwrap();
    let mut request = Request::builder().method(method).uri(uri.path_and_query().unwrap().as_str());
    request = request.header("host", uri.host().unwrap()).header("x-auth-token", "any");
    for (name, values) in told["headers"].as_object().unwrap() {
        request = request.header(name, values[0].as_str().unwrap());
    }
    let response = storage.handle(request.body(Body::from(body)).unwrap()).await;
    let status = response.status().as_u16();
    (status, String::from_utf8_lossy(&response.into_body().collect().await.unwrap().to_bytes()).into_owned())
}

#[tokio::test]
async fn a_namespace_has_its_registry_once_it_is_ready() {
    let fixture = manual();
    let made = fixture.post(NAMESPACES, json!({"name": "My shop, the first one"})).await.body;
    assert_eq!((&made["status"], &made["registry_endpoint"]), (&json!("pending"), &json!("")));
    advance(&fixture, 5);
    let ready = fixture.get(&item(NAMESPACES, &made)).await.body;
    assert_eq!(ready["status"], "ready");
    let endpoint = ready["registry_endpoint"].as_str().unwrap();
    let label = endpoint.strip_prefix("rg.fr-par.scw.cloud/funcscw").unwrap();
    assert_eq!((label.starts_with("myshopthefirstone"), label.len()), (true, 17 + 8));
    assert_ne!(ready["registry_namespace_id"], "");
    let made = function(&fixture, json!({})).await;
    assert_eq!(made["domain_name"], format!("{label}-resize.functions.fnc.fr-par.scw.cloud"));
    let same = patch(&fixture, &item(NAMESPACES, &ready), json!({"tags": ["a"]})).await;
    assert_eq!(same["status"], "ready");
    let changed = patch(&fixture, &item(NAMESPACES, &ready), json!({"environment_variables": {"A": "1"}})).await;
    assert_eq!(changed["status"], "pending");
    advance(&fixture, 2);
    let again = fixture.get(&item(NAMESPACES, &ready)).await.body;
    assert_eq!((&again["status"], &again["registry_endpoint"]), (&json!("ready"), &ready["registry_endpoint"]));
}

#[tokio::test]
async fn code_is_uploaded_deployed_and_downloaded() {
    let fixture = manual();
    fixture.post(NAMESPACES, json!({"name": "My shop, the first one"})).await;
    advance(&fixture, 5);
    let storage = storage(&fixture);
    let made = function(&fixture, json!({})).await;
    assert_eq!((&made["status"], &made["ready_at"]), (&json!("created"), &Value::Null));
    let item = item(FUNCTIONS, &made);
    assert_eq!(fixture.get(&format!("{item}/download-url")).await.status, 404);
    let told = fixture.get(&format!("{item}/upload-url?content_length=7")).await.body;
    assert!(told["url"].as_str().unwrap().starts_with("https://s3.fr-par.scw.cloud/serverless-functions-code-prod-"));
    assert_eq!(send(&storage, "PUT", &told, "archive").await.0, 200);
    let deployed = fixture.post(&format!("{item}/deploy"), json!({})).await.body;
    assert_eq!(deployed["status"], "pending");
    assert_eq!(fixture.post(&format!("{item}/deploy"), json!({})).await.status, 409);
    advance(&fixture, 300);
    let ready = fixture.get(&item).await.body;
    assert_eq!((&ready["status"], &ready["error_message"]), (&json!("ready"), &Value::Null));
    assert_eq!(ready["ready_at"], ready["updated_at"]);
    let code = fixture.get(&format!("{item}/download-url")).await.body;
    assert_eq!(send(&storage, "GET", &code, "").await, (200, "archive".to_owned()));
    let deployed = fixture.post(&format!("{item}/deploy"), json!({})).await.body;
    assert_eq!(deployed["ready_at"], ready["ready_at"]);
    advance(&fixture, 300);
    assert_eq!(fixture.get(&item).await.body["ready_at"], ready["ready_at"]);
    assert_eq!(fixture.send("DELETE", &item, Value::Null).await.body["status"], "deleting");
    assert_eq!(send(&storage, "GET", &code, "").await.0, 404);
    advance(&fixture, 5);
    assert_eq!(fixture.get(&item).await.status, 404);
}

#[tokio::test]
async fn an_address_opens_one_object_for_what_it_was_made_for() {
    let fixture = Fixture::new();
    let storage = storage(&fixture);
    let item = item(FUNCTIONS, &function(&fixture, json!({})).await);
    let told = fixture.get(&format!("{item}/upload-url?content_length=7")).await.body;
    let mut longer = told.clone();
    longer["headers"]["content-length"] = json!(["8"]);
    assert_eq!(send(&storage, "PUT", &longer, "archives").await.0, 403);
    assert_eq!(send(&storage, "GET", &told, "archive").await.0, 403);
    let mut other = told.clone();
    other["url"] = json!(told["url"].as_str().unwrap().replace("uploads/function-", "uploads/functions-"));
    assert_eq!(send(&storage, "PUT", &other, "archive").await.0, 403);
    for wrong in ["", "?content_length=0", "?content_length=104857601", "?content_length=a"] {
        let refused = fixture.get(&format!("{item}/upload-url{wrong}")).await;
        assert_eq!((refused.status, faulty(&refused)), (400, vec!["content_length".to_owned()]), "{wrong}");
    }
}

/// Recorded: what has no code ends in this error, whether it is deployed or changed.
#[tokio::test]
async fn without_code_nothing_is_built() {
    let fixture = manual();
    fixture.post(NAMESPACES, json!({"name": "n"})).await;
    advance(&fixture, 5);
    let item = item(FUNCTIONS, &function(&fixture, json!({})).await);
    for field in [json!({"description": "d"}), json!({"tags": ["t"]}), json!({"redeploy": false})] {
        assert_eq!(patch(&fixture, &item, field).await["status"], "created");
    }
    for field in [json!({"http_option": "redirected"}), json!({"redeploy": true})] {
        let changed = patch(&fixture, &item, field).await;
        assert_eq!((&changed["status"], &changed["error_message"]), (&json!("pending"), &Value::Null));
        advance(&fixture, 5);
        let ended = fixture.get(&item).await.body;
        assert_eq!((&ended["status"], &ended["error_message"]), (&json!("error"), &json!("internal error")));
        assert_eq!((&ended["ready_at"], &ended["http_option"]), (&Value::Null, &json!("redirected")));
    }
}

#[tokio::test]
async fn a_function_has_the_defaults_recorded() {
    let fixture = Fixture::new();
    let mut made =
        function(&fixture, json!({"runtime": "node26", "handler": null, "sandbox": "unknown_sandbox"})).await;
    for field in ["id", "namespace_id", "created_at", "updated_at", "domain_name"] {
        assert!(made.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    let expected = json!({
        "build_message": null, "cpu_limit": 140, "description": "", "environment_variables": {},
        "error_message": null, "handler": "handler.handle", "http_option": "enabled", "max_scale": 20,
        "memory_limit": 256, "min_scale": 0, "name": "resize", "privacy": "public", "private_network_id": null,
        "ready_at": null, "region": "fr-par", "runtime": "node26", "runtime_message": "", "sandbox": "v2",
        "secret_environment_variables": [], "status": "created", "tags": [], "timeout": "300s",
    });
    assert_eq!(made, expected);
}

#[rstest]
#[case(json!({"runtime": "node8"}), "runtime")]
#[case(json!({"runtime": "unknown_runtime"}), "runtime")]
#[case(json!({"memory_limit": 300}), "memory_limit")]
#[case(json!({"timeout": "901s"}), "timeout")]
#[case(json!({"timeout": "0s"}), "timeout")]
#[case(json!({"min_scale": 3, "max_scale": 2}), "min_scale")]
#[case(json!({"max_scale": 51}), "max_scale")]
#[case(json!({"name": "Resize"}), "name")]
#[case(json!({"environment_variables": {"SCW_A": "1"}}), "environment_variables")]
#[case(json!({"secret_environment_variables": [{"key": "PORT", "value": "1"}]}), "secret_environment_variables.0.key")]
#[tokio::test]
async fn what_is_wrong_with_a_function_is_named(#[case] said: Value, #[case] fault: &str) {
    let answer = ask(&Fixture::new(), said).await;
    assert_eq!((answer.status, faulty(&answer)), (400, vec![fault.to_owned()]));
}

#[tokio::test]
async fn processors_follow_memory_and_names_are_unique() {
    let fixture = Fixture::new();
    let made = function(&fixture, json!({"memory_limit": 4096, "timeout": "10.000000000s"})).await;
    assert_eq!((&made["cpu_limit"], &made["timeout"]), (&json!(2240), &json!("10s")));
    let changed = patch(&fixture, &item(FUNCTIONS, &made), json!({"memory_limit": 128})).await;
    assert_eq!(changed["cpu_limit"], 70);
    assert_eq!(faulty(&ask(&fixture, json!({})).await), ["name"]);
    let large = json!({"name": "a", "memory_limit": 4096, "max_scale": 50});
    for name in ["b", "c"] {
        let mut large = large.clone();
        large["name"] = json!(name);
        function(&fixture, large).await;
    }
    let refused = ask(&fixture, large).await;
    assert_eq!((refused.status, &refused.body["type"]), (403, &json!("quotas_exceeded")));
}

fn hash_of<'a>(body: &'a Value, key: &str) -> &'a str {
    let hashes = body["secret_environment_variables"].as_array().unwrap();
    hashes.iter().find(|hash| hash["key"] == key).unwrap()["hashed_value"].as_str().unwrap()
}

#[tokio::test]
async fn secrets_are_hashed_and_changed_one_by_one() {
    let fixture = Fixture::new();
    let secrets = json!([{"key": "A", "value": "alpha-plain"}, {"key": "B", "value": "beta-plain"}]);
    let made = function(&fixture, json!({"secret_environment_variables": secrets})).await;
    let fits = |hash: &str, value: &str| {
        Argon2::default().verify_password(value.as_bytes(), &PasswordHash::new(hash).unwrap()).is_ok()
    };
    assert!(fits(hash_of(&made, "A"), "alpha-plain") && !fits(hash_of(&made, "A"), "beta-plain"));
    let item = item(FUNCTIONS, &made);
    for nothing in [json!({"secret_environment_variables": null}), json!({"secret_environment_variables": []})] {
        let same = patch(&fixture, &item, nothing).await;
        assert_eq!(same["secret_environment_variables"], made["secret_environment_variables"]);
    }
    let change = json!([{"key": "B", "value": null}, {"key": "C", "value": "gamma-plain"}]);
    let changed = patch(&fixture, &item, json!({"secret_environment_variables": change})).await;
    assert_eq!(hash_of(&changed, "A"), hash_of(&made, "A"));
    assert!(fits(hash_of(&changed, "C"), "gamma-plain"));
    assert_eq!(changed["secret_environment_variables"].as_array().unwrap().len(), 2);
    for answer in [made, changed, fixture.get(FUNCTIONS).await.body] {
        assert!(!answer.to_string().contains("-plain"));
    }
    let many: Vec<Value> = (0..99).map(|n| json!({"key": format!("K{n}"), "value": "v"})).collect();
    let refused = fixture.send("PATCH", &item, json!({"secret_environment_variables": many})).await;
    assert_eq!(faulty(&refused), ["secret_environment_variables"]);
}

#[tokio::test]
async fn a_function_in_a_private_network_has_an_address_there() {
    let fixture = Fixture::new();
    let (_, network) = fixture.network().await;
    let (_, other) = fixture.network().await;
    let addresses = async |network: &str| {
        let path =
            format!("/ipam/v1/regions/fr-par/ips?private_network_id={network}&resource_type=serverless_function");
        fixture.get(&path).await.body["total_count"].clone()
    };
    let made = function(&fixture, json!({"private_network_id": network})).await;
    let item = item(FUNCTIONS, &made);
    assert_eq!((&made["private_network_id"], addresses(&network).await), (&json!(network), json!(1)));
    let held = fixture.send("DELETE", &format!("/vpc/v2/regions/fr-par/private-networks/{network}"), Value::Null).await;
    assert_eq!(held.status, 412);
    patch(&fixture, &item, json!({"private_network_id": other})).await;
    assert_eq!((addresses(&network).await, addresses(&other).await), (json!(0), json!(1)));
    let left = patch(&fixture, &item, json!({"private_network_id": ""})).await;
    assert_eq!((&left["private_network_id"], addresses(&other).await), (&Value::Null, json!(0)));
    patch(&fixture, &item, json!({"private_network_id": other})).await;
    fixture.send("DELETE", &item, Value::Null).await;
    assert_eq!(addresses(&other).await, 0);
}

#[tokio::test]
async fn a_cron_keeps_its_arguments_and_lists_are_in_the_order_of_making() {
    let fixture = manual();
    fixture.post(NAMESPACES, json!({"name": "n"})).await;
    advance(&fixture, 5);
    let function = function(&fixture, json!({})).await["id"].clone();
    let args = json!({"test": "scw", "deep": {"list": [1, null, true]}});
    let mut made = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let body = json!({"function_id": function, "schedule": "0 0 * * *", "args": args, "name": name});
        made.push(fixture.post(CRONS, body).await.body);
        advance(&fixture, 2);
    }
    let expected = json!({
        "id": made[0]["id"], "function_id": function, "schedule": "0 0 * * *", "args": args, "name": "a",
        "status": "ready",
    });
    assert_eq!(made[0]["status"], "pending");
    assert_eq!(fixture.get(&item(CRONS, &made[0])).await.body, expected);
    let names = async |order: &str| {
        let path = format!("{CRONS}?function_id={}&order_by={order}", function.as_str().unwrap());
        let list = fixture.get(&path).await.body;
        list["crons"].as_array().unwrap().iter().map(|cron| cron["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("created_at_asc").await, ["a", "b", "c", "d"]);
    assert_eq!(names("created_at_desc").await, ["d", "c", "b", "a"]);
    let changed = patch(&fixture, &item(CRONS, &made[0]), json!({"args": {}, "name": "z"})).await;
    assert_eq!((&changed["args"], &changed["status"]), (&json!({}), &json!("pending")));
    let wrong = json!({"function_id": function, "schedule": "0 0 * *", "args": "{}"});
    assert_eq!(faulty(&fixture.post(CRONS, wrong).await), ["schedule", "args"]);
}

#[tokio::test]
async fn a_domain_has_its_address_once_it_is_ready_and_belongs_to_one_function() {
    let fixture = manual();
    fixture.post(NAMESPACES, json!({"name": "n"})).await;
    advance(&fixture, 5);
    let body = json!({"function_id": function(&fixture, json!({})).await["id"], "hostname": "a.example.com"});
    let made = fixture.post(DOMAINS, body.clone()).await.body;
    assert_eq!((&made["status"], &made["url"]), (&json!("pending"), &json!("")));
    advance(&fixture, 10);
    let ready = fixture.get(&item(DOMAINS, &made)).await.body;
    assert_eq!((&ready["status"], &ready["url"]), (&json!("ready"), &json!("https://a.example.com")));
    assert_eq!(ready.get("created_at"), None);
    assert_eq!(faulty(&fixture.post(DOMAINS, body).await), ["hostname"]);
}

#[tokio::test]
async fn a_token_is_shown_once_and_goes_with_its_function() {
    let fixture = Fixture::new();
    let function = function(&fixture, json!({})).await;
    let body = json!({"namespace_id": function["namespace_id"], "expires_at": "2126-05-06T16:42:11+02:00"});
    let of_namespace = fixture.post(TOKENS, body).await.body;
    assert_eq!(of_namespace["expires_at"], "2126-05-06T14:42:11Z");
    assert_eq!(of_namespace["token"].as_str().unwrap().split('.').count(), 3);
    let of_function = fixture.post(TOKENS, json!({"function_id": function["id"]})).await.body;
    assert_eq!(of_function["public_key"], of_namespace["public_key"]);
    let shown = fixture.get(&item(TOKENS, &of_function)).await.body;
    let expected = json!({
        "id": of_function["id"], "function_id": function["id"], "token": "<hidden>", "public_key": "",
        "status": "ready", "description": "", "expires_at": null,
    });
    assert_eq!(shown, expected);
    let both = json!({"namespace_id": function["namespace_id"], "function_id": function["id"]});
    for wrong in [both, json!({})] {
        assert_eq!(faulty(&fixture.post(TOKENS, wrong).await), ["function_id"]);
    }
    let past = json!({"function_id": function["id"], "expires_at": "2001-01-01T00:00:00Z"});
    assert_eq!(faulty(&fixture.post(TOKENS, past).await), ["expires_at"]);
    fixture.send("DELETE", &item(FUNCTIONS, &function), Value::Null).await;
    assert_eq!(fixture.get(&item(TOKENS, &of_function)).await.status, 404);
    assert_eq!(fixture.get(&item(TOKENS, &of_namespace)).await.status, 200);
}

#[rstest]
#[case("scw_sqs", json!({"scw_sqs_config": {"queue": "q", "mnq_project_id": "p", "mnq_region": "fr-par"}}))]
#[case("scw_nats", json!({"scw_nats_config": {
    "subject": "s", "mnq_nats_account_id": "a", "mnq_project_id": "p", "mnq_region": "fr-par",
}}))]
#[tokio::test]
async fn a_triggers_credentials_are_named_once_it_is_ready(#[case] word: &str, #[case] mut source: Value) {
    let fixture = manual();
    fixture.post(NAMESPACES, json!({"name": "n"})).await;
    advance(&fixture, 5);
    let mut body = json!({"function_id": function(&fixture, json!({})).await["id"], "name": "t"});
    body.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    let made = fixture.post(TRIGGERS, body).await.body;
    let (field, config) = source.as_object_mut().unwrap().iter_mut().next().unwrap();
    config["mnq_credential_id"] = Value::Null;
    let expected = json!({
        "id": made["id"], "function_id": made["function_id"], "name": "t", "description": "", "input_type": word,
        "error_message": null, "status": "creating", field: config,
    });
    assert_eq!(made, expected);
    advance(&fixture, 20);
    let ready = fixture.get(&item(TRIGGERS, &made)).await.body;
    assert!(ready[field]["mnq_credential_id"].is_string());
    let renamed = patch(&fixture, &item(TRIGGERS, &made), json!({"name": "u"})).await;
    assert_eq!((&renamed["name"], &renamed[field]), (&json!("u"), &ready[field]));
}

#[tokio::test]
async fn a_queue_elsewhere_keeps_its_secret_to_itself() {
    let fixture = Fixture::new();
    let function = function(&fixture, json!({})).await["id"].clone();
    let queue = json!({
        "endpoint": "https://sqs.eu-west-3.amazonaws.com", "queue_url": "https://sqs.eu-west-3.amazonaws.com/1/q",
        "access_key": "key", "secret_key": "sqs-plain",
    });
    let made = fixture.post(TRIGGERS, json!({"function_id": function, "name": "t", "sqs_config": queue})).await.body;
    assert_eq!((&made["input_type"], &made["sqs_config"]["access_key"]), (&json!("sqs"), &json!("key")));
    let change = json!({"sqs_config": {"access_key": "other", "secret_key": "new-plain"}});
    let changed = patch(&fixture, &item(TRIGGERS, &made), change).await;
    assert_eq!(changed["sqs_config"]["access_key"], "other");
    assert_eq!(changed["sqs_config"]["queue_url"], queue["queue_url"]);
    assert!(!format!("{made}{changed}").contains("-plain"));
}

#[rstest]
#[case(json!({}), "scw_sqs_config")]
#[case(json!({"scw_sqs_config": {"queue": "q", "mnq_project_id": "p"}}), "scw_sqs_config.mnq_region")]
#[case(json!({"scw_nats_config": {"subject": "s", "mnq_project_id": "p", "mnq_region": "fr-par"}}), "scw_nats_config.mnq_nats_account_id")]
#[case(json!({"scw_sqs_config": {"queue": "q"}, "scw_nats_config": {"subject": "s"}}), "scw_sqs_config")]
#[case(json!({"scw_sqs_config": {"queue": "q", "mnq_project_id": "p", "mnq_region": "nowhere"}}), "scw_sqs_config.mnq_region")]
#[tokio::test]
async fn a_trigger_has_one_source_that_says_all(#[case] source: Value, #[case] fault: &str) {
    let fixture = Fixture::new();
    let mut body = json!({"function_id": function(&fixture, json!({})).await["id"], "name": "t"});
    body.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    assert_eq!(faulty(&fixture.post(TRIGGERS, body).await), [fault]);
}

#[tokio::test]
async fn everything_of_a_namespace_goes_with_it() {
    let fixture = Fixture::new();
    let function = function(&fixture, json!({})).await;
    let id = &function["id"];
    let cron = fixture.post(CRONS, json!({"function_id": id, "schedule": "@hourly"})).await.body;
    let domain = fixture.post(DOMAINS, json!({"function_id": id, "hostname": "a.example.com"})).await.body;
    let token = fixture.post(TOKENS, json!({"namespace_id": function["namespace_id"]})).await.body;
    let namespace = format!("{NAMESPACES}/{}", function["namespace_id"].as_str().unwrap());
    assert_eq!(fixture.send("DELETE", &namespace, Value::Null).await.body["status"], "deleting");
    let gone = [(FUNCTIONS, &function), (CRONS, &cron), (DOMAINS, &domain), (TOKENS, &token)];
    for (collection, body) in gone {
        assert_eq!(fixture.get(&item(collection, body)).await.status, 404, "{collection}");
    }
}

#[tokio::test]
async fn runtimes_tell_their_state() {
    let list = Fixture::new().get("/functions/v1beta1/regions/fr-par/runtimes?page_size=100").await.body;
    let state = |name: &str| {
        let runtimes = list["runtimes"].as_array().unwrap();
        runtimes.iter().find(|runtime| runtime["name"] == name).unwrap()["status"].clone()
    };
    assert_eq!(
        (state("node26"), state("node8"), state("go121")),
        (json!("available"), json!("end_of_life"), json!("end_of_support"))
    );
}

//! Audit Trail: what it tells of requests, beyond the generic life.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use stackproof_cloud::{
    kernel::{Access, Profile},
    services,
};
use support::{Fixture, faulty};

const TRAIL: &str = "/audit-trail/v1alpha1/regions/fr-par";
const SECRETS: &str = "/secret-manager/v1beta1/regions/fr-par/secrets";

async fn events(cloud: &Fixture, query: &str) -> Vec<Value> {
    let answer = cloud.get(&format!("{TRAIL}/events?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["events"].as_array().unwrap().clone()
}

fn methods(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["method_name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_request_is_told_of_with_who_asked_for_what() {
    let cloud = Fixture::new();
    let secret = cloud.make(SECRETS, json!({"name": "s", "path": "/"})).await;
    let events = events(&cloud, &format!("resource_id={secret}")).await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event["product_name"], "secret-manager");
    assert_eq!(event["service_name"], "scaleway.secret_manager.v1beta1.Api");
    assert_eq!(event["method_name"], "CreateSecret");
    assert_eq!((&event["status_code"], &event["locality"]), (&json!(200), &json!("fr-par")));
    assert_eq!(event["project_id"], cloud.organization.id);
    assert_eq!(event["request_body"], json!({"name": "s", "path": "/"}));
    assert!(!event["principal"]["id"].as_str().unwrap().is_empty());
    assert!(!event["request_id"].as_str().unwrap().is_empty());
    let resource = &event["resources"][0];
    assert_eq!((&resource["type"], &resource["name"]), (&json!("secret_manager_secret"), &json!("s")));
    assert_eq!(resource["secret_manager_secret_info"]["path"], "/");
}

#[tokio::test]
async fn changes_deletions_and_refusals_are_told_of_and_reading_is_not() {
    let cloud = Fixture::new();
    let secret = cloud.make(SECRETS, json!({"name": "s"})).await;
    let path = format!("{SECRETS}/{secret}");
    cloud.get(&path).await;
    cloud.send("PATCH", &path, json!({"name": "t"})).await;
    cloud.send("PATCH", &path, json!({"name": 1})).await;
    cloud.send("DELETE", &path, Value::Null).await;
    let all = events(&cloud, "order_by=recorded_at_asc").await;
    assert_eq!(methods(&all), ["CreateSecret", "UpdateSecret", "UpdateSecret", "DeleteSecret"]);
    let statuses: Vec<u64> = all.iter().map(|event| event["status_code"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 400, 204]);
    assert_eq!(all[3]["request_body"], json!({ "secret_id": secret }));
    assert_eq!(methods(&events(&cloud, "status=400").await), ["UpdateSecret"]);
    assert_eq!(
        methods(&events(&cloud, "method_name=DeleteSecret&product_name=secret-manager").await),
        ["DeleteSecret"]
    );
}

#[tokio::test]
async fn revealing_a_secret_is_told_of_and_no_value_ever_is() {
    let cloud = Fixture::new();
    let secret = cloud.make(SECRETS, json!({"name": "s"})).await;
    let value = "c3VwZXJzZWNyZXQ=";
    cloud.post(&format!("{SECRETS}/{secret}/versions"), json!({"data": value, "description": "first"})).await;
    cloud.get(&format!("{SECRETS}/{secret}/versions/1/access")).await;
    let key = cloud.make("/key-manager/v1alpha1/regions/fr-par/keys", json!({"name": "k"})).await;
    let encrypt = format!("/key-manager/v1alpha1/regions/fr-par/keys/{key}/encrypt");
    cloud.post(&encrypt, json!({"plaintext": value})).await;
    let database = json!({"name": "d", "engine": "PostgreSQL-16", "node_type": "db-dev-s", "user_name": "u",
        "password": value});
    cloud.post("/rdb/v1/regions/fr-par/instances", database).await;
    let container = "/containers/v1/regions/fr-par/namespaces";
    cloud.post(container, json!({"name": "n", "secret_environment_variables": {"KEY": value}})).await;
    let all = events(&cloud, "order_by=recorded_at_asc").await;
    let told = methods(&all);
    assert_eq!(told[..3], ["CreateSecret", "CreateSecretVersion", "AccessSecretVersion"]);
    assert!(told.contains(&"Encrypt") && told.contains(&"CreateInstance"));
    assert!(!json!(all).to_string().contains(value));
    assert_eq!(all[1]["resources"][0]["type"], "secret_manager_version");
    assert_eq!(all[1]["resources"][0]["id"], secret.as_str());
    assert_eq!(all[1]["resources"][0]["secret_manager_version_info"]["revision"], 1);
}

/// Whatever a declared field never answers is never told by the trail either.
#[tokio::test]
async fn an_api_keys_secret_is_not_told() {
    let cloud = Fixture::new();
    let application = cloud.make("/iam/v1alpha1/applications", json!({"name": "a"})).await;
    let made = cloud.post("/iam/v1alpha1/api-keys", json!({"application_id": application})).await.body;
    let all = events(&cloud, "").await;
    assert_eq!(methods(&all), ["CreateAPIKey", "CreateApplication"]);
    assert_eq!(all[0]["resources"][0]["id"], made["access_key"]);
    assert_eq!(all[0]["project_id"], Value::Null);
    assert!(!json!(all).to_string().contains(made["secret_key"].as_str().unwrap()));
}

#[tokio::test]
async fn a_denied_request_is_told_of_with_the_principal_it_was_denied_to() {
    let cloud = Fixture::new();
    let application = cloud.make("/iam/v1alpha1/applications", json!({"name": "a"})).await;
    let key = cloud.post("/iam/v1alpha1/api-keys", json!({"application_id": application})).await.body;
    let token = key["secret_key"].as_str().unwrap();
    let body = json!({"name": "s"}).to_string().into_bytes();
    assert_eq!(cloud.send_raw("POST", SECRETS, token, body).await.status, 403);
    let denied = events(&cloud, &format!("status=403&principal_id={application}")).await;
    assert_eq!(methods(&denied), ["CreateSecret"]);
    // Nor may it read the trail.
    assert_eq!(cloud.send_raw("GET", &format!("{TRAIL}/events"), token, vec![]).await.status, 403);
}

#[tokio::test]
async fn events_of_another_region_or_organisation_are_not_told() {
    let cloud = Fixture::new();
    cloud.make(SECRETS, json!({"name": "s"})).await;
    let elsewhere = cloud.get("/audit-trail/v1alpha1/regions/nl-ams/events").await.body;
    assert_eq!(elsewhere["events"], json!([]));
    let stranger = services::Organization::from_seed(77);
    services::seed(cloud.cloud.store(), &stranger).unwrap();
    let theirs = cloud.send_raw("GET", &format!("{TRAIL}/events"), &stranger.secret_key, vec![]).await;
    assert_eq!((theirs.status, &theirs.body["events"]), (200, &json!([])));
    let asked = format!("{TRAIL}/events?organization_id={}", stranger.id);
    assert_eq!(cloud.get(&asked).await.status, 403);
}

#[tokio::test]
async fn pages_follow_their_tokens_in_both_orders() {
    let cloud = Fixture::new();
    for number in 0..5 {
        cloud.make(SECRETS, json!({"name": format!("s{number}")})).await;
    }
    for (order, first) in [("recorded_at_asc", "s0"), ("recorded_at_desc", "s4")] {
        let (mut names, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("{TRAIL}/events?order_by={order}&page_size=2&page_token={token}");
            let page = cloud.get(&path).await.body;
            let events = page["events"].as_array().unwrap();
            names.extend(events.iter().map(|event| event["resources"][0]["name"].as_str().unwrap().to_owned()));
            match page.get("next_page_token") {
                Some(next) => token = next.as_str().unwrap().to_owned(),
                None => break,
            }
        }
        assert_eq!((names.len(), names[0].as_str()), (5, first), "{order}: {names:?}");
    }
    for wrong in ["page_size=0", "page_token=x", "order_by=name_asc", "recorded_after=yesterday"] {
        let refused = cloud.get(&format!("{TRAIL}/events?{wrong}")).await;
        assert_eq!(faulty(&refused), [wrong.split('=').next().unwrap()]);
    }
}

#[tokio::test]
async fn an_hour_is_looked_back_unless_the_request_says_otherwise() {
    let cloud = Fixture::with(services::products(), Profile::Manual);
    cloud.make(SECRETS, json!({"name": "s"})).await;
    assert_eq!(events(&cloud, "").await.len(), 1);
    cloud.cloud.store().clock().advance(Duration::from_secs(3601));
    assert_eq!(events(&cloud, "").await.len(), 0);
    assert_eq!(events(&cloud, "recorded_after=2000-01-01T00:00:00Z").await.len(), 1);
}

#[tokio::test]
async fn what_happens_on_schedule_is_a_system_event() {
    let cloud = Fixture::with(services::products(), Profile::Manual);
    let policy = json!({"rotation_period": "86400s"});
    let keys = "/key-manager/v1alpha1/regions/fr-par/keys";
    let key = cloud.make(keys, json!({"name": "k", "rotation_policy": policy})).await;
    cloud.cloud.store().clock().advance(Duration::from_secs(86_401));
    cloud.cloud.settle().unwrap();
    let system = cloud.get(&format!("{TRAIL}/system-events")).await.body["events"].clone();
    assert_eq!(system.as_array().unwrap().len(), 1);
    assert_eq!((&system[0]["kind"], &system[0]["product_name"]), (&json!("cron"), &json!("key-manager")));
    assert_eq!(system[0]["resources"][0]["id"], key.as_str());
    let combined = cloud.get(&format!("{TRAIL}/combined-events?recorded_after=2000-01-01T00:00:00Z")).await.body;
    let combined = combined["events"].as_array().unwrap().clone();
    assert_eq!((combined.len(), combined[0]["system"].is_object(), combined[1]["api"].is_object()), (2, true, true));
    assert_eq!(cloud.get(&format!("{TRAIL}/authentication-events")).await.body["events"], json!([]));
}

#[tokio::test]
async fn products_name_every_method_that_events_can_have() {
    let cloud = Fixture::new();
    let products = cloud.get(&format!("{TRAIL}/products")).await.body;
    let services = |product: &str| {
        let product = products["products"].as_array().unwrap().iter().find(|it| it["name"] == product).unwrap();
        product["services"].to_string()
    };
    for method in ["CreateSecret", "AccessSecretVersion", "DeleteSecretVersion", "ProtectSecret"] {
        assert!(services("secret-manager").contains(&format!("\"{method}\"")), "{method}");
    }
    for method in ["GenerateDataKey", "ImportKeyMaterial", "RotateKey", "Sign", "CreateKey"] {
        assert!(services("key-manager").contains(&format!("\"{method}\"")), "{method}");
    }
    assert!(services("account").contains("scaleway.account.v3.ProjectApi"));
    assert!(services("iam").contains("\"UpdateSSHKey\"") && services("vpc").contains("\"DeleteVPC\""));
    let writing = cloud.cloud.catalogue().resources().flat_map(|resource| resource.all_routes());
    assert!(writing.filter(|route| route.operation.access() == Access::Write).count() > 150);
}

#[tokio::test]
async fn an_export_job_names_a_bucket_in_its_region_unless_it_says_another() {
    let cloud = Fixture::new();
    let jobs = format!("{TRAIL}/export-jobs");
    let made = cloud.post(&jobs, json!({"name": "j", "s3": {"bucket": "b"}})).await.body;
    assert_eq!((&made["s3"]["region"], &made["last_run_at"]), (&json!("fr-par"), &Value::Null));
    let refused = cloud.post(&jobs, json!({"name": "j"})).await;
    assert_eq!(faulty(&refused), ["s3"]);
    assert_eq!(cloud.get(&format!("{jobs}?name=j&order_by=name_asc")).await.body["total_count"], 1);
}

//! Cockpit and serverless databases: what they do beyond their generic lives.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Fixture, faulty};

const REGION: &str = "/cockpit/v1/regions/fr-par";

fn manager(path: &str) -> String {
    format!("{REGION}/alert-manager{path}")
}

async fn enabled() -> Fixture {
    let cloud = Fixture::new();
    assert_eq!(cloud.post(&manager("/enable"), json!({})).await.body["alert_manager_enabled"], true);
    cloud
}

#[tokio::test]
async fn a_project_has_data_sources_of_scaleways_own_from_its_first_day() {
    let cloud = Fixture::new();
    let listed = cloud.get(&format!("{REGION}/data-sources?origin=scaleway")).await.body;
    let names: Vec<&str> =
        listed["data_sources"].as_array().unwrap().iter().map(|source| source["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Scaleway Metrics", "Scaleway Logs"]);
    let id = listed["data_sources"][0]["id"].as_str().unwrap();
    assert_eq!(cloud.send("DELETE", &format!("{REGION}/data-sources/{id}"), Value::Null).await.status, 412);
    assert_eq!(cloud.get(&format!("{REGION}/data-sources?origin=custom")).await.body["total_count"], 0);
}

#[rstest]
#[case("metrics", 31)]
#[case("logs", 7)]
#[case("traces", 7)]
#[tokio::test]
async fn data_is_kept_by_default_as_long_as_its_type_is(#[case] kind: &str, #[case] days: i64) {
    let cloud = Fixture::new();
    let source = cloud.post(&format!("{REGION}/data-sources"), json!({"name": "n", "type": kind})).await.body;
    let id = source["id"].as_str().unwrap();
    assert_eq!(source["retention_days"], days);
    assert_eq!(source["url"], format!("https://{id}.{kind}.cockpit.fr-par.scw.cloud"));
}

#[tokio::test]
async fn a_tokens_secret_is_told_once_and_its_scopes_under_another_name() {
    let cloud = Fixture::new();
    let body = json!({"name": "n", "token_scopes": ["write_only_logs", "read_only_metrics"]});
    let made = cloud.post(&format!("{REGION}/tokens"), body.clone()).await.body;
    assert!(made["secret_key"].as_str().is_some_and(|secret| !secret.is_empty()));
    assert_eq!(made["scopes"], body["token_scopes"]);
    let read = cloud.get(&format!("{REGION}/tokens/{}", made["id"].as_str().unwrap())).await.body;
    assert_eq!(read["secret_key"], Value::Null);
    let unknown = cloud.post(&format!("{REGION}/tokens"), json!({"name": "n", "token_scopes": ["everything"]})).await;
    assert_eq!(faulty(&unknown), ["token_scopes"]);
}

#[tokio::test]
async fn an_alert_manager_is_off_until_it_is_switched_on_and_keeps_its_address() {
    let cloud = Fixture::new();
    assert_eq!(cloud.get(&manager("")).await.body["alert_manager_url"], Value::Null);
    let first = cloud.post(&manager("/enable"), json!({})).await.body["alert_manager_url"].clone();
    assert!(first.as_str().unwrap().ends_with(".alertmanager.cockpit.fr-par.scw.cloud"));
    assert_eq!(cloud.post(&manager("/disable"), json!({})).await.body["alert_manager_url"], Value::Null);
    assert_eq!(cloud.post(&manager("/enable"), json!({})).await.body["alert_manager_url"], first);
}

#[tokio::test]
async fn contact_points_keep_their_order() {
    let cloud = enabled().await;
    let to = |name: &str| json!({"email": {"to": format!("{name}@example.com")}});
    for name in ["c", "a", "b"] {
        assert_eq!(cloud.post(&manager("/contact-points"), to(name)).await.status, 200);
    }
    assert_eq!(cloud.post(&manager("/contact-points"), to("a")).await.status, 400);
    assert_eq!(cloud.post(&manager("/contact-points/delete"), to("a")).await.status, 204);
    let listed = cloud.get(&manager("/contact-points")).await.body;
    let names: Vec<&str> =
        listed["contact_points"].as_array().unwrap().iter().map(|it| it["email"]["to"].as_str().unwrap()).collect();
    assert_eq!(names, ["c@example.com", "b@example.com"]);
    assert_eq!(cloud.post(&manager("/contact-points"), json!({"email": {"to": "nobody"}})).await.status, 400);
}

#[tokio::test]
async fn alerts_need_an_alert_manager() {
    let cloud = Fixture::new();
    let rule = json!({"rule_ids": ["6c6843af-1815-46df-9e52-6feafcf31fd7"]});
    for (path, body) in [
        ("/enable-alert-rules", rule),
        ("/trigger-test-alert", json!({})),
        ("/managed-alerts/enable", json!({})),
        ("/contact-points", json!({"email": {"to": "a@example.com"}})),
    ] {
        assert_eq!(cloud.post(&manager(path), body).await.status, 412, "{path}");
    }
}

#[tokio::test]
async fn prepared_alerts_are_switched_one_by_one_and_take_their_time() {
    let cloud = Fixture::with(services::products(), Profile::Manual);
    cloud.post(&manager("/enable"), json!({})).await;
    let rule = "6c6843af-1815-46df-9e52-6feafcf31fd7";
    let answer = cloud.post(&manager("/enable-alert-rules"), json!({"rule_ids": [rule, rule]})).await;
    assert_eq!(answer.body, json!({"enabled_rule_ids": [rule]}));
    let count = async |status: &str| {
        let path = format!("{REGION}/alerts?is_preconfigured=true&rule_status={status}");
        cloud.get(&path).await.body["total_count"].as_u64().unwrap()
    };
    assert_eq!((count("enabling").await, count("disabled").await), (1, 21));
    cloud.cloud.store().clock().advance(std::time::Duration::from_secs(10));
    cloud.cloud.settle().unwrap();
    assert_eq!((count("enabled").await, count("enabling").await), (1, 0));
    let unknown = json!({"rule_ids": ["00000000-0000-4000-8000-000000000000"]});
    assert_eq!(cloud.post(&manager("/enable-alert-rules"), unknown).await.status, 404);
}

#[tokio::test]
async fn grafana_users_are_numbered_and_told_their_password_once() {
    let cloud = Fixture::new();
    let users = "/cockpit/v1/grafana/users";
    let made = cloud.post(users, json!({"login": "dev", "role": "editor"})).await.body;
    assert_eq!((&made["id"], made["password"].as_str().unwrap().is_empty()), (&json!(2), false));
    assert_eq!(cloud.get(users).await.body["grafana_users"][0]["password"], "");
    assert_eq!(cloud.post(users, json!({"login": "dev"})).await.status, 400);
    assert_eq!(cloud.send("DELETE", &format!("{users}/2"), Value::Null).await.status, 204);
    assert_eq!(cloud.send("DELETE", &format!("{users}/2"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_deleted_project_is_denied_with_all_that_cockpit_knew_of_it() {
    let cloud = Fixture::new();
    let project = cloud.make("/account/v3/projects", json!({"name": "shop"})).await;
    let body = json!({"project_id": project});
    assert_eq!(cloud.post(&manager("/enable"), body).await.status, 200);
    assert_eq!(cloud.send("DELETE", &format!("/account/v3/projects/{project}"), Value::Null).await.status, 204);
    let denied = cloud.get(&manager(&format!("?project_id={project}"))).await;
    assert_eq!((denied.status, &denied.body["type"]), (403, &json!("permissions_denied")));
}

/// Trap 1 of the API notes: the provider takes 403, and only that, for the end of a deletion.
#[tokio::test]
async fn trap_1_a_deleted_serverless_database_is_denied_not_missing() {
    let cloud = Fixture::new();
    let databases = "/serverless-sqldb/v1alpha1/regions/fr-par/databases";
    let made = cloud.post(databases, json!({"name": "app", "cpu_max": 4})).await.body;
    let path = format!("{databases}/{}", made["id"].as_str().unwrap());
    let ending = format!("{}.pg.sdb.fr-par.scw.cloud:5432/app?sslmode=require", made["id"].as_str().unwrap());
    assert!(made["endpoint"].as_str().unwrap().ends_with(&ending));
    let deleted = cloud.send("DELETE", &path, Value::Null).await;
    assert_eq!((deleted.status, &deleted.body["status"]), (200, &json!("ready")));
    for (method, body) in [("GET", Value::Null), ("PATCH", json!({})), ("DELETE", Value::Null)] {
        let denied = cloud.send(method, &path, body).await;
        assert_eq!((denied.status, &denied.body["details"]), (403, &json!([])), "{method}");
    }
}

#[tokio::test]
async fn a_serverless_database_has_no_more_processors_at_least_than_at_most() {
    let cloud = Fixture::new();
    let databases = "/serverless-sqldb/v1alpha1/regions/fr-par/databases";
    let refused = cloud.post(databases, json!({"name": "app", "cpu_min": 5, "cpu_max": 4})).await;
    assert_eq!(faulty(&refused), ["cpu_min"]);
    let id = cloud.make(databases, json!({"name": "app", "cpu_min": 1, "cpu_max": 4})).await;
    let path = format!("{databases}/{id}");
    assert_eq!(cloud.send("PATCH", &path, json!({"cpu_max": 0})).await.status, 400);
    assert_eq!(cloud.send("PATCH", &path, json!({"cpu_min": 4})).await.body["cpu_min"], 4);
    assert_eq!(cloud.post(databases, json!({"name": "app"})).await.status, 400, "the name is taken");
}

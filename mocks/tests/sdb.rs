//! Serverless databases: what they do beyond their generic lives.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use serde_json::{Value, json};
use support::{Fixture, faulty};

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

//! What is asked of an instance reaches its server.

use serde_json::json;
use stackproof_cloud::kernel::Profile;

use crate::scene::{PASSWORD, scene};

#[tokio::test(flavor = "multi_thread")]
async fn restarts_upgrades_settings_and_certificates_reach_the_server() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let path = format!("instances/{instance}");
    let began = async || scene.connect(&instance).await.text("SELECT pg_postmaster_start_time()::text").await;
    let first = began().await;
    let answer = scene.post(&format!("{path}/restart"), json!({})).await;
    assert_eq!(answer["status"], "ready");
    let second = began().await;
    assert_ne!(first, second, "another process");

    let set = json!({"settings": [{"name": "work_mem", "value": "16"}, {"name": "max_connections", "value": "42"}]});
    scene.put(&format!("{path}/settings"), set).await;
    let client = scene.connect(&instance).await;
    assert_eq!(client.text("SHOW work_mem").await, "16MB");
    assert_eq!(client.text("SHOW max_connections").await, "42");

    let before = scene.get(&format!("{path}/certificate")).await;
    scene.post(&format!("{path}/renew-certificate"), json!({})).await;
    assert_ne!(scene.get(&format!("{path}/certificate")).await, before);
    // This client trusts the new one only.
    let third = began().await;

    let upgraded = scene.post(&format!("{path}/upgrade"), json!({"node_type": "db-gp-xs"})).await;
    assert_eq!((&upgraded["status"], &upgraded["node_type"]), (&json!("ready"), &json!("db-gp-xs")));
    assert_ne!(began().await, third, "another machine");
    let larger = scene.post(&format!("{path}/upgrade"), json!({"volume_size": 25_000_000_000_u64})).await;
    assert_eq!(larger["volume"]["size"], 25_000_000_000_u64);
    for wrong in [12_000_000_000_u64, 20_000_000_000, 10_005_000_000_000] {
        let (status, _) =
            scene.send(reqwest::Method::POST, &format!("{path}/upgrade"), json!({"volume_size": wrong})).await;
        assert_eq!(status, 400, "{wrong}");
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_closed_acl_are_told_as_postgres_tells_them() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let refused = scene.connect_to(&instance, "rdb", "Wr0ng-password!").await.err().unwrap();
    assert!(refused.contains("password authentication failed for user \"app\""), "{refused}");
    scene.put(&format!("instances/{instance}/acls"), json!({"rules": [{"ip": "192.0.2.0/24"}]})).await;
    let refused = scene.connect_to(&instance, "rdb", PASSWORD).await.err().unwrap();
    assert!(refused.contains("pg_hba.conf rejects connection"), "{refused}");
    scene.put(&format!("instances/{instance}/acls"), json!({"rules": [{"ip": "0.0.0.0/0"}]})).await;
    scene.connect(&instance).await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_takes_its_time_is_seen() {
    let scene = scene!(Profile::Manual);
    let body = json!({
        "name": "main", "engine": "PostgreSQL-15", "node_type": "db-dev-s", "user_name": "app", "password": PASSWORD,
        "disable_backup": true,
    });
    let id = scene.post("instances", body).await["id"].as_str().unwrap().to_owned();
    let path = format!("instances/{id}");
    scene.pass(240).await;
    scene.reaches(&path, "ready").await;
    let answer = scene.post(&format!("{path}/restart"), json!({})).await;
    assert_eq!(answer["status"], "restarting");
    assert_eq!(scene.get(&path).await["status"], "restarting");
    scene.pass(60).await;
    scene.reaches(&path, "ready").await;
    scene.stop().await;
}

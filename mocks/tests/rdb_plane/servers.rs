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

    let set = json!({"settings": [{"name": "work_mem", "value": "16"}, {"name": "max_connections", "value": "62"}]});
    scene.put(&format!("{path}/settings"), set).await;
    let client = scene.connect(&instance).await;
    assert_eq!(client.text("SHOW work_mem").await, "16MB");
    assert_eq!(client.text("SHOW max_connections").await, "62");

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

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_only_reads_until_there_is_room() {
    let scene = scene!();
    let instance = scene.instance(json!({"volume_size": 5_000_000_000_u64})).await;
    let path = format!("instances/{instance}");
    let client = scene.connect(&instance).await;
    client.run("CREATE TABLE orders AS SELECT generate_series(1, 10) AS id").await;
    // A file without content takes no room of this machine, but has a size.
    let filler = scene.planes(&format!("databases/instances/{instance}/a/base/filler"));
    std::fs::File::create(&filler).unwrap().set_len(4_950_000_000).unwrap();
    scene.reaches(&path, "disk_full").await;
    let refused = until_refused(&client).await;
    assert!(refused.contains("read-only transaction"), "{refused}");
    assert_eq!(client.number("SELECT count(*) FROM orders WHERE id IN (1, 2)").await, 2);
    client.run("BEGIN; SET TRANSACTION READ WRITE; DELETE FROM orders WHERE id = 1; COMMIT").await;
    let larger = scene.post(&format!("{path}/upgrade"), json!({"volume_size": 10_000_000_000_u64})).await;
    assert_eq!(larger["status"], "ready", "{larger}");
    client.run("INSERT INTO orders VALUES (11)").await;
    // And full again, until something is gone.
    std::fs::File::create(&filler).unwrap().set_len(9_990_000_000).unwrap();
    scene.reaches(&path, "disk_full").await;
    std::fs::remove_file(&filler).unwrap();
    scene.reaches(&path, "ready").await;
    scene.stop().await;
}

/// What the server says once it takes no writes: the API tells of it a moment before.
async fn until_refused(client: &crate::scene::Connected) -> String {
    let mut again = tokio::time::interval(std::time::Duration::from_millis(20));
    let awaited = async {
        loop {
            again.tick().await;
            if let Err(refused) = client.attempt("INSERT INTO orders VALUES (0)").await {
                return refused;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), awaited).await.expect("it is refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_what_the_server_uses() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let path = format!("instances/{instance}/metrics");
    let clients = [scene.connect(&instance).await, scene.connect(&instance).await, scene.connect(&instance).await];
    let mut again = tokio::time::interval(std::time::Duration::from_millis(100));
    let last = |metrics: &serde_json::Value, name: &str| {
        let series = metrics["timeseries"].as_array()?.iter().find(|one| one["name"] == name)?.clone();
        assert_eq!(series["metadata"]["node"], "node-1");
        series["points"].as_array()?.last()?[1].as_f64()
    };
    let awaited = async {
        loop {
            again.tick().await;
            let metrics = scene.get(&path).await;
            if last(&metrics, "total_connections") == Some(3.0) && last(&metrics, "cpu_usage_percent").is_some() {
                return metrics;
            }
        }
    };
    let metrics = tokio::time::timeout(std::time::Duration::from_secs(60), awaited).await.expect("they are measured");
    for name in ["mem_usage_percent", "disk_usage_percent"] {
        let value = last(&metrics, name).unwrap();
        assert!(value > 0.0 && value < 100.0, "{name}: {value}");
    }
    drop(clients);
    let one = scene.get(&format!("{path}?metric_name=disk_usage_percent")).await;
    assert_eq!(one["timeseries"].as_array().unwrap().len(), 1);
    let none = scene.get(&format!("{path}?end_date=2001-01-01T00:00:00Z")).await;
    assert_eq!(none["timeseries"][0]["points"], json!([]));
    let (status, _) = scene.send(reqwest::Method::GET, &format!("{path}?start_date=yesterday"), json!(null)).await;
    assert_eq!(status, 400);
    scene.stop().await;
}

//! Logs are the servers' own.

use serde_json::{Value, json};

use crate::scene::scene;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_server_can_be_downloaded_until_it_is_purged() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let refused = scene.connect(&instance).await.attempt("SELECT of_nothing_at_all").await.unwrap_err();
    assert!(refused.contains("of_nothing_at_all"), "{refused}");
    let path = format!("instances/{instance}");
    let prepared = scene.post(&format!("{path}/prepare-logs"), json!({})).await["instance_logs"].clone();
    assert_eq!(prepared.as_array().unwrap().len(), 1, "one node");
    let log = scene.get(&format!("logs/{}", prepared[0]["id"].as_str().unwrap())).await;
    assert_eq!(log["status"], "ready", "{log}");
    let (status, bytes) = scene.download(&log["download_url"]).await;
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(status, 200);
    assert!(text.contains("ready to accept connections") && text.contains("of_nothing_at_all"), "{text}");
    assert!(!text.contains("Str0ng") && !text.contains("SCRAM-SHA-256$"), "no secrets: {text}");
    let details = scene.get(&format!("{path}/logs-details")).await["details"].clone();
    assert_eq!(details.as_array().unwrap().len(), 1);
    assert!(details[0]["size"].as_u64().unwrap() >= text.len() as u64, "{details}");

    scene.post(&format!("{path}/purge-logs"), json!({})).await;
    assert_eq!(scene.get(&format!("{path}/logs")).await["instance_logs"], json!([]));
    let (status, _) = scene.download(&log["download_url"]).await;
    assert_eq!(status, 404);

    // A day later they are gone by themselves.
    let prepared = scene.post(&format!("{path}/prepare-logs"), json!({})).await["instance_logs"].clone();
    scene.pass(24 * 3600 + 60).await;
    let path = format!("logs/{}", prepared[0]["id"].as_str().unwrap());
    scene.until(&path, |answer| answer["type"] == "not_found").await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_of_a_cluster_has_a_log_of_its_own() {
    let scene = scene!();
    let instance = scene.instance(json!({"is_ha_cluster": true})).await;
    let path = format!("instances/{instance}");
    let prepared = scene.post(&format!("{path}/prepare-logs"), json!({})).await["instance_logs"].clone();
    let mut texts = Vec::new();
    for log in prepared.as_array().unwrap() {
        let log = scene.get(&format!("logs/{}", log["id"].as_str().unwrap())).await;
        assert_ne!(log["download_url"], Value::Null, "{log}");
        texts.push(String::from_utf8(scene.download(&log["download_url"]).await.1).unwrap());
    }
    let [first, second] = texts.as_slice() else { panic!("two nodes: {texts:?}") };
    assert!(!first.contains("entering standby mode") && second.contains("entering standby mode"), "{first}\n{second}");
    scene.stop().await;
}

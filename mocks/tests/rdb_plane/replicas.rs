//! Read replicas: they follow, are made anew, and become instances.

use std::time::Duration;

use serde_json::{Value, json};

use crate::scene::{Connected, PASSWORD, Scene, scene};

const COUNT: &str = "SELECT count(*) FROM orders";

async fn replica(scene: &Scene, instance: &str) -> (String, Value) {
    let body = json!({"instance_id": instance, "endpoint_spec": [{"direct_access": {}}]});
    let made = scene.post("read-replicas", body).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let ready = scene.reaches(&format!("read-replicas/{id}"), "ready").await;
    (id, ready["endpoints"][0].clone())
}

/// Until a replica has so many rows: it follows at its own pace.
async fn follows(client: &Connected, rows: i64) {
    let mut again = tokio::time::interval(Duration::from_millis(20));
    let awaited = async {
        while client.number(COUNT).await != rows {
            again.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), awaited).await.expect("the replica follows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_replica_follows_and_takes_no_writes() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let client = scene.connect(&instance).await;
    client.run("CREATE TABLE orders AS SELECT generate_series(1, 10) AS id").await;
    let began = std::time::Instant::now();
    let (id, endpoint) = replica(&scene, &instance).await;
    println!("a read replica in {:?}", began.elapsed());
    assert_ne!(endpoint["port"], scene.get(&format!("instances/{instance}")).await["endpoint"]["port"]);
    let reader = scene.connect_at(&endpoint, &instance, "rdb", PASSWORD).await.unwrap();
    follows(&reader, 10).await;
    client.run("INSERT INTO orders VALUES (11), (12)").await;
    follows(&reader, 12).await;
    let refused = reader.attempt("INSERT INTO orders VALUES (13)").await.unwrap_err();
    assert!(refused.contains("read-only transaction"), "{refused}");

    let path = format!("read-replicas/{id}");
    let reset = scene.post(&format!("{path}/reset"), json!({})).await;
    assert_eq!((&reset["status"], &reset["endpoints"][0]), (&json!("ready"), &endpoint));
    let reader = scene.connect_at(&endpoint, &instance, "rdb", PASSWORD).await.unwrap();
    follows(&reader, 12).await;

    // It dies, and comes back; the instance shows it all the while.
    let since = scene.now();
    scene.server.planes().unwrap().kill(&id).unwrap();
    scene.went_through(&id, &["error", "ready"], since).await;
    assert_eq!(scene.get(&path).await["status"], "ready");
    scene.until(&format!("instances/{instance}"), |instance| instance["read_replicas"][0]["status"] == "ready").await;
    let reader = scene.connect_at(&endpoint, &instance, "rdb", PASSWORD).await.unwrap();
    follows(&reader, 12).await;

    scene.delete(&path).await;
    scene.until(&path, |answer| answer["type"] == "not_found").await;
    assert!(scene.connect_at(&endpoint, &instance, "rdb", PASSWORD).await.is_err());
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_goes_its_own_way() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let client = scene.connect(&instance).await;
    client.run("CREATE TABLE orders AS SELECT generate_series(1, 10) AS id").await;
    let (id, endpoint) = replica(&scene, &instance).await;
    follows(&scene.connect_at(&endpoint, &instance, "rdb", PASSWORD).await.unwrap(), 10).await;
    let promoted = scene.post(&format!("read-replicas/{id}/promote"), json!({})).await;
    let promoted = promoted["id"].as_str().unwrap().to_owned();
    scene.reaches(&format!("instances/{promoted}"), "ready").await;
    let own = scene.connect(&promoted).await;
    assert_eq!(own.number(COUNT).await, 10);
    own.run("DELETE FROM orders WHERE id > 3").await;
    client.run("INSERT INTO orders VALUES (11)").await;
    assert_eq!((own.number(COUNT).await, client.number(COUNT).await), (3, 11));
    let kept = crate::scene::names(&scene.planes("databases/instances"));
    assert!(!kept.contains(&id) && kept.contains(&promoted), "{kept:?}");
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_in_a_private_network_answers_there() {
    let scene = scene!();
    let network = scene.post("/vpc/v2/regions/fr-par/private-networks", json!({"subnets": ["10.1.0.0/24"]})).await;
    let network = network["id"].as_str().unwrap().to_owned();
    let instance = scene.instance(json!({})).await;
    scene.connect(&instance).await.run("CREATE TABLE orders AS SELECT generate_series(1, 5) AS id").await;
    let spec = json!([{"private_network": {"private_network_id": network, "service_ip": "10.1.0.9/24"}}]);
    let made = scene.post("read-replicas", json!({"instance_id": instance, "endpoint_spec": spec})).await;
    let path = format!("read-replicas/{}", made["id"].as_str().unwrap());
    scene.reaches(&path, "ready").await;
    let inside = "10.1.0.9:5432".parse().unwrap();
    match scene.server.planes().unwrap().tunnel(&network, inside).await {
        Err(why) => eprintln!("SKIPPED: the private endpoint of a replica: {why}"),
        Ok(tunnel) => {
            let endpoint = json!({"ip": tunnel.ip().to_string(), "port": tunnel.port()});
            follows(&scene.connect_at(&endpoint, &instance, "rdb", PASSWORD).await.unwrap(), 5).await;
        }
    }
    scene.stop().await;
}

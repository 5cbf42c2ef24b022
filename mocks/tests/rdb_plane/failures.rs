//! Servers die: what the API tells of it, and what is left.

use serde_json::json;
use tokio::sync::watch;

use crate::scene::scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_seen_and_comes_back_with_what_was_committed() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    scene.connect(&instance).await.run("CREATE TABLE orders AS SELECT generate_series(1, 9) AS id").await;
    let path = format!("instances/{instance}");
    let (began, since) = (std::time::Instant::now(), scene.now());
    scene.server.planes().unwrap().kill(&instance).unwrap();
    scene.went_through(&instance, &["autohealing", "ready"], since).await;
    assert_eq!(scene.get(&path).await["status"], "ready");
    println!("back after {:?}", began.elapsed());
    assert_eq!(scene.connect(&instance).await.number("SELECT count(*) FROM orders").await, 9);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_start_is_an_error_until_it_can() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let path = format!("instances/{instance}");
    let control = scene.planes(&format!("databases/instances/{instance}/a/global/pg_control"));
    let away = control.with_extension("away");
    std::fs::rename(&control, &away).unwrap();
    scene.server.planes().unwrap().kill(&instance).unwrap();
    scene.reaches(&path, "error").await;
    std::fs::rename(&away, &control).unwrap();
    scene.reaches(&path, "ready").await;
    scene.connect(&instance).await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_fails_over_with_every_acknowledged_commit() {
    let scene = scene!();
    let instance = scene.instance(json!({"is_ha_cluster": true})).await;
    let path = format!("instances/{instance}");
    let client = scene.connect(&instance).await;
    client.run("CREATE TABLE orders (id int PRIMARY KEY)").await;
    let before = client.text("SELECT pg_postmaster_start_time()::text").await;
    let (told, mut heard) = watch::channel(0_i64);
    let writing = tokio::spawn(async move {
        let mut id = 0;
        while client.attempt(&format!("INSERT INTO orders VALUES ({})", id + 1)).await.is_ok() {
            id += 1;
            told.send_replace(id);
        }
        id
    });
    heard.wait_for(|id| *id > 50).await.unwrap();
    let (began, since) = (std::time::Instant::now(), scene.now());
    scene.server.planes().unwrap().kill(&instance).unwrap();
    let last = writing.await.unwrap();
    scene.went_through(&instance, &["autohealing", "ready"], since).await;
    assert_eq!(scene.get(&path).await["status"], "ready");
    println!("failed over in {:?} after {last} commits", began.elapsed());
    let client = scene.connect(&instance).await;
    assert_eq!(client.number(&format!("SELECT count(*) FROM orders WHERE id <= {last}")).await, last);
    client.run("INSERT INTO orders VALUES (-1)").await;
    assert_ne!(client.text("SELECT pg_postmaster_start_time()::text").await, before);
    scene.stop().await;
}

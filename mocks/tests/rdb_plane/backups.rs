//! Backups hold data: restored, exported, made by the schedule, and gone with their time.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use stackproof_cloud::kernel::Profile;

use crate::scene::{PASSWORD, Scene, names, scene};

const DAY: u64 = 24 * 3600;
const COUNT: &str = "SELECT count(*) FROM orders";

async fn back_up(scene: &Scene, instance: &str, name: &str) -> Value {
    scene.post("backups", json!({"instance_id": instance, "database_name": "rdb", "name": name})).await
}

fn id(made: &Value) -> &str {
    made["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_where_it_was_made_and_elsewhere() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let client = scene.connect(&instance).await;
    client.run("CREATE TABLE orders AS SELECT generate_series(1, 5000) AS id").await;
    let began = std::time::Instant::now();
    let backup = back_up(&scene, &instance, "before").await;
    println!("backup made in {:?}", began.elapsed());
    assert_eq!(backup["status"], "ready", "the answer waits: {backup}");
    let file = scene.planes(&format!("backups/{}.dump", id(&backup)));
    assert_eq!(backup["size"].as_u64().unwrap(), file.metadata().unwrap().len());
    assert!(backup["size"].as_u64().unwrap() > 5_000, "{backup}");

    client.run("DELETE FROM orders WHERE id > 10").await;
    let path = format!("backups/{}/restore", id(&backup));
    let began = std::time::Instant::now();
    let restored = scene.post(&path, json!({"instance_id": instance})).await;
    println!("restored in {:?}", began.elapsed());
    assert_eq!(restored["status"], "ready");
    // Privileges on what was restored are there, too.
    assert_eq!(client.number(COUNT).await, 5000);
    client.run("INSERT INTO orders VALUES (5001)").await;

    let other = scene.instance(json!({"name": "other"})).await;
    scene.post(&path, json!({"instance_id": other, "database_name": "copy"})).await;
    let listed = scene.get(&format!("instances/{other}/databases?name=copy")).await;
    assert_eq!(listed["total_count"], 1, "it is made where it is missing");
    scene.permit(&other, "copy").await;
    let client = scene.connect_to(&other, "copy", PASSWORD).await.unwrap();
    assert_eq!(client.number(COUNT).await, 5000);

    scene.delete(&format!("backups/{}", id(&backup))).await;
    assert!(!file.exists(), "its file goes with it");
    scene.until(&format!("backups/{}", id(&backup)), |answer| answer["type"] == "not_found").await;
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_backup_can_be_downloaded_for_a_day() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    scene.connect(&instance).await.run("CREATE TABLE orders (id int)").await;
    let backup = back_up(&scene, &instance, "kept").await;
    assert_eq!(backup["download_url"], Value::Null);
    let path = format!("backups/{}", id(&backup));
    let exported = scene.post(&format!("{path}/export"), json!({})).await;
    assert_eq!(exported["status"], "ready", "{exported}");
    let url = exported["download_url"].clone();
    // As recorded: kept in another region, for a day.
    assert!(url.as_str().unwrap().starts_with("https://s3.nl-ams.scw.cloud/"), "{url}");
    assert!(url.as_str().unwrap().contains("X-Amz-Expires=86400&"), "{url}");
    assert_eq!(exported["updated_at"], backup["updated_at"]);
    let (status, bytes) = scene.download(&url).await;
    assert_eq!((status, &bytes[..5]), (200, b"PGDMP".as_slice()));
    assert_eq!(bytes.len() as u64, exported["size"].as_u64().unwrap());
    let tampered = url.as_str().unwrap().replace("X-Amz-Expires=86400", "X-Amz-Expires=86401");
    assert_eq!(scene.download(&json!(tampered)).await.0, 403);

    scene.pass(DAY + 60).await;
    let later = scene.until(&path, |backup| backup["download_url"].is_null()).await;
    assert_eq!((&later["status"], &later["download_url_expires_at"]), (&json!("ready"), &Value::Null));
    assert_eq!(scene.download(&url).await.0, 404, "over");
    let again = scene.post(&format!("{path}/export"), json!({})).await;
    assert_eq!(scene.download(&again["download_url"]).await.0, 200);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_makes_backups_with_data_and_keeps_them_as_long_as_it_says() {
    let scene = scene!(Profile::Manual);
    let body = json!({
        "name": "main", "engine": "PostgreSQL-15", "node_type": "db-dev-s", "user_name": "app", "password": PASSWORD,
    });
    let made = scene.post("instances", body).await;
    let instance = id(&made).to_owned();
    assert_eq!(made["status"], "provisioning");
    scene.pass(240).await;
    scene.reaches(&format!("instances/{instance}"), "ready").await;
    scene.permit(&instance, "rdb").await;
    // Where time passes, an answer does not wait for the server.
    scene.connects(&instance).await.run("CREATE TABLE orders AS SELECT generate_series(1, 300) AS id").await;

    let list = format!("backups?instance_id={instance}");
    scene.pass(DAY).await;
    scene.until(&list, |list| list["total_count"] == 1).await;
    scene.pass(60).await;
    let list = scene.until(&list, |list| list["database_backups"][0]["status"] == "ready").await;
    let backup = list["database_backups"][0].clone();
    assert!(backup["size"].as_u64().unwrap() > 1255, "{backup}");
    let file = scene.planes(&format!("backups/{}.dump", id(&backup)));
    assert!(file.exists());

    scene.connect(&instance).await.run("DROP TABLE orders").await;
    let path = format!("backups/{}", id(&backup));
    let restoring = scene.post(&format!("{path}/restore"), json!({"instance_id": instance})).await;
    assert_eq!(restoring["status"], "restoring");
    scene.pass(60).await;
    scene.reaches(&path, "ready").await;
    assert_eq!(scene.connect(&instance).await.number(COUNT).await, 300);

    // The seventh day after it was made is its last.
    scene.pass(7 * DAY).await;
    scene.until(&path, |answer| answer["type"] == "not_found").await;
    gone(&scene, &file).await;
    scene.stop().await;
}

/// Until a file is gone: what was behind a record goes after it.
async fn gone(scene: &Scene, file: &std::path::Path) {
    let mut committed = scene.server.front().cloud().store().committed();
    let mut again = tokio::time::interval(Duration::from_millis(20));
    let awaited = async {
        while file.exists() {
            tokio::select! {
                _ = committed.changed() => {}
                _ = again.tick() => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), awaited).await.expect("the file goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_backed_up_or_restored_says_so() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let backup = back_up(&scene, &instance, "b").await;
    let path = format!("backups/{}", id(&backup));
    // Its file is lost.
    std::fs::remove_file(scene.planes(&format!("backups/{}.dump", id(&backup)))).unwrap();
    let answer = scene.post(&format!("{path}/restore"), json!({"instance_id": instance})).await;
    assert_eq!(answer["status"], "error", "{answer}");
    assert_eq!(scene.get(&format!("instances/{instance}")).await["status"], "ready");
    // MySQL has no server here: its backups hold nothing, and say so.
    let mysql = scene
        .post("instances", json!({"name": "my", "engine": "MySQL-8", "node_type": "db-dev-s", "disable_backup": true}))
        .await;
    let empty = back_up(&scene, id(&mysql), "e").await;
    assert_eq!((&empty["status"], &empty["size"]), (&json!("ready"), &json!(1255)));
    let (status, refused) = scene.send(Method::POST, &format!("backups/{}/export", id(&empty)), json!({})).await;
    assert_eq!(status, 412, "{refused}");
    let into = json!({"instance_id": id(&mysql)});
    let another = back_up(&scene, &instance, "c").await;
    let (status, refused) = scene.send(Method::POST, &format!("backups/{}/restore", id(&another)), into).await;
    assert_eq!((status, &refused["details"][0]["argument_name"]), (400, &json!("instance_id")));
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_survive_a_restart_of_the_cloud_and_unknown_files_are_swept() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    scene.connect(&instance).await.run("CREATE TABLE orders AS SELECT generate_series(1, 20) AS id").await;
    let backup = back_up(&scene, &instance, "kept").await;
    let snapshot = scene.post(&format!("instances/{instance}/snapshots"), json!({"name": "kept"})).await;
    std::fs::write(scene.planes("backups/11111111-1111-4111-8111-111111111111.dump"), "left").unwrap();
    std::fs::create_dir(scene.planes("databases/snapshots/left")).unwrap();
    let scene = scene.restart().await;
    assert_eq!(names(&scene.planes("backups")), [format!("{}.dump", id(&backup))]);
    assert_eq!(names(&scene.planes("databases/snapshots")), [id(&snapshot)]);
    scene.until(&format!("instances/{instance}"), |instance| instance["status"] == "ready").await;
    let restore = format!("backups/{}/restore", id(&backup));
    assert_eq!(scene.post(&restore, json!({"instance_id": instance})).await["status"], "ready");
    assert_eq!(scene.connect(&instance).await.number(COUNT).await, 20);
    scene.stop().await;
}

//! Snapshots, clones and major upgrades: other instances with the data.

use serde_json::json;

use crate::scene::{names, scene};

const COUNT: &str = "SELECT count(*) FROM orders";

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_made_of_a_snapshot_has_the_data_of_its_moment() {
    let scene = scene!();
    let instance = scene.instance(json!({})).await;
    let client = scene.connect(&instance).await;
    client.run("CREATE TABLE orders AS SELECT generate_series(1, 400) AS id").await;
    let began = std::time::Instant::now();
    let snapshot = scene.post(&format!("instances/{instance}/snapshots"), json!({"name": "s"})).await;
    println!("snapshot made in {:?}", began.elapsed());
    assert_eq!(snapshot["status"], "ready");
    client.run("DELETE FROM orders").await;
    let path = format!("snapshots/{}", snapshot["id"].as_str().unwrap());
    let began = std::time::Instant::now();
    let copy = scene.post(&format!("{path}/create-instance"), json!({"instance_name": "copy"})).await;
    let copy = copy["id"].as_str().unwrap().to_owned();
    scene.reaches(&format!("instances/{copy}"), "ready").await;
    println!("instance of a snapshot in {:?}", began.elapsed());
    let client = scene.connect(&copy).await;
    assert_eq!(client.number(COUNT).await, 400);
    client.run("INSERT INTO orders VALUES (401)").await;
    // The snapshot is not needed any more, and its files go with it.
    scene.delete(&path).await;
    scene.until(&path, |answer| answer["type"] == "not_found").await;
    assert_eq!(names(&scene.planes("databases/snapshots")), Vec::<String>::new());
    let scene = scene.restart().await;
    scene.reaches(&format!("instances/{copy}"), "ready").await;
    // What the API says comes first; the server follows.
    scene.post(&format!("instances/{copy}/restart"), json!({})).await;
    assert_eq!(scene.connect(&copy).await.number(COUNT).await, 401);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_and_a_major_upgrade_have_the_data_and_leave_the_original_alone() {
    let scene = scene!();
    let instance = scene.instance(json!({"engine": "PostgreSQL-14"})).await;
    scene.connect(&instance).await.run("CREATE TABLE orders AS SELECT generate_series(1, 70) AS id").await;
    let copy = scene.post(&format!("instances/{instance}/clone"), json!({"name": "clone"})).await;
    let target = scene.get(&format!("instances/{instance}")).await["upgradable_version"][0]["id"].clone();
    let workflow = json!({"major_upgrade_workflow": {"upgradable_version_id": target, "with_endpoints": false}});
    let upgraded = scene.post(&format!("instances/{instance}/upgrade"), workflow).await;
    assert_eq!(upgraded["engine"], "PostgreSQL-15");
    for other in [&copy, &upgraded] {
        let other = other["id"].as_str().unwrap();
        scene.reaches(&format!("instances/{other}"), "ready").await;
        let client = scene.connect(other).await;
        assert_eq!(client.number(COUNT).await, 70);
        client.run("DELETE FROM orders").await;
    }
    assert_eq!(scene.connect(&instance).await.number(COUNT).await, 70);
    assert_eq!(names(&scene.planes("databases/snapshots")), Vec::<String>::new(), "the copy on the way is gone");
    scene.stop().await;
}

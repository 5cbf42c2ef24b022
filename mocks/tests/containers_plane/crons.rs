//! Schedules, by the cloud's clock.

use serde_json::{Value, json};
use stackproof_cloud::kernel::Profile;

use crate::scene::{Container, Scene, TRIGGERS};

/// A trigger of a container with this schedule in Paris.
async fn trigger(scene: &Scene, container: &Container<'_>, schedule: &str) -> String {
    let body = json!({
        "container_id": container.id, "name": "tidy",
        "cron_config": {
            "schedule": schedule, "timezone": "Europe/Paris", "body": "{\"tidy\": true}", "headers": {"X-Why": "cron"},
        },
        "destination_config": {"http_path": "/echo?by=clock", "http_method": "put"},
    });
    let made = scene.make(TRIGGERS, body).await;
    format!("{TRIGGERS}/{}", made["id"].as_str().unwrap())
}

/// A container that runs in a cloud whose time stands still.
async fn running(scene: &Scene) -> Container<'_> {
    let container = scene.container(json!({"privacy": "private"})).await;
    scene.advance(60).await;
    container.becomes(|shown| shown["status"] == "ready").await;
    container
}

fn fired(metrics: &Value) -> u64 {
    metrics["triggers"][0]["fired"].as_u64().unwrap()
}

pub(crate) async fn a_schedule_calls_its_container() {
    let scene = Scene::with(Profile::Manual).await;
    let container = running(&scene).await;
    let trigger = trigger(&scene, &container, "30 */6 * * *").await;
    // A day has four of them, and the answer to the clock's turn waits for them.
    scene.advance(24 * 3600).await;
    let metrics = container.at_rest().await;
    assert_eq!((fired(&metrics), &metrics["triggers"][0]["failed"]), (4, &json!(0)), "{metrics}");
    assert_eq!(metrics["requests"]["by_status"], json!({"200": 4}));
    let logs = container.logs().await;
    let said: Vec<&str> = logs.lines().filter(|line| line.contains("echo ")).collect();
    assert_eq!(said.len(), 4, "{logs}");
    for line in said {
        let parts = [
            "echo PUT /echo?by=clock HTTP/1.1|",
            "x-why: cron|",
            "content-type: application/json|",
            "||{\"tidy\": true}",
        ];
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    let last = metrics["triggers"][0]["last"]["at"].as_str().unwrap();
    let hour: u32 = last[11..13].parse().unwrap();
    assert!([4, 5, 10, 11, 16, 17, 22, 23].contains(&hour) && &last[14..] == "30:00Z", "{last}");
    assert_eq!(scene.read(&trigger).await["status"], "ready");
    scene.end().await;
}

pub(crate) async fn a_schedule_that_was_changed_or_removed_calls_no_more() {
    let scene = Scene::with(Profile::Manual).await;
    let container = running(&scene).await;
    let trigger = trigger(&scene, &container, "0 * * * *").await;
    scene.advance(3600).await;
    assert_eq!(fired(&container.metrics().await), 1);
    scene.change(&trigger, json!({"cron_config": {"schedule": "0 0 1 1 *"}})).await;
    scene.advance(3600).await;
    assert_eq!(fired(&container.metrics().await), 1);
    let (status, _) = scene.api(reqwest::Method::DELETE, &trigger, Value::Null).await;
    assert_eq!(status, 200);
    scene.advance(3600 * 24 * 366).await;
    let metrics = container.at_rest().await;
    assert_eq!((&metrics["triggers"], &metrics["requests"]["total"]), (&json!([]), &json!(1)));
    scene.end().await;
}

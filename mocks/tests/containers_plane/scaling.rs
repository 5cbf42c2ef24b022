//! How many instances there are.

use serde_json::{Value, json};

use crate::scene::Scene;

fn running(count: u64) -> impl Fn(&Value) -> bool {
    move |metrics| metrics["instances"]["running"] == count
}

pub(crate) async fn what_nobody_asks_sleeps_by_the_clouds_clock() {
    let scene = Scene::new().await;
    let container = scene.container(json!({})).await;
    assert_eq!(container.metrics().await["instances"]["running"], 1, "it was shown to run");
    scene.advance(14 * 60).await;
    assert_eq!(container.metrics().await["instances"]["running"], 1);
    scene.advance(60).await;
    container.measures(running(0)).await;
    assert_eq!(container.shown().await["status"], "ready");
    assert_eq!(container.ask("/health").await, (200, "well".into()), "who asks wakes it");
    let metrics = container.measures(running(1)).await;
    assert_eq!((&metrics["instances"]["started"], &metrics["instances"]["lost"]), (&json!(2), &json!(0)));
    // What is to be kept is kept.
    scene.change(&container.path, json!({"min_scale": 1})).await;
    scene.advance(3600).await;
    container.measures(running(1)).await;
    scene.end().await;
}

pub(crate) async fn there_are_as_many_as_requests_need() {
    let scene = Scene::new().await;
    let settings = json!({"max_scale": 3, "scaling_option": {"concurrent_requests_threshold": 2}});
    let container = scene.container(settings).await;
    let slow = futures::future::join_all((0..8).map(|_| container.ask("/slow?1500")));
    let (answers, _) = tokio::join!(slow, container.measures(|metrics| metrics["instances"]["ready"] == 3));
    // Three take two each; the rest wait for them.
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    scene.advance(30).await;
    container.measures(running(1)).await;
    scene.end().await;
}

pub(crate) async fn there_are_as_many_as_the_use_of_processors_needs() {
    let scene = Scene::new().await;
    let settings = json!({"max_scale": 2, "mvcpu_limit": 200, "scaling_option": {"cpu_usage_threshold": 50}});
    let container = scene.container(settings).await;
    let (spun, _) =
        tokio::join!(container.ask("/spin?4000"), container.measures(|metrics| metrics["instances"]["ready"] == 2));
    assert_eq!(spun, (200, "spun".into()));
    scene.end().await;
}

pub(crate) async fn files_have_a_limit() {
    let scene = Scene::new().await;
    let container = scene.container(json!({"min_scale": 1, "local_storage_limit_bytes": 8_000_000})).await;
    assert_eq!(container.ask("/write?9").await, (200, "wrote".into()));
    container.was("error").await;
    container.becomes(|shown| shown["status"] == "ready").await;
    assert_eq!(container.metrics().await["instances"]["lost"], 1);
    scene.end().await;
}

//! Containers that do not run say so as Scaleway does, and the whole reason is told where it can be looked up.

use serde_json::{Value, json};

use crate::scene::{Container, Scene};

/// A container that does not come to run: it is told in Scaleway's words, its host answers 503, and the control API
/// tells the whole reason.
async fn fails(settings: Value, message: &str, reason: &str) {
    let scene = Scene::new().await;
    scene.push("app:other", &json!({"architecture": "riscv64"})).await;
    let container = scene.container(settings).await;
    told(&scene, &container, message, reason).await;
    let (status, body) = container.ask("/").await;
    assert_eq!(status, 503, "{body}");
    scene.end().await;
}

async fn told(scene: &Scene, container: &Container<'_>, message: &str, reason: &str) {
    let shown = container.shown().await;
    assert_eq!((&shown["status"], &shown["error_message"]), (&json!("error"), &json!(message)));
    let troubles = scene.told("/planes").await["troubles"].clone();
    assert_eq!((&troubles[0]["id"], &troubles[0]["name"]), (&json!(container.id), &json!("web")));
    let told = troubles[0]["reason"].as_str().unwrap();
    assert!(told.contains(reason), "{told}");
}

const UNABLE: &str = "Container is unable to start OR is not listening on port 8080";

/// A second to start, so that nobody waits longer for what never will.
fn soon() -> Value {
    json!({"failure_threshold": 1, "interval": "1s", "timeout": "1s", "tcp": {}})
}

pub(crate) async fn an_image_that_is_not_there() {
    let message = "Unable to fetch image \"rg.fr-par.scw.cloud/team/app:2\": failed to resolve image to digest: HEAD \
                   https://rg.fr-par.scw.cloud/v2/team/app/manifests/2: unexpected status code 404 Not Found (HEAD \
                   responses have no body, use GET for details)";
    fails(json!({"image": "rg.fr-par.scw.cloud/team/app:2"}), message, "the image has no such tag").await;
}

pub(crate) async fn an_image_of_another_registry() {
    let message = "Unable to fetch image \"nginx:alpine\": the local cloud pulls from its own registry only";
    fails(json!({"image": "nginx:alpine"}), message, "the image names no registry").await;
}

pub(crate) async fn a_process_that_listens_elsewhere() {
    let settings = json!({"environment_variables": {"LISTEN": "9999"}, "startup_probe": soon()});
    fails(settings, UNABLE, "not listening on port 8080 within 1s").await;
}

pub(crate) async fn a_process_that_listens_to_itself() {
    let settings = json!({"args": ["serve", "127.0.0.1"], "startup_probe": soon()});
    fails(settings, UNABLE, "listening on port 8080 of 127.0.0.1 only: listen on 0.0.0.0").await;
}

pub(crate) async fn a_process_that_ends_at_once() {
    fails(json!({"args": ["exit", "3"]}), UNABLE, "it ended with code 3").await;
}

pub(crate) async fn a_process_that_needs_more_memory_than_it_may() {
    fails(json!({"args": ["eat"], "memory_limit_bytes": 128_000_000}), UNABLE, "it was killed: out of memory").await;
}

pub(crate) async fn a_process_that_is_never_well() {
    let probe = json!({"failure_threshold": 1, "interval": "1s", "timeout": "1s", "http": {"path": "/nowhere"}});
    let settings = json!({"startup_probe": probe});
    fails(settings, UNABLE, "startup check failed for 1s: GET /nowhere answered 404 Not Found").await;
}

pub(crate) async fn an_image_for_another_machine() {
    let reason = "it is for linux/riscv64, this machine is linux/";
    fails(json!({"image": "rg.fr-par.scw.cloud/team/app:other"}), UNABLE, reason).await;
}

pub(crate) async fn a_command_that_is_not_there() {
    let reason = "exec not found: \"not-there\" is not in the image";
    fails(json!({"command": ["not-there"]}), UNABLE, reason).await;
}

pub(crate) async fn a_process_that_crashes_comes_back() {
    let scene = Scene::new().await;
    let container = scene.container(json!({"min_scale": 1, "max_scale": 1})).await;
    assert_eq!((container.ask("/health").await, &container.made["status"]), ((200, "well".into()), &json!("ready")));
    assert_eq!(container.ask("/crash").await.0, 502);
    container.was("error").await;
    // Each time after a longer pause, in which who asks is refused.
    let back = container.becomes(|shown| shown["status"] == "ready").await;
    assert_eq!(back["error_message"], "");
    assert_eq!(container.ask("/health").await, (200, "well".into()));
    assert_eq!(scene.told("/planes").await["troubles"], json!([]));
    assert_eq!(container.metrics().await["instances"]["lost"], 1);
    scene.end().await;
}

pub(crate) async fn what_failed_runs_when_it_is_put_right() {
    let scene = Scene::new().await;
    let container = scene.container(json!({"args": ["exit", "3"]})).await;
    told(&scene, &container, UNABLE, "it ended with code 3").await;
    let changed = scene.change(&container.path, json!({"args": ["serve"]})).await;
    assert_eq!((&changed["status"], &changed["error_message"]), (&json!("ready"), &json!("")));
    assert_eq!(container.ask("/health").await, (200, "well".into()));
    scene.end().await;
}

//! A new deployment, while requests come.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::scene::Scene;

pub(crate) async fn nothing_is_lost() {
    let scene = Scene::new().await;
    let settings = json!({"min_scale": 1, "max_scale": 2, "environment_variables": {"VERSION": "1"}});
    let container = scene.container(settings).await;
    // A new image, that is the same but for what it calls itself.
    scene.push("app:2", &json!({"author": "another"})).await;
    let done = AtomicBool::new(false);
    let (stop, asked) = (&done, &container);
    let asking = |path: &'static str| async move {
        let mut answers = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            answers.push(asked.ask(path).await);
        }
        answers
    };
    let changes = async {
        let ready = |changed: serde_json::Value| assert_eq!(changed["status"], "ready", "{changed}");
        ready(scene.change(&container.path, json!({"environment_variables": {"VERSION": "2"}})).await);
        assert_eq!(container.ask("/version").await, (200, "2".into()));
        let image = "rg.fr-par.scw.cloud/team/app:2";
        ready(scene.change(&container.path, json!({"image": image})).await);
        ready(scene.make(&format!("{}/redeploy", container.path), json!({})).await);
        let last = json!({"environment_variables": {"VERSION": "3"}, "image": "rg.fr-par.scw.cloud/team/app:1"});
        ready(scene.change(&container.path, last).await);
        // Until those before have ended.
        container.measures(|metrics| metrics["instances"]["running"] == 1).await;
        done.store(true, Ordering::Relaxed);
    };
    let quick = ["/version"; 4].map(asking);
    let slow = ["/slow?300"; 2].map(asking);
    let (quick, slow, ()) = tokio::join!(futures::future::join_all(quick), futures::future::join_all(slow), changes);
    let mut count = 0;
    for answers in quick {
        let versions: Vec<&str> = answers.iter().map(|(_, body)| body.as_str()).collect();
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        assert!(versions.is_sorted() && versions.last() == Some(&"3"), "{versions:?}");
        count += answers.len();
    }
    for (status, body) in slow.iter().flatten() {
        assert_eq!((*status, body.as_str()), (200, "slow"));
        count += 1;
    }
    let metrics = container.at_rest().await;
    assert_eq!(metrics["instances"]["started"], 5, "one for each deployment");
    assert_eq!(metrics["requests"]["by_status"], json!({"200": count + 1}));
    println!("{count} requests during four deployments, none lost");
    scene.end().await;
}

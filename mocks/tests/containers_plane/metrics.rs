//! What is counted of a container.

use serde_json::json;

use crate::scene::Scene;

pub(crate) async fn what_happens_is_counted() {
    let scene = Scene::new().await;
    let container = scene.container(json!({})).await;
    for path in ["/health", "/spin?300", "/nowhere"] {
        container.ask(path).await;
    }
    let metrics = container.at_rest().await;
    let requests = json!({"total": 3, "under_way": 0, "waiting": 0, "by_status": {"200": 2, "404": 1}});
    assert_eq!(metrics["requests"], requests);
    let durations = &metrics["duration_seconds"];
    assert_eq!(durations["count"], 3);
    assert!(durations["sum"].as_f64().unwrap() >= 0.3, "{durations}");
    let up_to = |le: f64| {
        let bucket = durations["buckets"].as_array().unwrap().iter().find(|bucket| bucket["le"] == le).unwrap();
        bucket["count"].as_u64().unwrap()
    };
    assert!(up_to(0.25) <= 2 && up_to(60.0) == 3, "{durations}");
    assert_eq!(metrics["instances"], json!({"running": 1, "ready": 1, "started": 1, "lost": 0}));
    let cpu = metrics["cpu_seconds"].as_f64().unwrap();
    assert!((0.02..5.0).contains(&cpu), "{cpu}");
    assert!(metrics["memory_bytes"].as_u64().unwrap() > 10_000, "{metrics}");
    // What those used that have ended is not forgotten.
    scene.make(&format!("{}/redeploy", container.path), json!({})).await;
    let after = container.measures(|metrics| metrics["instances"]["running"] == 1).await;
    assert!(after["cpu_seconds"].as_f64().unwrap() >= cpu, "{after}");
    assert_eq!(after["requests"]["total"], 3);
    scene.end().await;
}

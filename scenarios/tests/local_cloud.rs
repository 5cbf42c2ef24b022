//! What the local cloud promises about itself: it starts at once, and loses nothing it has acknowledged.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::Method;
use serde_json::json;
use stackproof::target::{Api, CloudProcess, Launch, ObjectStorage};

const ROUNDS: usize = 50;
const WORKERS: usize = 4;
const BUCKET: &str = "survivors";

/// What was acknowledged: what has to be there after the next start.
#[derive(Default)]
struct Acknowledged {
    applications: Vec<String>,
    objects: Vec<(String, Vec<u8>)>,
}

/// Kill -9 at 50 random moments under load: after each restart everything acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_cloud_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch { keep: true, ..Launch::new(folder.path()) };
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let mut lost_answers = 0;
    for round in 0..ROUNDS {
        let cloud = CloudProcess::launch(&launch).await.unwrap();
        let environment = cloud.environment(true);
        let api = Api::new(&environment).unwrap();
        let storage = ObjectStorage::new(&environment, Some(&cloud.ready().s3_url)).unwrap();
        if round == 0 {
            assert_eq!(storage.create_bucket(BUCKET).await.unwrap(), 200);
        }
        check(&api, &storage, &acknowledged, round).await;
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (api, storage, acknowledged) = (api.clone(), storage.clone(), Arc::clone(&acknowledged));
                tokio::spawn(async move { load(&api, &storage, &acknowledged, round, worker).await })
            })
            .collect();
        // The moment is random; the seed would not make a kill repeatable, the kernel decides.
        let moment = Duration::from_micros(u64::from(uuid::Uuid::new_v4().as_fields().0) % 40_000 + 2_000);
        tokio::time::sleep(moment).await;
        cloud.kill().await.unwrap();
        for worker in workers {
            lost_answers += worker.await.unwrap();
        }
    }
    let cloud = CloudProcess::launch(&launch).await.unwrap();
    let api = Api::new(&cloud.environment(true)).unwrap();
    let storage = ObjectStorage::new(&cloud.environment(true), Some(&cloud.ready().s3_url)).unwrap();
    check(&api, &storage, &acknowledged, ROUNDS).await;
    let all = acknowledged.lock().unwrap();
    println!(
        "{} applications and {} objects acknowledged, {lost_answers} requests cut off",
        all.applications.len(),
        all.objects.len()
    );
    assert!(all.applications.len() > ROUNDS && all.objects.len() > ROUNDS, "the load was no load");
}

/// Writes until the cloud is gone; returns how many requests were cut off.
async fn load(
    api: &Api,
    storage: &ObjectStorage,
    acknowledged: &Mutex<Acknowledged>,
    round: usize,
    worker: usize,
) -> usize {
    for number in 0.. {
        let name = format!("r{round}-w{worker}-n{number}");
        if worker.is_multiple_of(2) {
            match api.send(Method::POST, "/iam/v1alpha1/applications", Some(json!({"name": name}))).await {
                Ok(answer) if answer.status == 200 => {
                    acknowledged.lock().unwrap().applications.push(answer.body["id"].as_str().unwrap().to_owned());
                }
                Ok(answer) => panic!("{answer:?}"),
                Err(_) => return 1,
            }
        } else {
            let content = name.repeat(50).into_bytes();
            match storage.put(BUCKET, &name, content.clone()).await {
                Ok(200) => acknowledged.lock().unwrap().objects.push((name, content)),
                Ok(status) => panic!("PUT {name} answered {status}"),
                Err(_) => return 1,
            }
        }
    }
    0
}

/// Everything acknowledged is there. The older ones were checked in earlier rounds; all are checked at the end.
async fn check(api: &Api, storage: &ObjectStorage, acknowledged: &Mutex<Acknowledged>, round: usize) {
    let (applications, objects) = {
        let all = acknowledged.lock().unwrap();
        let recent = if round == ROUNDS { usize::MAX } else { 100 };
        let from = |length: usize| length.saturating_sub(recent);
        (all.applications[from(all.applications.len())..].to_vec(), all.objects[from(all.objects.len())..].to_vec())
    };
    for id in applications {
        let answer = api.get(&format!("/iam/v1alpha1/applications/{id}")).await.unwrap();
        assert_eq!(answer.status, 200, "application {id} is lost after kill {round}");
    }
    for (key, content) in objects {
        let (status, seen) = storage.get(BUCKET, &key).await.unwrap();
        assert_eq!((status, seen == content), (200, true), "object {key} is lost after kill {round}");
    }
}

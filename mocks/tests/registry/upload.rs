//! Uploads: whole, in chunks, resumed, mounted.

use reqwest::{Method, Response};
use serde_json::json;

use crate::scene::{NAMESPACES, Scene, digest, header, refusal};

async fn begin(scene: &Scene) -> String {
    let begun = scene.request(Method::POST, "team/app/blobs/uploads/").send().await.unwrap();
    assert_eq!((begun.status().as_u16(), header(&begun, "range")), (202, "0-0".into()));
    header(&begun, "location")
}

async fn chunk(scene: &Scene, upload: &str, range: &str, bytes: &'static str) -> Response {
    scene.request(Method::PATCH, upload).header("content-range", range).body(bytes).send().await.unwrap()
}

async fn finish(scene: &Scene, upload: &str, of: &[u8], last: &'static str) -> Response {
    scene.request(Method::PUT, &format!("{upload}?digest={}", digest(of))).body(last).send().await.unwrap()
}

async fn pull(scene: &Scene, image: &str, of: &[u8]) -> (u16, Vec<u8>) {
    let got = scene.request(Method::GET, &format!("{image}/blobs/{}", digest(of))).send().await.unwrap();
    (got.status().as_u16(), got.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn an_upload_in_chunks_can_be_asked_how_far_it_is_and_resumed() {
    let scene = Scene::new().await;
    let upload = begin(&scene).await;
    assert_eq!(header(&chunk(&scene, &upload, "0-3", "one ").await, "range"), "0-3");
    let hasty = chunk(&scene, &upload, "8-12", "three").await;
    assert_eq!((hasty.status().as_u16(), header(&hasty, "range")), (416, "0-3".into()));
    let again = chunk(&scene, &upload, "0-3", "one ").await;
    assert_eq!(again.status(), 416);
    let status = scene.request(Method::GET, &upload).send().await.unwrap();
    assert_eq!((status.status().as_u16(), header(&status, "range")), (204, "0-3".into()));
    assert_eq!(chunk(&scene, &upload, "4-7", "two ").await.status(), 202);
    let done = finish(&scene, &upload, b"one two three", "three").await;
    assert_eq!(done.status(), 201);
    assert_eq!(header(&done, "docker-content-digest"), digest(b"one two three"));
    assert_eq!(pull(&scene, "team/app", b"one two three").await, (200, b"one two three".to_vec()));
    assert_eq!(scene.request(Method::GET, &upload).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn an_upload_goes_on_in_a_fork_of_the_cloud() {
    let state = tempfile::tempdir().unwrap();
    let scene = Scene::at(Some(state.path())).await;
    scene.make(NAMESPACES, json!({"name": "team"})).await;
    let pushed = scene.push("team/web:v1", b"layer").await;
    let upload = begin(&scene).await;
    chunk(&scene, &upload, "0-3", "one ").await;
    let fork = scene.fork().await;
    assert_eq!(finish(&fork, &upload, b"one two", "two").await.status(), 201);
    assert_eq!(pull(&fork, "team/app", b"one two").await.1, b"one two");
    assert_eq!(pull(&fork, "team/web", b"layer").await.1, b"layer");
    let manifest = fork.request(Method::HEAD, "team/web/manifests/v1").send().await.unwrap();
    assert_eq!(header(&manifest, "docker-content-digest"), pushed);
    assert_eq!(pull(&scene, "team/app", b"one two").await.0, 404, "the original knows nothing of it");
}

#[tokio::test]
async fn bytes_of_another_digest_are_refused() {
    let scene = Scene::new().await;
    let upload = begin(&scene).await;
    let refused = finish(&scene, &upload, b"what was meant", "what was sent").await;
    assert_eq!(refusal(refused).await, (400, "DIGEST_INVALID".into()));
    for bytes in [&b"what was meant"[..], b"what was sent"] {
        assert_eq!(pull(&scene, "team/app", bytes).await.0, 404);
    }
    let whole = format!("team/app/blobs/uploads/?digest={}", digest(b"meant"));
    let refused = scene.request(Method::POST, &whole).body("sent").send().await.unwrap();
    assert_eq!(refusal(refused).await, (400, "DIGEST_INVALID".into()));
}

#[tokio::test]
async fn an_upload_is_finished_with_a_digest_and_can_be_given_up() {
    let scene = Scene::new().await;
    let upload = begin(&scene).await;
    let refused = scene.request(Method::PUT, &upload).body("x").send().await.unwrap();
    assert_eq!(refusal(refused).await, (400, "DIGEST_INVALID".into()));
    let short = chunk(&scene, &upload, "0-9", "short").await;
    assert_eq!(refusal(short).await, (400, "SIZE_INVALID".into()));
    let nonsense = chunk(&scene, &upload, "from here", "x").await;
    assert_eq!(refusal(nonsense).await, (400, "BLOB_UPLOAD_INVALID".into()));
    assert_eq!(scene.request(Method::DELETE, &upload).send().await.unwrap().status(), 204);
    assert_eq!(refusal(finish(&scene, &upload, b"short", "").await).await, (404, "BLOB_UPLOAD_UNKNOWN".into()));
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let scene = Scene::new().await;
    let upload = begin(&scene).await;
    assert_eq!(finish(&scene, &upload, b"", "").await.status(), 201);
    assert_eq!(pull(&scene, "team/app", b"").await, (200, Vec::new()));
}

#[tokio::test]
async fn a_blob_is_mounted_from_where_the_caller_may_pull() {
    let scene = Scene::new().await;
    scene.make(NAMESPACES, json!({"name": "base"})).await;
    scene.push("base/os:v1", b"layer").await;
    assert_eq!(pull(&scene, "team/app", b"layer").await.0, 404, "a blob is its repository's");
    let mount = async |from: &str, of: &[u8]| {
        let path = format!("team/app/blobs/uploads/?mount={}&from={from}", digest(of));
        scene.request(Method::POST, &path).send().await.unwrap()
    };
    // What cannot be mounted has to be uploaded: an upload has begun.
    for (from, of) in [("base/os", &b"nothing"[..]), ("nobody/os", b"layer"), ("team/empty", b"layer")] {
        assert_eq!(mount(from, of).await.status(), 202, "{from}");
    }
    let mounted = mount("base/os", b"layer").await;
    assert_eq!(mounted.status(), 201);
    assert_eq!(header(&mounted, "location"), format!("/v2/team/app/blobs/{}", digest(b"layer")));
    assert_eq!(pull(&scene, "team/app", b"layer").await, (200, b"layer".to_vec()));
}

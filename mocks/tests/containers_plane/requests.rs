//! Requests on their way to a container.

use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::Version;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scene::{PATIENCE, Scene};

pub(crate) async fn headers_are_added_and_others_pass() {
    let scene = Scene::new().await;
    let container = scene.container(json!({})).await;
    let client = scene.other_client().build().unwrap();
    let request = client.post(format!("{}/echo?a=%20b", container.url)).header("x-mine", "kept").body("hello");
    let told = request.send().await.unwrap().text().await.unwrap();
    let host = container.url.trim_start_matches("https://");
    for part in
        ["POST /echo?a=%20b HTTP/1.1\n", "x-mine: kept\n", "x-forwarded-proto: https\n", "x-request-id: ", "\n\nhello"]
    {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert!(told.contains(&format!("host: {host}\n")) && told.contains("x-forwarded-for: 127.0.0.1"), "{told}");
    scene.end().await;
}

pub(crate) async fn one_that_takes_too_long_is_broken_off() {
    let scene = Scene::new().await;
    let container = scene.container(json!({"timeout": "10s"})).await;
    let began = Instant::now();
    let (slow, drip) = tokio::join!(container.ask("/slow?60000"), async {
        let mut body = container.get("/drip").await.bytes_stream();
        let mut parts = 0;
        while let Some(part) = body.next().await {
            match part {
                Ok(_) => parts += 1,
                Err(_) => return parts,
            }
        }
        panic!("an answer without end has ended well");
    });
    let took = began.elapsed();
    assert_eq!((slow.0, slow.1.contains("within its timeout of 10s")), (504, true), "{slow:?}");
    assert!(drip > 10, "{drip}");
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(20), "{took:?}");
    assert_eq!(container.ask("/health").await, (200, "well".into()), "the container itself is not ended");
    assert_eq!(container.at_rest().await["requests"]["by_status"], json!({"200": 2, "504": 1}));
    scene.end().await;
}

pub(crate) async fn a_websocket_is_carried_both_ways() {
    let scene = Scene::new().await;
    let container = scene.container(json!({})).await;
    let client = scene.other_client().http1_only().build().unwrap();
    let request = client.get(format!("{}/upgrade", container.url)).header("connection", "Upgrade");
    let request = request.header("upgrade", "websocket").header("sec-websocket-version", "13");
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["upgrade"]), (101, &"websocket".parse().unwrap()));
    let mut stream = answer.upgrade().await.unwrap();
    for said in [&b"one"[..], b"two", &[7; 100_000]] {
        let mut heard = vec![0; said.len()];
        let (mut from, mut to) = tokio::io::split(&mut stream);
        let both = async { tokio::try_join!(to.write_all(said), from.read_exact(&mut heard)) };
        tokio::time::timeout(PATIENCE, both).await.unwrap().unwrap();
        assert_eq!(heard, said);
    }
    assert_eq!(container.metrics().await["requests"]["under_way"], 1, "it keeps its container at work");
    drop(stream);
    let metrics = container.at_rest().await;
    assert_eq!(metrics["requests"]["by_status"], json!({"101": 1}));
    scene.end().await;
}

pub(crate) async fn http2_is_spoken_from_end_to_end() {
    let scene = Scene::new().await;
    let settings = json!({"protocol": "h2c", "environment_variables": {"SPEAK": "h2"}});
    let container = scene.container(settings).await;
    let client = scene.other_client().build().unwrap();
    let answer = client.get(&container.url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert!(answer.text().await.unwrap().starts_with("h2 "));
    // Who speaks HTTP/1.1 is understood, too; and so is a container that does by who speaks HTTP/2.
    let old = scene.other_client().http1_only().build().unwrap();
    let answer = old.get(&container.url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_11));
    assert!(answer.text().await.unwrap().starts_with("h2 "));
    let plain = scene.container(json!({"name": "plain"})).await;
    let answer = client.post(format!("{}/echo", plain.url)).body("over h2").send().await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert!(answer.text().await.unwrap().ends_with("\n\nover h2"));
    scene.end().await;
}

pub(crate) async fn plain_requests_are_sent_to_https() {
    let scene = Scene::new().await;
    let container = scene.container(json!({"https_connections_only": true})).await;
    let plain = container.url.replace("https://", "http://");
    let client = scene.other_client().build().unwrap();
    let answer = client.get(format!("{plain}/echo?x=1")).send().await.unwrap();
    let location = format!("{}/echo?x=1", container.url);
    assert_eq!((answer.status().as_u16(), &answer.headers()["location"]), (301, &location.parse().unwrap()));
    scene.change(&container.path, json!({"https_connection_only": false})).await;
    let told = client.get(format!("{plain}/echo?x=1")).send().await.unwrap().text().await.unwrap();
    assert!(told.contains("x-forwarded-proto: http\n"), "{told}");
    scene.end().await;
}

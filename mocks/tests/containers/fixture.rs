//! What the tests of this folder start from.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Fixture;

pub(crate) const NAMESPACES: &str = "/containers/v1/regions/fr-par/namespaces";
pub(crate) const CONTAINERS: &str = "/containers/v1/regions/fr-par/containers";
pub(crate) const DOMAINS: &str = "/containers/v1/regions/fr-par/domains";
pub(crate) const TRIGGERS: &str = "/containers/v1/regions/fr-par/triggers";
pub(crate) const TOKENS: &str = "/containers/v1beta1/regions/fr-par/tokens";
pub(crate) const NETWORKS: &str = "/vpc/v2/regions/fr-par/private-networks";
pub(crate) const IPS: &str = "/ipam/v1/regions/fr-par/ips";

pub(crate) async fn namespace(fixture: &Fixture) -> String {
    fixture.make(NAMESPACES, json!({"name": "shop"})).await
}

/// A container with these settings.
pub(crate) async fn container(fixture: &Fixture, settings: Value) -> Value {
    let namespace = namespace(fixture).await;
    let answer = fixture.post(CONTAINERS, with(json!({"namespace_id": namespace}), settings)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The least a container needs, with these settings laid over it.
pub(crate) fn with(more: Value, settings: Value) -> Value {
    let mut body = json!({"name": "web", "image": "nginx:alpine"});
    for layer in [more, settings] {
        body.as_object_mut().unwrap().extend(layer.as_object().unwrap().clone());
    }
    body
}

pub(crate) fn item(collection: &str, body: &Value) -> String {
    format!("{collection}/{}", body["id"].as_str().unwrap())
}

pub(crate) async fn patch(fixture: &Fixture, path: &str, body: Value) -> Value {
    let answer = fixture.send("PATCH", path, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

pub(crate) fn advance(fixture: &Fixture, seconds: u64) {
    fixture.cloud.store().clock().advance(Duration::from_secs(seconds));
    fixture.cloud.settle().unwrap();
}

//! Keys that are none, or not any more, or somebody else's; names that are paths; values that are too large.

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Request;
use http_body_util::BodyExt as _;
use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{
    kernel::{Blobs, Profile},
    registry::ContainerRegistry,
    services::{self, Organization},
};
use std::{sync::Arc, time::Duration};

use super::{IAM, SECRETS, holder, kept, support::Fixture};

async fn refused(fixture: &Fixture, key: &str) -> (u16, Value) {
    let answer = fixture.send_raw("GET", SECRETS, key, Vec::new()).await;
    (answer.status, answer.body["reason"].clone())
}

#[tokio::test]
async fn forged_and_truncated_keys_open_nothing() {
    let fixture = Fixture::new();
    let key = fixture.organization.secret_key.clone();
    assert_eq!(fixture.send_raw("GET", SECRETS, &key, Vec::new()).await.status, 200);
    let mut forged = vec![String::new(), "0".repeat(36), "null".into(), "Bearer ".to_owned() + &key];
    forged.extend((1..key.len()).step_by(7).map(|length| key[..length].to_owned()));
    forged.extend([key.to_uppercase(), key.replace('-', ""), format!("{key}0"), format!("{key}%00"), key.repeat(100)]);
    // What the key is looked up by is no key, and neither is the name of one.
    forged.push(stackproof_cloud::api::secret_key_digest(&key));
    forged.push(fixture.organization.access_key.clone());
    for token in forged {
        let (status, _) = refused(&fixture, &token).await;
        assert_eq!(status, 401, "{token}");
    }
}

#[tokio::test]
async fn a_header_that_is_no_text_is_no_key() {
    let fixture = Fixture::new();
    let request = Request::builder().uri(SECRETS).header("x-auth-token", &b"\xff\xfe\x80"[..]);
    let answer = fixture.api.handle(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), 401);
    let two = Request::builder()
        .uri(SECRETS)
        .header("x-auth-token", "x")
        .header("x-auth-token", &fixture.organization.secret_key);
    assert_eq!(fixture.api.handle(two.body(Body::empty()).unwrap()).await.status(), 401, "the first one counts");
}

#[tokio::test]
async fn an_expired_key_opens_nothing_and_a_deleted_one_neither() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let app = fixture.make(&format!("{IAM}/applications"), json!({"name": "a"})).await;
    let rule = json!({"permission_set_names": ["SecretManagerReadOnly"], "project_ids": [fixture.organization.id]});
    fixture.make(&format!("{IAM}/policies"), json!({"name": "p", "application_id": app, "rules": [rule]})).await;
    let now = fixture.cloud.store().clock().now();
    let soon = stackproof_cloud::kernel::rfc3339(now + Duration::from_secs(60));
    let body = json!({"application_id": app, "expires_at": soon});
    let key = fixture.post(&format!("{IAM}/api-keys"), body).await.body;
    let secret = key["secret_key"].as_str().unwrap();
    assert_eq!(refused(&fixture, secret).await.0, 200);
    fixture.cloud.store().clock().advance(Duration::from_secs(61));
    assert_eq!(refused(&fixture, secret).await, (401, json!("expired")));
    let other = fixture.post(&format!("{IAM}/api-keys"), json!({"application_id": app})).await.body;
    let secret = other["secret_key"].as_str().unwrap();
    assert_eq!(refused(&fixture, secret).await.0, 200);
    let path = format!("{IAM}/api-keys/{}", other["access_key"].as_str().unwrap());
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(refused(&fixture, secret).await, (401, json!("not_found")));
}

#[tokio::test]
async fn another_organisations_key_finds_nothing_here() {
    let fixture = Fixture::new();
    let (secret, key) = kept(&fixture).await;
    let other = Organization::from_seed(7);
    services::seed(fixture.cloud.store(), &other).unwrap();
    let project = &fixture.organization.id;
    for (method, path) in [
        ("GET", secret.clone()),
        ("GET", format!("{secret}/versions/1/access")),
        ("DELETE", secret.clone()),
        ("GET", format!("{SECRETS}?project_id={project}&page_size=100")),
        ("POST", format!("{key}/decrypt")),
        (
            "GET",
            format!(
                "/secret-manager/v1beta1/regions/fr-par/secrets-by-path/versions/1/access?secret_name=one&secret_path=/app&project_id={project}"
            ),
        ),
        ("GET", format!("/cockpit/v1/grafana?project_id={project}")),
        ("GET", format!("{IAM}/users/{}", fixture.organization.owner_id)),
        ("GET", format!("{IAM}/api-keys/{}", fixture.organization.access_key)),
        ("DELETE", format!("/account/v3/projects/{project}")),
    ] {
        let answer = fixture.send_raw(method, &path, &other.secret_key, Vec::new()).await;
        let nothing = answer.status == 200 && answer.body["total_count"] == 0;
        assert!(matches!(answer.status, 403 | 404) || nothing, "{method} {path}: {} {}", answer.status, answer.body);
    }
    let body = json!({"name": "x", "project_id": project}).to_string().into_bytes();
    assert_eq!(fixture.send_raw("POST", SECRETS, &other.secret_key, body).await.status, 403);
    let rule = json!({"permission_set_names": ["AllProductsFullAccess"], "organization_id": project});
    let policy = json!({"name": "p", "user_id": other.owner_id, "rules": [rule]}).to_string().into_bytes();
    let answer = fixture.send_raw("POST", &format!("{IAM}/policies"), &other.secret_key, policy).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
}

#[rstest]
#[case::up("/secret-manager/v1beta1/regions/fr-par/secrets/../../../../iam/v1alpha1/users")]
#[case::encoded_up("/secret-manager/v1beta1/regions/fr-par/secrets/%2e%2e%2f%2e%2e")]
#[case::a_slash_inside("/secret-manager/v1beta1/regions/fr-par/secrets/a%2fb")]
#[case::a_nul("/secret-manager/v1beta1/regions/fr-par/secrets/a%00b")]
#[case::no_text("/secret-manager/v1beta1/regions/fr-par/secrets/%ff%fe")]
#[case::cut_off("/secret-manager/v1beta1/regions/fr-par/secrets/%e")]
#[case::a_region_that_is_a_path("/secret-manager/v1beta1/regions/..%2f..%2fiam/secrets")]
#[case::a_very_long_name(&format!("/secret-manager/v1beta1/regions/fr-par/secrets/{}", "a".repeat(60_000)))]
#[case::a_query_of_nonsense("/secret-manager/v1beta1/regions/fr-par/secrets?page=-1&page_size=99999999999999999999")]
#[tokio::test]
async fn a_name_is_no_path(#[case] path: &str) {
    let fixture = Fixture::new();
    let answer = fixture.get(path).await;
    assert!(matches!(answer.status, 400 | 404 | 501), "{} {}", answer.status, answer.body);
    let nobody = holder(&fixture, &[], "").await;
    let answer = fixture.send_raw("GET", path, &nobody, Vec::new()).await;
    assert!(matches!(answer.status, 400 | 403 | 404 | 501), "{} {}", answer.status, answer.body);
}

#[rstest]
#[case::name(json!({"name": "a".repeat(70_000)}))]
#[case::path_up(json!({"name": "a", "path": "/../../etc"}))]
#[case::path_relative(json!({"name": "a", "path": "app"}))]
#[case::path_double(json!({"name": "a", "path": "/a//b"}))]
#[case::name_with_a_slash(json!({"name": "../a"}))]
#[case::tags(json!({"name": "a", "tags": "x"}))]
#[case::numbers(json!({"name": 1e300}))]
#[tokio::test]
async fn what_does_not_fit_is_refused(#[case] body: Value) {
    let answer = Fixture::new().post(SECRETS, body).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_too_deep_is_refused() {
    let fixture = Fixture::new();
    let key = fixture.organization.secret_key.clone();
    let large = format!("{{\"name\": \"{}\"}}", "a".repeat(3 << 20)).into_bytes();
    assert_eq!(fixture.send_raw("POST", SECRETS, &key, large).await.status, 413);
    let deep = [b"{\"name\": ".to_vec(), b"[".repeat(100_000), b"]".repeat(100_000), b"}".to_vec()].concat();
    assert_eq!(fixture.send_raw("POST", SECRETS, &key, deep).await.status, 400);
    assert_eq!(fixture.send_raw("POST", SECRETS, &key, b"\xff\xfe".to_vec()).await.status, 400);
}

#[rstest]
#[case::up("/v2/../../etc/passwd/manifests/latest")]
#[case::encoded("/v2/box/%2e%2e/manifests/latest")]
#[case::capitals("/v2/Box/App/manifests/latest")]
#[case::no_reference("/v2/box/app/manifests/../../x")]
#[case::a_long_one(&format!("/v2/box/{}/manifests/latest", "a/".repeat(2_000)))]
#[case::no_digest("/v2/box/app/blobs/sha256:../../../etc/passwd")]
#[tokio::test]
async fn a_repository_is_no_path(#[case] path: &str) {
    let fixture = Fixture::new();
    let (store, guard) = (Arc::clone(fixture.cloud.store()), Arc::clone(fixture.cloud.guard()));
    let registry = ContainerRegistry::new(store, Blobs::in_memory(), guard);
    fixture.make("/registry/v1/regions/fr-par/namespaces", json!({"name": "box"})).await;
    let login = STANDARD.encode(format!("nologin:{}", fixture.organization.secret_key));
    for method in ["GET", "PUT", "DELETE"] {
        let request = Request::builder().method(method).uri(path).header("host", "rg.fr-par.scw.cloud");
        let request = request.header("authorization", format!("Basic {login}")).body(Body::from("{}")).unwrap();
        let answer = registry.handle(request).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!((400..500).contains(&status), "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
    }
}

#[rstest]
#[case::nothing("")]
#[case::no_base64("Basic !!!")]
#[case::no_colon("Basic bm9sb2dpbg==")]
#[case::a_bearer("Bearer abc")]
#[case::a_forged_key("Basic bm9sb2dpbjowMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA=")]
#[tokio::test]
async fn a_registry_lets_in_nobody_without_a_key(#[case] said: &str) {
    let fixture = Fixture::new();
    let (store, guard) = (Arc::clone(fixture.cloud.store()), Arc::clone(fixture.cloud.guard()));
    let registry = ContainerRegistry::new(store, Blobs::in_memory(), guard);
    let request = Request::builder().uri("/v2/").header("host", "rg.fr-par.scw.cloud").header("authorization", said);
    assert_eq!(registry.handle(request.body(Body::empty()).unwrap()).await.status(), 401);
}

//! Secrets beyond their generic lives: versions switched, expired and restored; folders; forms.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Answer, Fixture, faulty};

const SECRETS: &str = "/secret-manager/v1beta1/regions/fr-par/secrets";
const REGION: &str = "/secret-manager/v1beta1/regions/fr-par";

async fn secret(fixture: &Fixture, body: Value) -> String {
    format!("{SECRETS}/{}", fixture.make(SECRETS, body).await)
}

async fn version(fixture: &Fixture, secret: &str, data: &str) -> Answer {
    fixture.post(&format!("{secret}/versions"), json!({"data": data})).await
}

#[tokio::test]
async fn only_an_enabled_version_is_accessible() {
    let fixture = Fixture::new();
    let path = secret(&fixture, json!({"name": "s"})).await;
    for data in ["b25l", "dHdv"] {
        assert_eq!(version(&fixture, &path, data).await.status, 200);
    }
    let disabled = fixture.post(&format!("{path}/versions/2/disable"), json!({})).await;
    assert_eq!((disabled.status, &disabled.body["status"]), (200, &json!("disabled")));
    let refused = fixture.get(&format!("{path}/versions/2/access")).await;
    assert_eq!((refused.status, &refused.body["precondition"]), (412, &json!("resource_not_usable")));
    assert_eq!(fixture.get(&format!("{path}/versions/latest_enabled/access")).await.body["data"], "b25l");
    assert_eq!(fixture.get(&format!("{path}/versions?status=enabled")).await.body["total_count"], 1);
    let enabled = fixture.post(&format!("{path}/versions/latest/enable"), json!({})).await;
    assert_eq!((&enabled.body["revision"], &enabled.body["status"]), (&json!(2), &json!("enabled")));
    assert_eq!(fixture.get(&format!("{path}/versions/latest/access")).await.body["data"], "dHdv");
}

#[tokio::test]
async fn what_is_scheduled_for_deletion_can_be_restored() {
    let fixture = Fixture::new();
    let path = secret(&fixture, json!({"name": "s"})).await;
    version(&fixture, &path, "b25l").await;
    fixture.post(&format!("{path}/versions/1/disable"), json!({})).await;
    version(&fixture, &path, "dHdv").await;
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
    for revision in [1, 2] {
        let shown = fixture.get(&format!("{path}/versions/{revision}")).await.body;
        assert_eq!(shown["status"], "scheduled_for_deletion");
        assert!(shown["deletion_requested_at"].is_string());
    }
    assert_eq!(fixture.post(&format!("{path}/versions/1/enable"), json!({})).await.status, 412);
    let restored = fixture.post(&format!("{path}/restore"), json!({})).await;
    assert_eq!((restored.status, &restored.body["deletion_requested_at"]), (200, &Value::Null));
    assert_eq!(fixture.get(&format!("{path}/versions/1")).await.body["status"], "disabled");
    assert_eq!(fixture.get(&format!("{path}/versions/2/access")).await.body["data"], "dHdv");
    fixture.send("DELETE", &format!("{path}/versions/2"), Value::Null).await;
    let list = fixture.get(&format!("{path}/versions?page=1")).await.body;
    assert_eq!((&list["versions"][0]["revision"], &list["versions"][0]["region"]), (&json!(2), &json!("fr-par")));
    let back = fixture.post(&format!("{path}/versions/2/restore"), json!({})).await;
    assert_eq!((&back.body["status"], &back.body["deletion_requested_at"]), (&json!("enabled"), &Value::Null));
}

#[tokio::test]
async fn a_protected_secret_stays_until_it_is_not() {
    let fixture = Fixture::new();
    let path = secret(&fixture, json!({"name": "s", "protected": true})).await;
    let refused = fixture.send("DELETE", &path, Value::Null).await;
    assert_eq!((refused.status, &refused.body["precondition"]), (412, &json!("protected_resource")));
    assert_eq!(fixture.post(&format!("{path}/unprotect"), json!({})).await.body["protected"], false);
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
}

#[rstest]
#[case::for_a_while(json!({"time_to_live": "1800.000000000s", "expires_once_accessed": false, "action": "disable"}), None)]
#[case::once(json!({"time_to_live": null, "expires_once_accessed": true, "action": "delete"}), None)]
#[case::no_end(json!({"time_to_live": null, "expires_once_accessed": false, "action": "delete"}), Some("ephemeral_policy"))]
#[case::no_action(json!({"time_to_live": "60s"}), Some("ephemeral_policy.action"))]
#[case::unknown_action(json!({"time_to_live": "60s", "action": "explode"}), Some("ephemeral_policy.action"))]
#[case::no_duration(json!({"time_to_live": "soon", "action": "delete"}), Some("ephemeral_policy.time_to_live"))]
#[tokio::test]
async fn an_ephemeral_policy_makes_sense(#[case] policy: Value, #[case] fault: Option<&str>) {
    let fixture = Fixture::new();
    let made = fixture.post(SECRETS, json!({"name": "s", "ephemeral_policy": policy})).await;
    match fault {
        None => {
            assert_eq!(made.status, 200, "{}", made.body);
            let told = &made.body["ephemeral_policy"]["time_to_live"];
            assert!(*told == json!("1800s") || told.is_null(), "{told}");
        }
        Some(argument) => {
            assert_eq!(made.status, 400);
            assert!(faulty(&made).contains(&argument.to_owned()), "{:?}", faulty(&made));
        }
    }
}

#[rstest]
#[case::disable("disable", "disabled")]
#[case::delete("delete", "scheduled_for_deletion")]
#[tokio::test]
async fn a_version_is_over_after_its_time(#[case] action: &str, #[case] status: &str) {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let policy = json!({"time_to_live": "60s", "action": action});
    let path = secret(&fixture, json!({"name": "s", "ephemeral_policy": policy})).await;
    let made = version(&fixture, &path, "b25l").await.body;
    assert_eq!(made["ephemeral_properties"]["action"], action);
    let pass = |seconds: u64| {
        fixture.cloud.store().clock().advance(Duration::from_secs(seconds));
        fixture.cloud.settle().unwrap();
    };
    pass(59);
    assert_eq!(fixture.get(&format!("{path}/versions/1/access")).await.body["data"], "b25l");
    pass(2);
    assert_eq!(fixture.get(&format!("{path}/versions/1/access")).await.status, 412);
    assert_eq!(fixture.get(&format!("{path}/versions/1")).await.body["status"], status);
}

#[tokio::test]
async fn a_version_is_over_once_it_was_read() {
    let fixture = Fixture::new();
    let policy = json!({"expires_once_accessed": true, "action": "disable"});
    let path = secret(&fixture, json!({"name": "s", "ephemeral_policy": policy})).await;
    version(&fixture, &path, "b25l").await;
    assert_eq!(fixture.get(&format!("{path}/versions/1/access")).await.body["data"], "b25l");
    assert_eq!(fixture.get(&format!("{path}/versions/1/access")).await.status, 412);
}

#[rstest]
#[case::flat("key_value", r#"{"a": "b"}"#, None)]
#[case::nested(
    "key_value",
    r#"{"invalid": {"c": "d"}}"#,
    Some("- invalid: Invalid type. Expected: string, given: object\n")
)]
#[case::no_json("key_value", "hello", Some("must be a JSON object for a secret of type key_value"))]
#[case::credentials("basic_credentials", r#"{"username": "u", "password": "p"}"#, None)]
#[case::half("basic_credentials", r#"{"username": "u"}"#, Some("- (root): password is required\n"))]
#[case::anything("opaque", "hello", None)]
#[tokio::test]
async fn a_type_demands_a_form(#[case] kind: &str, #[case] data: &str, #[case] help: Option<&str>) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let fixture = Fixture::new();
    let path = secret(&fixture, json!({"name": "s", "type": kind})).await;
    let made = version(&fixture, &path, &STANDARD.encode(data)).await;
    match help {
        None => assert_eq!(made.status, 200, "{}", made.body),
        Some(help) => {
            let fault = json!({"argument_name": "data", "reason": "format", "help_message": help});
            assert_eq!((made.status, &made.body["details"][0]), (400, &fault));
        }
    }
}

#[tokio::test]
async fn folders_are_the_paths_of_secrets() {
    let fixture = Fixture::new();
    for (name, path, tags) in [
        ("root", "/", json!(["x"])),
        ("a", "/app", json!(["y", "x"])),
        ("b", "/app/db", json!([])),
        ("c", "/apple/", json!([])),
    ] {
        secret(&fixture, json!({"name": name, "path": path, "tags": tags})).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let body = fixture.get(&format!("{SECRETS}/browse?{query}")).await.body;
        body["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("prefix=/").await, ["app", "apple", "root"]);
    assert_eq!(names("prefix=/app").await, ["a", "db"]);
    assert_eq!(names("prefix=/app/db").await, ["b"]);
    assert_eq!(names("prefix=/&order_by=name_desc&page_size=1").await, ["root"]);
    let body = fixture.get(&format!("{SECRETS}/browse?prefix=/app")).await.body;
    assert_eq!((&body["current_path"], &body["total_count"]), (&json!("/app"), &json!(2)));
    assert_eq!((body["items"][0].get("folder"), body["items"][1].get("secret")), (None, None));
    assert_eq!(fixture.get(&format!("{REGION}/tags")).await.body["tags"], json!(["x", "y"]));
    assert_eq!(fixture.get(&format!("{REGION}/secret-types")).await.body["total_count"], 6);
}

#[tokio::test]
async fn a_value_is_found_by_its_secrets_path() {
    let fixture = Fixture::new();
    let path = secret(&fixture, json!({"name": "db", "path": "/app"})).await;
    version(&fixture, &path, "b25l").await;
    let by_path = |project: &str, path: &str| {
        format!(
            "{REGION}/secrets-by-path/versions/latest/access?secret_path={path}&secret_name=db&project_id={project}"
        )
    };
    let project = &fixture.organization.id;
    assert_eq!(fixture.get(&by_path(project, "/app")).await.body["data"], "b25l");
    assert_eq!(fixture.get(&by_path(project, "/other")).await.status, 404);
}

#[tokio::test]
async fn a_reader_of_values_may_read_one_that_expires_with_it() {
    let fixture = Fixture::new();
    let policy = json!({"expires_once_accessed": true, "action": "disable"});
    let path = secret(&fixture, json!({"name": "s", "ephemeral_policy": policy})).await;
    version(&fixture, &path, "b25l").await;
    let application = fixture.make("/iam/v1alpha1/applications", json!({"name": "app"})).await;
    let rule = json!({"permission_set_names": ["SecretManagerSecretAccess"], "project_ids": [fixture.organization.id]});
    fixture.make("/iam/v1alpha1/policies", json!({"name": "p", "application_id": application, "rules": [rule]})).await;
    let key = fixture.post("/iam/v1alpha1/api-keys", json!({"application_id": application})).await.body;
    let secret_key = key["secret_key"].as_str().unwrap();
    let read = fixture.send_raw("GET", &format!("{path}/versions/1/access"), secret_key, vec![]).await;
    assert_eq!((read.status, &read.body["data"]), (200, &json!("b25l")));
    let write = fixture.send_raw("POST", &format!("{path}/versions/1/enable"), secret_key, b"{}".to_vec()).await;
    assert_eq!(write.status, 403);
}

const KEYS: &str = "/key-manager/v1alpha1/regions/fr-par/keys";

#[tokio::test]
async fn a_secret_under_a_key_is_readable_as_long_as_the_key_is_enabled() {
    let fixture = Fixture::new();
    let key = fixture.make(KEYS, json!({"name": "k", "unprotected": true})).await;
    let path = secret(&fixture, json!({"name": "s", "key_id": key})).await;
    version(&fixture, &path, "b25l").await;
    let access = format!("{path}/versions/1/access");
    fixture.post(&format!("{KEYS}/{key}/rotate"), json!({})).await;
    assert_eq!(fixture.get(&access).await.body["data"], "b25l", "an older version of the key opens it");

    fixture.post(&format!("{KEYS}/{key}/disable"), json!({})).await;
    let refused = fixture.get(&access).await;
    assert_eq!((refused.status, &refused.body["precondition"]), (412, &json!("resource_not_usable")));
    assert_eq!(version(&fixture, &path, "dHdv").await.status, 412, "nothing is written under a disabled key");
    assert_eq!(fixture.get(&format!("{path}/versions")).await.body["total_count"], 1);
    fixture.post(&format!("{KEYS}/{key}/enable"), json!({})).await;
    assert_eq!(fixture.get(&access).await.body["data"], "b25l");
}

#[tokio::test]
async fn without_its_key_a_secret_is_lost_for_ever() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let key = fixture.make(KEYS, json!({"name": "k", "unprotected": true})).await;
    let path = secret(&fixture, json!({"name": "s", "key_id": key})).await;
    version(&fixture, &path, "b25l").await;
    assert_eq!(fixture.send("DELETE", &format!("{KEYS}/{key}"), Value::Null).await.status, 204);
    pass(&fixture, 6);
    assert_eq!(fixture.get(&format!("{KEYS}/{key}")).await.body["state"], "scheduled_for_deletion");
    pass(&fixture, 2);
    assert_eq!(fixture.get(&format!("{KEYS}/{key}")).await.status, 404);
    assert_eq!(fixture.get(&format!("{path}/versions/1/access")).await.status, 412);
}

#[rstest]
#[case::of_nobody(json!({}), "11111111-1111-4111-8111-111111111111")]
#[case::of_signing(json!({"name": "k", "usage": {"asymmetric_signing": "ec_p256_sha256"}}), "")]
#[tokio::test]
async fn a_key_that_cannot_encrypt_a_secret_is_refused(#[case] key: Value, #[case] id: &str) {
    let fixture = Fixture::new();
    let id = if id.is_empty() { fixture.make(KEYS, key).await } else { id.to_owned() };
    assert_eq!(faulty(&fixture.post(SECRETS, json!({"name": "s", "key_id": id})).await), ["key_id"]);
}

fn pass(fixture: &Fixture, days: u64) {
    fixture.cloud.store().clock().advance(Duration::from_secs(days * 86_400));
    fixture.cloud.settle().unwrap();
}

#[tokio::test]
async fn what_is_scheduled_for_deletion_is_gone_after_seven_days() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let path = secret(&fixture, json!({"name": "s"})).await;
    version(&fixture, &path, "b25l").await;
    version(&fixture, &path, "dHdv").await;
    fixture.send("DELETE", &format!("{path}/versions/1"), Value::Null).await;
    pass(&fixture, 8);
    let ended = fixture.get(&format!("{path}/versions/1")).await.body;
    assert_eq!((&ended["status"], ended["deleted_at"].is_string()), (&json!("deleted"), true));
    assert_eq!(fixture.post(&format!("{path}/versions/1/restore"), json!({})).await.status, 412);
    assert_eq!(fixture.get(&format!("{path}/versions/2/access")).await.body["data"], "dHdv");

    fixture.send("DELETE", &path, Value::Null).await;
    assert_eq!(fixture.send("PATCH", &path, json!({"description": "new"})).await.status, 412);
    assert_eq!(version(&fixture, &path, "b25l").await.status, 412);
    pass(&fixture, 6);
    assert_eq!(fixture.post(&format!("{path}/restore"), json!({})).await.status, 200);
    pass(&fixture, 8);
    assert_eq!(fixture.get(&format!("{path}/versions/2/access")).await.body["data"], "dHdv", "a restored one stays");
    fixture.send("DELETE", &path, Value::Null).await;
    pass(&fixture, 8);
    assert_eq!(fixture.get(&path).await.status, 404);
    assert_eq!(fixture.get(&format!("{path}/versions/2")).await.status, 404);
}

#[tokio::test]
async fn an_ephemeral_secret_is_deleted_at_once_and_its_time_begins_anew_when_enabled() {
    let fixture = Fixture::with(services::products(), Profile::Manual);
    let policy = json!({"time_to_live": "86400s", "action": "disable"});
    let path = secret(&fixture, json!({"name": "s", "ephemeral_policy": policy})).await;
    version(&fixture, &path, "b25l").await;
    pass(&fixture, 2);
    let access = format!("{path}/versions/1/access");
    assert_eq!(fixture.get(&access).await.status, 412);
    fixture.post(&format!("{path}/versions/1/enable"), json!({})).await;
    assert_eq!(fixture.get(&access).await.body["data"], "b25l");
    pass(&fixture, 2);
    assert_eq!(fixture.get(&access).await.status, 412);
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(fixture.get(&path).await.status, 404);
}

#[rstest]
#[case::above("/../app", "path")]
#[case::here("/app/./x", "path")]
#[case::doubled("/app//x", "path")]
#[case::relative("app", "path")]
#[case::nul("/app\0x", "path")]
#[case::newline("/app\nx", "path")]
#[case::encoded("/%2e%2e/app", "path")]
#[case::backslash("/app\\..", "path")]
#[case::long(&format!("/{}", "a".repeat(256)), "path")]
#[case::dots("..", "name")]
#[case::slash("a/b", "name")]
#[tokio::test]
async fn a_hostile_path_or_name_is_refused(#[case] text: &str, #[case] field: &str) {
    let fixture = Fixture::new();
    let mut body = json!({"name": "s"});
    body[field] = text.into();
    assert_eq!(faulty(&fixture.post(SECRETS, body).await), [field]);
    assert_eq!(fixture.get(SECRETS).await.body["total_count"], 0);
}

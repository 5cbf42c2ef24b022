//! Secret environment variables: hashed once, kept hidden, never answered.

use argon2::{
    Argon2,
    password_hash::{PasswordVerifier, phc::PasswordHash},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fixture::{CONTAINERS, NAMESPACES, container, item, patch},
    support::Fixture,
};

fn is_hash_of(hash: &Value, value: &str) -> bool {
    let hash = PasswordHash::new(hash.as_str().unwrap()).unwrap();
    Argon2::default().verify_password(value.as_bytes(), &hash).is_ok()
}

#[rstest]
#[case::namespace(NAMESPACES)]
#[case::container(CONTAINERS)]
#[tokio::test]
async fn secret_values_are_answered_as_hashes_only(#[case] collection: &str) {
    let fixture = Fixture::new();
    let secrets = json!({"secret_environment_variables": {"API_KEY": "hunter2-plain", "OTHER": ""}});
    let made = if collection == NAMESPACES {
        fixture
            .post(
                NAMESPACES,
                json!({"name": "n", "secret_environment_variables": secrets["secret_environment_variables"]}),
            )
            .await
            .body
    } else {
        container(&fixture, secrets).await
    };
    let path = item(collection, &made);
    let shown = fixture.get(&path).await.body;
    let hash = &shown["secret_environment_variables"]["API_KEY"];
    assert!(hash.as_str().unwrap().starts_with("$argon2id$v=19$m="), "{hash}");
    assert!(is_hash_of(hash, "hunter2-plain") && !is_hash_of(hash, "hunter2"));
    assert!(is_hash_of(&shown["secret_environment_variables"]["OTHER"], ""));
    assert_eq!(shown["secret_environment_variables"], made["secret_environment_variables"], "hashed anew");
    for answer in [made, shown, fixture.get(collection).await.body] {
        assert!(!answer.to_string().contains("hunter2-plain"));
    }
    let changed = patch(&fixture, &path, json!({"secret_environment_variables": {"API_KEY": "hunter3-plain"}})).await;
    assert!(is_hash_of(&changed["secret_environment_variables"]["API_KEY"], "hunter3-plain"));
    assert!(!changed.to_string().contains("plain"));
}

/// What the provider relies on in `filterSecretEnvsToPatch`.
#[rstest]
#[case::not_said(json!({"tags": ["t"]}), &[("A", "one", true), ("B", "two", true)])]
#[case::null(json!({"secret_environment_variables": null}), &[("A", "one", true), ("B", "two", true)])]
#[case::empty_leaves_as_it_is(json!({"secret_environment_variables": {"A": "", "B": ""}}), &[("A", "one", true), ("B", "two", true)])]
#[case::missing_is_removed(json!({"secret_environment_variables": {"B": ""}}), &[("B", "two", true)])]
#[case::changed(json!({"secret_environment_variables": {"A": "", "B": "new"}}), &[("A", "one", true), ("B", "new", false)])]
#[case::renamed(json!({"secret_environment_variables": {"B": "", "C": "one"}}), &[("B", "two", true), ("C", "one", false)])]
#[case::all_removed(json!({"secret_environment_variables": {}}), &[])]
#[tokio::test]
async fn a_change_of_secrets_keeps_what_is_empty_and_drops_what_is_missing(
    #[case] change: Value,
    #[case] expected: &[(&str, &str, bool)],
) {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({"secret_environment_variables": {"A": "one", "B": "two"}})).await;
    let changed = patch(&fixture, &item(CONTAINERS, &made), change).await;
    let hashes = changed["secret_environment_variables"].as_object().unwrap();
    assert_eq!(hashes.keys().collect::<Vec<_>>(), expected.iter().map(|(name, ..)| name).collect::<Vec<_>>());
    let kept = fixture.cloud.store().read(|tables| {
        let record = tables.get("containers.container", made["id"].as_str().unwrap()).unwrap();
        record.hidden["secret_environment_variables"].clone()
    });
    assert_eq!(kept.as_object().unwrap().len(), expected.len());
    for (name, value, unchanged) in expected {
        assert!(is_hash_of(&hashes[*name], value), "{name}");
        assert_eq!(hashes[*name] == made["secret_environment_variables"][*name], *unchanged, "{name}");
        assert_eq!(kept[*name], *value, "what a data plane gets");
    }
}

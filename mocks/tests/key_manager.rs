//! Key Manager: what keys do, beyond their generic life.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod support;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use stackproof_cloud::{kernel::Profile, services};
use support::{Answer, Fixture, faulty};

const KEYS: &str = "/key-manager/v1alpha1/regions/fr-par/keys";

async fn key(cloud: &Fixture, body: Value) -> String {
    format!("{KEYS}/{}", cloud.make(KEYS, body).await)
}

async fn encrypt(cloud: &Fixture, key: &str, text: &str, context: &str) -> String {
    let body = json!({"plaintext": STANDARD.encode(text), "associated_data": STANDARD.encode(context)});
    let answer = cloud.post(&format!("{key}/encrypt"), body).await;
    answer.body["ciphertext"].as_str().unwrap().to_owned()
}

async fn decrypt(cloud: &Fixture, key: &str, ciphertext: &str, context: &str) -> Answer {
    let body = json!({"ciphertext": ciphertext, "associated_data": STANDARD.encode(context)});
    cloud.post(&format!("{key}/decrypt"), body).await
}

#[tokio::test]
async fn what_a_key_encrypted_it_decrypts_after_a_rotation_too() {
    let cloud = Fixture::new();
    let key = key(&cloud, json!({"name": "k"})).await;
    let sealed = encrypt(&cloud, &key, "secret", "shop").await;
    assert_eq!(cloud.post(&format!("{key}/rotate"), json!({})).await.body["rotation_count"], 2);
    let opened = decrypt(&cloud, &key, &sealed, "shop").await;
    assert_eq!(opened.body["plaintext"], STANDARD.encode("secret"));
    // It comes back under the newest version, to be stored in the place of the old one.
    let again = opened.body["ciphertext"].as_str().unwrap().to_owned();
    assert_ne!(again, sealed);
    assert_eq!(decrypt(&cloud, &key, &again, "shop").await.body["ciphertext"], Value::Null);
}

#[tokio::test]
async fn another_key_or_context_opens_nothing() {
    let cloud = Fixture::new();
    let (one, other) = (key(&cloud, json!({"name": "one"})).await, key(&cloud, json!({"name": "other"})).await);
    let sealed = encrypt(&cloud, &one, "secret", "shop").await;
    for (key, context) in [(&one, "bank"), (&other, "shop")] {
        let refused = decrypt(&cloud, key, &sealed, context).await;
        assert_eq!((refused.status, faulty(&refused)), (400, vec!["ciphertext".to_owned()]));
    }
}

#[tokio::test]
async fn a_data_key_is_its_ciphertext_decrypted() {
    let cloud = Fixture::new();
    let key = key(&cloud, json!({"name": "k"})).await;
    let made = cloud.post(&format!("{key}/generate-data-key"), json!({"algorithm": "aes_256_gcm"})).await.body;
    let body = json!({"ciphertext": made["ciphertext"]});
    let opened = cloud.post(&format!("{key}/decrypt"), body).await;
    assert_eq!(opened.body["plaintext"], made["plaintext"]);
    let hidden = cloud.post(&format!("{key}/generate-data-key"), json!({"without_plaintext": true})).await;
    assert_eq!(hidden.body["plaintext"], Value::Null);
}

/// Traps 4 and 15 of the API notes: deletion is soft, an unset origin is Scaleway's.
#[tokio::test]
async fn trap_4_a_deleted_key_is_still_answered_and_no_longer_listed() {
    let cloud = Fixture::new();
    let made = cloud.post(KEYS, json!({"name": "k", "unprotected": true, "origin": "unknown_origin"})).await.body;
    assert_eq!((&made["origin"], &made["protected"]), (&json!("scaleway_kms"), &json!(false)));
    let key = format!("{KEYS}/{}", made["id"].as_str().unwrap());
    assert_eq!(cloud.send("DELETE", &key, Value::Null).await.status, 204);
    let deleted = cloud.get(&key).await;
    assert_eq!((deleted.status, &deleted.body["state"]), (200, &json!("scheduled_for_deletion")));
    assert_eq!(cloud.get(&format!("{KEYS}?scheduled_for_deletion=false")).await.body["total_count"], 0);
    assert_eq!(cloud.get(&format!("{KEYS}?scheduled_for_deletion=true")).await.body["total_count"], 1);
    assert_eq!(cloud.post(&format!("{key}/encrypt"), json!({"plaintext": "eA=="})).await.status, 412);
    assert_eq!(cloud.post(&format!("{key}/restore"), json!({})).await.body["state"], "disabled");
    assert_eq!(cloud.post(&format!("{key}/enable"), json!({})).await.body["state"], "enabled");
}

#[tokio::test]
async fn a_protected_key_cannot_be_deleted() {
    let cloud = Fixture::new();
    let key = key(&cloud, json!({"name": "k"})).await;
    let refused = cloud.send("DELETE", &key, Value::Null).await;
    assert_eq!((refused.status, &refused.body["precondition"]), (412, &json!("protected_resource")));
    cloud.post(&format!("{key}/unprotect"), json!({})).await;
    assert_eq!(cloud.send("DELETE", &key, Value::Null).await.status, 204);
}

#[tokio::test]
async fn a_rotation_policy_rotates_when_its_time_has_come() {
    let cloud = Fixture::with(services::products(), Profile::Manual);
    let policy = json!({"rotation_period": "7776000.000000000s"});
    let key = key(&cloud, json!({"name": "k", "rotation_policy": policy})).await;
    let before = cloud.get(&key).await.body;
    assert_eq!(before["rotation_policy"]["rotation_period"], "7776000s");
    cloud.cloud.store().clock().advance(std::time::Duration::from_secs(7_776_001));
    cloud.cloud.settle().unwrap();
    let after = cloud.get(&key).await.body;
    assert_eq!((&before["rotation_count"], &after["rotation_count"]), (&json!(1), &json!(2)));
    assert_ne!(before["rotation_policy"]["next_rotation_at"], after["rotation_policy"]["next_rotation_at"]);
}

#[tokio::test]
async fn a_key_of_somebody_elses_material_waits_for_it() {
    let cloud = Fixture::new();
    let key = key(&cloud, json!({"name": "k", "origin": "external"})).await;
    assert_eq!(cloud.get(&key).await.body["state"], "pending_key_material");
    assert_eq!(cloud.post(&format!("{key}/encrypt"), json!({"plaintext": "eA=="})).await.status, 412);
    let import = format!("{key}/import-key-material");
    assert_eq!(cloud.post(&import, json!({"key_material": STANDARD.encode([7; 31])})).await.status, 400);
    let imported = cloud.post(&import, json!({"key_material": STANDARD.encode([7; 32])})).await.body;
    assert_eq!((&imported["state"], &imported["rotation_count"]), (&json!("enabled"), &json!(1)));
    let sealed = encrypt(&cloud, &key, "secret", "").await;
    assert_eq!(cloud.post(&format!("{key}/delete-key-material"), json!({})).await.status, 204);
    assert_eq!(decrypt(&cloud, &key, &sealed, "").await.status, 412);
}

#[tokio::test]
async fn what_is_no_key_or_no_rotation_is_refused() {
    let cloud = Fixture::new();
    let two = json!({"symmetric_encryption": "aes_256_gcm", "asymmetric_signing": "ec_p256_sha256"});
    assert_eq!(cloud.post(KEYS, json!({"usage": two})).await.status, 400);
    for period in ["1s", "x", "1000000000s"] {
        let refused = cloud.post(KEYS, json!({"rotation_policy": {"rotation_period": period}})).await;
        assert_eq!(faulty(&refused), ["rotation_policy.rotation_period"], "{period}");
    }
}

#[tokio::test]
async fn key_material_is_never_answered() {
    let cloud = Fixture::new();
    let key = key(&cloud, json!({"name": "k", "origin": "external"})).await;
    let secret = STANDARD.encode([9; 32]);
    let import = cloud.post(&format!("{key}/import-key-material"), json!({"key_material": secret})).await;
    for body in [import.body, cloud.get(&key).await.body, cloud.get(KEYS).await.body] {
        assert!(!body.to_string().contains(&secret));
    }
}

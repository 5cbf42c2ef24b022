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
    assert_eq!(faulty(&cloud.post(&import, json!({"key_material": ""})).await), ["key_material"]);
    assert_eq!(faulty(&cloud.post(&import, json!({"key_material": "?"})).await), ["key_material"]);
    let imported = cloud.post(&import, json!({"key_material": STANDARD.encode([7; 31])})).await.body;
    assert_eq!((&imported["state"], &imported["rotation_count"]), (&json!("enabled"), &json!(1)));
    let sealed = encrypt(&cloud, &key, "secret", "").await;
    assert_eq!(cloud.post(&format!("{key}/delete-key-material"), json!({})).await.status, 204);
    assert_eq!(decrypt(&cloud, &key, &sealed, "").await.status, 412);
}

async fn of_usage(cloud: &Fixture, usage: &str, algorithm: &str) -> String {
    key(cloud, json!({"name": "k", "usage": { usage: algorithm }})).await
}

#[tokio::test]
async fn what_a_key_signed_it_verifies_after_a_rotation_too_and_nothing_else() {
    let cloud = Fixture::new();
    let (short, long) = (STANDARD.encode([7; 32]), STANDARD.encode([7; 48]));
    for (algorithm, digest) in [
        ("ec_p256_sha256", &short),
        ("ec_p384_sha384", &long),
        ("rsa_pss_2048_sha256", &short),
        ("rsa_pkcs1_2048_sha256", &short),
        ("ml_dsa_44", &short),
    ] {
        let key = of_usage(&cloud, "asymmetric_signing", algorithm).await;
        let signed = cloud.post(&format!("{key}/sign"), json!({ "digest": digest })).await;
        assert_eq!(signed.status, 200, "{algorithm}: {}", signed.body);
        let verify = async |key: &str, digest: &str| {
            let body = json!({"digest": digest, "signature": signed.body["signature"]});
            cloud.post(&format!("{key}/verify"), body).await.body["valid"].clone()
        };
        assert_eq!(verify(&key, digest).await, true, "{algorithm}");
        cloud.post(&format!("{key}/rotate"), json!({})).await;
        assert_eq!(verify(&key, digest).await, true, "{algorithm}, rotated");
        let mut other = STANDARD.decode(digest).unwrap();
        other[0] ^= 1;
        assert_eq!(verify(&key, &STANDARD.encode(other)).await, false, "{algorithm}, another digest");
        let another = of_usage(&cloud, "asymmetric_signing", algorithm).await;
        assert_eq!(verify(&another, digest).await, false, "{algorithm}, another key");
    }
}

#[tokio::test]
async fn what_rsa_encrypted_it_decrypts_and_a_rotation_gives_a_new_ciphertext() {
    let cloud = Fixture::new();
    let key = of_usage(&cloud, "asymmetric_encryption", "rsa_oaep_2048_sha256").await;
    let most = STANDARD.encode(vec![1; 256 - 66]);
    let sealed = cloud.post(&format!("{key}/encrypt"), json!({ "plaintext": most })).await.body["ciphertext"].clone();
    assert_eq!(STANDARD.decode(sealed.as_str().unwrap()).unwrap().len(), 256);
    let opened = cloud.post(&format!("{key}/decrypt"), json!({ "ciphertext": sealed })).await.body;
    assert_eq!((&opened["plaintext"], &opened["ciphertext"]), (&json!(most), &Value::Null));
    let before = cloud.get(&format!("{key}/public-key")).await.body["pem"].clone();
    cloud.post(&format!("{key}/rotate"), json!({})).await;
    assert_ne!(cloud.get(&format!("{key}/public-key")).await.body["pem"], before);
    let opened = cloud.post(&format!("{key}/decrypt"), json!({ "ciphertext": sealed })).await.body;
    assert_eq!(opened["plaintext"], most);
    let again = cloud.post(&format!("{key}/decrypt"), json!({"ciphertext": opened["ciphertext"]})).await.body;
    assert_eq!((&again["plaintext"], &again["ciphertext"]), (&json!(most), &Value::Null));
}

#[tokio::test]
async fn a_key_does_only_what_it_is_for() {
    let cloud = Fixture::new();
    let symmetric = key(&cloud, json!({"name": "k"})).await;
    let signing = of_usage(&cloud, "asymmetric_signing", "ec_p256_sha256").await;
    let encrypting = of_usage(&cloud, "asymmetric_encryption", "rsa_oaep_2048_sha256").await;
    let digest = STANDARD.encode([0; 32]);
    let refusals = [
        (&symmetric, "sign", json!({ "digest": digest }), "key_id"),
        (&symmetric, "verify", json!({"digest": digest, "signature": "eA=="}), "key_id"),
        (&signing, "encrypt", json!({"plaintext": "eA=="}), "key_id"),
        (&signing, "decrypt", json!({"ciphertext": "eA=="}), "key_id"),
        (&signing, "generate-data-key", json!({}), "key_id"),
        (&signing, "sign", json!({"digest": STANDARD.encode([0; 48])}), "digest"),
        (&signing, "verify", json!({ "digest": digest }), "signature"),
        (&encrypting, "encrypt", json!({"plaintext": STANDARD.encode([0; 191])}), "plaintext"),
        (&encrypting, "encrypt", json!({"plaintext": "eA==", "associated_data": "eA=="}), "associated_data"),
        (&encrypting, "decrypt", json!({"ciphertext": STANDARD.encode([0; 256])}), "ciphertext"),
    ];
    for (key, verb, body, argument) in refusals {
        let refused = cloud.post(&format!("{key}/{verb}"), body).await;
        assert_eq!((refused.status, faulty(&refused)), (400, vec![argument.to_owned()]), "{verb}: {}", refused.body);
    }
    assert_eq!(cloud.get(&format!("{symmetric}/public-key")).await.status, 400);
    let changed = json!({"usage": {"symmetric_encryption": "aes_256_gcm"}});
    assert_eq!(faulty(&cloud.send("PATCH", &signing, changed).await), ["usage"]);
    let same = json!({"usage": {"asymmetric_signing": "ec_p256_sha256"}});
    assert_eq!(cloud.send("PATCH", &signing, same).await.status, 200);
    cloud.post(&format!("{signing}/disable"), json!({})).await;
    assert_eq!(cloud.post(&format!("{signing}/sign"), json!({ "digest": digest })).await.status, 412);
}

/// The public half is what programs we did not write take: a PEM of SubjectPublicKeyInfo.
#[tokio::test]
async fn a_public_key_is_pem_of_its_algorithm() {
    let cloud = Fixture::new();
    for (usage, algorithm, length) in [
        ("asymmetric_signing", "ec_p256_sha256", 91),
        ("asymmetric_signing", "ec_p384_sha384", 120),
        ("asymmetric_encryption", "rsa_oaep_2048_sha256", 294),
        ("asymmetric_signing", "rsa_pss_3072_sha256", 422),
    ] {
        let key = of_usage(&cloud, usage, algorithm).await;
        let pem = cloud.get(&format!("{key}/public-key")).await.body["pem"].as_str().unwrap().to_owned();
        let inside = pem.strip_prefix("-----BEGIN PUBLIC KEY-----\n").unwrap();
        let base64 = inside.strip_suffix("\n-----END PUBLIC KEY-----\n").unwrap().replace('\n', "");
        assert_eq!(STANDARD.decode(base64).unwrap().len(), length, "{algorithm}");
        assert!(pem.lines().all(|line| line.len() <= 64));
    }
}

#[tokio::test]
async fn the_same_material_and_salt_open_again_what_they_encrypted() {
    let cloud = Fixture::new();
    let key = key(&cloud, json!({"name": "k", "origin": "external"})).await;
    let material = |salt: u8| json!({"key_material": STANDARD.encode([7; 40]), "salt": STANDARD.encode([salt; 16])});
    let import = format!("{key}/import-key-material");
    assert_eq!(cloud.post(&import, material(1)).await.body["rotation_count"], 1);
    let sealed = encrypt(&cloud, &key, "secret", "").await;
    for (salt, status) in [(2, 400), (1, 200)] {
        cloud.post(&format!("{key}/delete-key-material"), json!({})).await;
        let forgotten = cloud.get(&key).await.body;
        assert_eq!((&forgotten["rotation_count"], &forgotten["state"]), (&json!(0), &json!("pending_key_material")));
        cloud.post(&import, material(salt)).await;
        assert_eq!(decrypt(&cloud, &key, &sealed, "").await.status, status, "salt {salt}");
    }
}

#[tokio::test]
async fn what_is_no_key_or_no_rotation_is_refused() {
    let cloud = Fixture::new();
    let two = json!({"symmetric_encryption": "aes_256_gcm", "asymmetric_signing": "ec_p256_sha256"});
    assert_eq!(cloud.post(KEYS, json!({"usage": two})).await.status, 400);
    for period in ["1s", "86399s", "x", "NaNs", "3153600001s"] {
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

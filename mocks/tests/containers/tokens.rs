//! Tokens.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rstest::rstest;
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use serde_json::{Value, json};

use crate::{
    fixture::{NAMESPACES, TOKENS, container, item},
    support::{Fixture, faulty},
};

fn parts(token: &Value) -> (String, Vec<u8>, Value, Value) {
    let token = token.as_str().unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let decoded = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (message.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap(), decoded(header), decoded(claims))
}

fn verifies(pem: &Value, message: &str, signature: &[u8]) -> bool {
    let key = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_str().unwrap().as_bytes()).unwrap();
    // The point is at the end of the key's description.
    let point = &key.as_ref()[key.as_ref().len() - 65..];
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), signature).is_ok()
}

#[tokio::test]
async fn a_token_is_shown_once_and_verifies_with_its_public_key() {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    let namespace = &made["namespace_id"];
    let body = json!({"namespace_id": namespace, "expires_at": "2126-05-06T16:42:11+02:00"});
    let of_namespace = fixture.post(TOKENS, body).await.body;
    let of_container = fixture.post(TOKENS, json!({"container_id": made["id"]})).await.body;
    let (message, signature, header, claims) = parts(&of_namespace["token"]);
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT"}));
    assert_eq!(claims["application_claim"], json!([{"namespace_id": namespace, "application_id": ""}]));
    assert_eq!((&claims["jti"], &claims["exp"]), (&of_namespace["id"], &json!(4_933_752_131_i64)));
    assert_eq!(
        (&claims["aud"], &claims["iss"], &claims["sub"]),
        (&json!("functions"), &json!("SCALEWAY"), &json!("token"))
    );
    assert!(verifies(&of_namespace["public_key"], &message, &signature));
    assert!(!verifies(&of_namespace["public_key"], &format!("{message}x"), &signature));
    let (.., claims) = parts(&of_container["token"]);
    assert_eq!(claims["application_claim"], json!([{"namespace_id": "", "application_id": made["id"]}]));
    assert_eq!(claims.get("exp"), None);
    assert_eq!(of_container["public_key"], of_namespace["public_key"], "a namespace has one key");
    let shown = fixture.get(&item(TOKENS, &of_namespace)).await.body;
    let expected = json!({
        "token": "<hidden>", "public_key": "", "namespace_id": namespace, "id": of_namespace["id"],
        "status": "ready", "expires_at": "2126-05-06T14:42:11Z", "description": "",
    });
    assert_eq!(shown, expected);
    let shown = fixture.get(&item(TOKENS, &of_container)).await.body;
    assert_eq!((shown.get("namespace_id"), &shown["container_id"]), (None, &made["id"]));
    assert!(!fixture.get(NAMESPACES).await.body.to_string().contains("token_key"));
}

#[rstest]
#[case::container("containers", 1)]
#[case::namespace("namespaces", 0)]
#[tokio::test]
async fn tokens_go_with_what_they_open(#[case] deleted: &str, #[case] left: u64) {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    fixture.post(TOKENS, json!({"container_id": made["id"]})).await;
    fixture.post(TOKENS, json!({"namespace_id": made["namespace_id"]})).await;
    assert_eq!(fixture.get(TOKENS).await.body["total_count"], 2);
    let id = if deleted == "containers" { &made["id"] } else { &made["namespace_id"] };
    let path = format!("/containers/v1/regions/fr-par/{deleted}/{}", id.as_str().unwrap());
    assert_eq!(fixture.send("DELETE", &path, Value::Null).await.status, 200);
    assert_eq!(fixture.get(TOKENS).await.body["total_count"], left);
}

#[rstest]
#[case::neither(json!({}), "container_id")]
#[case::both(json!({"namespace_id": "NAMESPACE", "container_id": "CONTAINER"}), "container_id")]
#[case::past(json!({"namespace_id": "NAMESPACE", "expires_at": "2001-01-01T00:00:00Z"}), "expires_at")]
#[case::too_far(json!({"namespace_id": "NAMESPACE", "expires_at": "9999-12-31T23:59:59-23:59"}), "expires_at")]
#[tokio::test]
async fn a_token_opens_one_thing_and_expires_later(#[case] mut body: Value, #[case] argument: &str) {
    let fixture = Fixture::new();
    let made = container(&fixture, json!({})).await;
    for (field, id) in [("namespace_id", &made["namespace_id"]), ("container_id", &made["id"])] {
        if let Some(value) = body.get_mut(field) {
            *value = id.clone();
        }
    }
    let refused = fixture.post(TOKENS, body).await;
    assert_eq!((refused.status, faulty(&refused)), (400, vec![argument.to_owned()]));
}

//! Token: what opens a private container, or all of a namespace. API v1beta1, deprecated in favour of IAM.
//!
//! Recorded: a JSON Web Token, shown once, then `<hidden>`, its public key likewise;
//! its claims. Scaleway signs with RSA; here it is ECDSA over P-256 (`ES256`), whose
//! keys take no time to make. A namespace has one key, made with its first token.

use std::time::Duration;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::KeyPair;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset};

use super::{CONTAINER, NAMESPACE, READ, TOKEN, WRITE};
use crate::kernel::{Act, Answer, Making, Reason, Record, Refusal, Resource, computed, optional, rfc3339, states};

const COLLECTION: &str = "/containers/v1beta1/regions/{region}/tokens";

/// Where a namespace keeps its key, hidden: PKCS #8 in base64.
pub(super) const KEY: &str = "token_key";

pub(super) fn token() -> Resource {
    Resource::new(TOKEN)
        .at("/containers/v1beta1/regions/{region}/tokens/{token_id}")
        .under(NAMESPACE)
        .of_parent()
        .fields([
            optional("container_id").refers_to(CONTAINER),
            optional("namespace_id").refers_to(NAMESPACE),
            optional("description").text(0..=65_536),
            optional("expires_at").time(),
            computed("token", |_| Ok("<hidden>".into())),
            computed("public_key", |_| Ok("".into())),
        ])
        .states(states("creating", Duration::from_secs(5), "ready").deleting("deleting", Duration::from_secs(1)))
        .filters(&["container_id", "namespace_id"])
        .without(&["PATCH"])
        .permissions(READ, WRITE)
        .made(make)
        .act("POST", COLLECTION, create)
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let (container, namespace) = (making.text("container_id").to_owned(), making.text("namespace_id").to_owned());
    // Answers tell no more than that (recorded).
    for field in ["created_at", "updated_at"] {
        making.record.body.remove(field);
    }
    match (container.is_empty(), namespace.is_empty()) {
        (false, true) => {
            let container = making.act(CONTAINER, |act| act.find(CONTAINER, &container))?;
            making.record.body.remove("namespace_id");
            making.record.hidden.insert("namespace_id".into(), container.text("namespace_id").into());
        }
        (true, false) => {
            making.record.body.remove("container_id");
        }
        _ => {
            let help = "name exactly one of container_id and namespace_id";
            return Err(Refusal::argument("container_id", Reason::Required, help));
        }
    }
    check_expiry(making)
}

/// A token's end must be yet to come.
pub(in crate::services) fn check_expiry(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    if let Some(expires) = told(making.record.body.get("expires_at")) {
        let expires = expires.checked_to_offset(UtcOffset::UTC).filter(|expires| *expires > making.tx.now());
        let Some(expires) = expires else {
            return Err(Refusal::argument(
                "expires_at",
                Reason::Constraint,
                "must be in the future, before year 10000",
            ));
        };
        making.set("expires_at", rfc3339(expires));
    }
    Ok(())
}

fn told(value: Option<&Value>) -> Option<OffsetDateTime> {
    crate::kernel::moment(value?.as_str()?)
}

/// POST: the only answer that shows the token and the key to verify it with.
fn create(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let call = act.call;
    let key = act.create(TOKEN, call)?;
    let record = act.find(TOKEN, &key)?;
    Ok(Answer::Ok(shown_once(act, NAMESPACE, &record, record.text("container_id"))?))
}

/// A token as only its creation shows it: the token itself, and the key to verify it with.
pub(in crate::services) fn shown_once(
    act: &mut Act<'_, '_>,
    namespaces: &str,
    record: &Record,
    application: &str,
) -> Result<Value, Refusal> {
    let signer = key_of(act, namespaces, record.text_or_hidden("namespace_id"))?;
    let mut body = record.body.clone();
    body.insert("token".into(), sign(&signer, record, application, act.tx.now())?.into());
    body.insert("public_key".into(), signer.public_key_pem().into());
    Ok(Value::Object(body))
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Internal(format!("a token cannot be signed: {error}"))
}

/// The key of a namespace, made if it has none.
fn key_of(act: &mut Act<'_, '_>, namespaces: &str, namespace: &str) -> Result<KeyPair, Refusal> {
    let mut record = Record::clone(&*act.find(namespaces, namespace)?);
    if let Some(key) = record.hidden.get(KEY).and_then(Value::as_str) {
        return KeyPair::try_from(STANDARD.decode(key).map_err(failed)?).map_err(failed);
    }
    let key = KeyPair::generate().map_err(failed)?;
    record.hidden.insert(KEY.into(), STANDARD.encode(key.serialize_der()).into());
    act.tx.put(namespaces, namespace, record);
    Ok(key)
}

/// A JSON Web Token with the claims that Scaleway's have (recorded).
fn sign(key: &KeyPair, token: &Record, application: &str, now: OffsetDateTime) -> Result<String, Refusal> {
    let mut claims = json!({
        "application_claim": [{"namespace_id": token.text("namespace_id"), "application_id": application}],
        "version": 2, "aud": "functions", "jti": token.text("id"), "iss": "SCALEWAY", "sub": "token",
        "iat": now.unix_timestamp(), "nbf": now.unix_timestamp(),
    });
    if let Some(expires) = told(token.body.get("expires_at")) {
        claims["exp"] = expires.unix_timestamp().into();
    }
    let header = json!({"alg": "ES256", "typ": "JWT"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(&claims));
    let random = SystemRandom::new();
    let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der(), &random);
    let signature = signer.map_err(failed)?.sign(&random, message.as_bytes()).map_err(failed)?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

//! Values at rest: each version has a data key of its own, which is encrypted under the secret's Key Manager key,
//! or, where it names none, under a key of its project that Secret Manager keeps to itself.
//!
//! Documented ("Secret encryption with Scaleway's Secret Manager"): an internal key management system with key
//! encrypting keys and data encrypting keys. SDK, `CreateSecretRequest.KeyID`: "The Scaleway Key Manager key ID
//! will be used to encrypt and decrypt secret versions".

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    kernel::{Making, Reason, Record, Refusal, Tables, Transaction},
    services::key_manager::{KEY, material, usable},
};

/// Secret Manager's own keys, by project. No API shows them.
const INTERNAL: &str = "secret.internal_key";

fn unusable(help: String) -> Refusal {
    Refusal::Precondition { precondition: "resource_not_usable", help }
}

/// Refuses a `key_id` that cannot encrypt this secret's versions.
pub(super) fn check_key(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let id = making.text("key_id").to_owned();
    if id.is_empty() {
        return Ok(());
    }
    let here = |field: &str, record: &Record| record.text(field) == making.text(field);
    let found = making.tx.get(KEY, &id).filter(|key| here("region", key) && here("project_id", key));
    let key =
        found.ok_or_else(|| Refusal::argument("key_id", Reason::Unknown, "no such key in the secret's project"))?;
    if material::of(key) != "aes_256_gcm" {
        return Err(Refusal::argument("key_id", Reason::Constraint, "must be a key of symmetric encryption"));
    }
    usable(key).map(drop)
}

/// The key that a secret's versions are encrypted under.
fn key_of<'t>(tables: &'t Tables, secret: &Record) -> Result<&'t Record, Refusal> {
    let id = secret.text("key_id");
    if id.is_empty() {
        let internal = tables.get(INTERNAL, secret.text("project_id"));
        return internal.map(AsRef::as_ref).ok_or_else(|| Refusal::Internal("the project has no internal key".into()));
    }
    let key = tables.get(KEY, id).ok_or_else(|| unusable(format!("the key {id} of the secret is deleted")))?;
    usable(key).map_err(|_| unusable(format!("the key {id} of the secret is {}", key.text("state"))))
}

/// Encrypts a version's value, which is not kept otherwise.
pub(super) fn seal(
    tx: &mut Transaction<'_>,
    secret: &Record,
    version: &mut Record,
    value: &[u8],
) -> Result<(), Refusal> {
    let project = secret.text("project_id");
    if secret.text("key_id").is_empty() && tx.get(INTERNAL, project).is_none() {
        let mut internal = Record::default();
        internal.hidden.insert("versions".into(), vec![material::generate("aes_256_gcm")?].into());
        tx.put(INTERNAL, project, internal);
    }
    let data_key = material::random::<{ material::AES_KEY }>()?;
    let bound = bound_to(version);
    let wrapped = material::encrypt(key_of(tx.tables(), secret)?, &data_key, &bound)?;
    let sealed = material::encrypt(&keyed(&data_key), value, &bound)?;
    version.hidden.insert("data".into(), STANDARD.encode(sealed).into());
    version.hidden.insert("data_key".into(), STANDARD.encode(wrapped).into());
    Ok(())
}

/// The value of a version, in base64.
pub(super) fn open(tables: &Tables, secret: &Record, version: &Record) -> Result<String, Refusal> {
    let field = |name: &str| version.hidden.get(name).and_then(Value::as_str).and_then(|it| STANDARD.decode(it).ok());
    let gone = || unusable("the version has no value any more".into());
    let (sealed, wrapped) = (field("data").ok_or_else(gone)?, field("data_key").ok_or_else(gone)?);
    let bound = bound_to(version);
    let key = key_of(tables, secret)?;
    let lost = |_| unusable("the key of the secret no longer has the material that encrypted this version".into());
    let data_key = material::decrypt(key, &wrapped, &bound).map_err(lost)?;
    Ok(STANDARD.encode(material::decrypt(&keyed(&data_key), &sealed, &bound)?))
}

/// Nothing decrypts the version's value from now on.
pub(super) fn destroy(version: &mut Record) {
    for field in ["data", "data_key", "data_crc32"] {
        version.hidden.remove(field);
    }
}

/// A ciphertext is that of one version, and cannot be put into another one's place.
fn bound_to(version: &Record) -> Vec<u8> {
    format!("{}/{}", version.text("secret_id"), version.body.get("revision").unwrap_or(&Value::Null)).into_bytes()
}

fn keyed(data_key: &[u8]) -> Record {
    let mut record = Record::default();
    record.hidden.insert("versions".into(), vec![Value::from(STANDARD.encode(data_key))].into());
    record
}

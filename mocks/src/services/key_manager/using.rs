//! What keys are used for: encrypting, decrypting, data keys; and material that comes from outside.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    key::{ALGORITHMS, add_version, change, find, is_deleted, usable},
    material,
};
use crate::kernel::{Act, Answer, Look, Reason, Record, Refusal, rfc3339};

/// The most that can be encrypted at once, in bytes (documented).
const MOST: usize = 64 << 10;

/// A field of bytes of the request; `None` where it is not said.
fn bytes(act: &Act<'_, '_>, field: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(text) = act.call.body.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
    let wrong = |_| Refusal::argument(field, Reason::Format, "must be base64");
    STANDARD.decode(text.as_str().unwrap_or("?")).map(Some).map_err(wrong)
}

fn required(act: &Act<'_, '_>, field: &str) -> Result<Vec<u8>, Refusal> {
    let given = bytes(act, field)?.filter(|given| !given.is_empty());
    given.ok_or_else(|| Refusal::argument(field, Reason::Required, format!("{field} is required")))
}

/// The key, if it may be used to encrypt symmetrically.
fn symmetric(act: &Act<'_, '_>) -> Result<(String, std::sync::Arc<Record>), Refusal> {
    let (id, record) = find(act)?;
    usable(&record)?;
    match material::of(&record) {
        "aes_256_gcm" => Ok((id, record)),
        algorithm if algorithm.starts_with("rsa_oaep") => {
            Err(Refusal::NotImplemented { route: format!("encrypting and decrypting with {algorithm}") })
        }
        algorithm => {
            let help = format!("a key of {algorithm} does not encrypt");
            Err(Refusal::argument("key_id", Reason::Constraint, help))
        }
    }
}

pub(super) fn encrypt(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record) = symmetric(act)?;
    let plaintext = required(act, "plaintext")?;
    if plaintext.len() > MOST {
        return Err(Refusal::argument("plaintext", Reason::Constraint, format!("must have at most {MOST} bytes")));
    }
    let associated = bytes(act, "associated_data")?.unwrap_or_default();
    let ciphertext = material::encrypt(&record, &plaintext, &associated)?;
    Ok(Answer::Ok(json!({"key_id": id, "ciphertext": STANDARD.encode(ciphertext)})))
}

pub(super) fn decrypt(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record) = symmetric(act)?;
    let ciphertext = required(act, "ciphertext")?;
    let associated = bytes(act, "associated_data")?.unwrap_or_default();
    let plaintext = material::decrypt(&record, &ciphertext, &associated)?;
    // A new ciphertext is answered when another version made the one that was sent.
    let newest = material::versions(&record).len().to_be_bytes();
    let current = ciphertext.get(1..5) == newest.get(newest.len() - 4..);
    let again = if current { None } else { Some(material::encrypt(&record, &plaintext, &associated)?) };
    let again = again.map(|ciphertext| STANDARD.encode(ciphertext));
    Ok(Answer::Ok(json!({"key_id": id, "plaintext": STANDARD.encode(plaintext), "ciphertext": again})))
}

pub(super) fn data_key(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record) = symmetric(act)?;
    let algorithm = act.call.text("algorithm").filter(|asked| !asked.starts_with("unknown_"));
    if algorithm.is_some_and(|asked| asked != "aes_256_gcm") {
        return Err(Refusal::argument("algorithm", Reason::Constraint, "must be aes_256_gcm"));
    }
    let fresh = material::random::<{ material::AES_KEY }>()?;
    let ciphertext = STANDARD.encode(material::encrypt(&record, &fresh, b"")?);
    let shown = act.call.body.get("without_plaintext") != Some(&json!(true));
    let plaintext = shown.then(|| STANDARD.encode(fresh));
    Ok(Answer::Ok(json!({
        "key_id": id, "algorithm": "aes_256_gcm", "ciphertext": ciphertext, "plaintext": plaintext,
        "created_at": rfc3339(act.tx.now()),
    })))
}

pub(super) fn import(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    external(act)?;
    let given = required(act, "key_material")?;
    if given.len() != material::AES_KEY {
        let help = format!("must have {} bytes", material::AES_KEY);
        return Err(Refusal::argument("key_material", Reason::Constraint, help));
    }
    change(act, |making| {
        add_version(making, json!(STANDARD.encode(&given)));
        making.set("state", "enabled");
        Ok(())
    })
}

pub(super) fn forget(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    external(act)?;
    change(act, |making| {
        let gone = vec![Value::Null; material::versions(making.record).len()];
        making.record.hidden.insert("versions".into(), gone.into());
        making.set("state", "pending_key_material");
        Ok(())
    })?;
    Ok(Answer::NoContent)
}

/// Refuses a key whose material Key Manager made itself.
fn external(act: &Act<'_, '_>) -> Result<(), Refusal> {
    let (_, record) = find(act)?;
    if record.text("origin") == "external" && !is_deleted(&record) {
        return Ok(());
    }
    Err(Refusal::argument("key_id", Reason::Constraint, "must be a key whose origin is external"))
}

pub(super) fn algorithms(look: &Look<'_>) -> Result<Value, Refusal> {
    let asked: Vec<&str> = look.call.queries("usages").collect();
    let mut algorithms = Vec::new();
    for (usage, names) in ALGORITHMS {
        if asked.is_empty() || asked.contains(&usage) {
            let describe =
                |(index, name): (usize, &&str)| json!({"usage": usage, "name": name, "recommended": index == 0});
            algorithms.extend(names.iter().enumerate().map(describe));
        }
    }
    Ok(json!({ "algorithms": algorithms }))
}

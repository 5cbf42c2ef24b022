//! What keys are used for: encrypting, decrypting, signing, verifying, data keys; and material that comes from outside.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    KEY,
    asymmetric::{self, Algorithm},
    key::{ALGORITHMS, add_version, change, find, is_deleted, usable},
    material,
};
use crate::kernel::{Act, Answer, Look, Reason, Record, Refusal, rfc3339};

/// The most that can be encrypted at once, in bytes (SDK: `EncryptRequest`).
const MOST: usize = 65_535;

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

/// What a key is used for.
enum Use {
    Symmetric,
    Oaep,
    Signing(Algorithm),
}

/// The key that the path names, if it may be used, and for what.
fn found(act: &Act<'_, '_>) -> Result<(String, std::sync::Arc<Record>, Use), Refusal> {
    let (id, record) = find(act)?;
    usable(&record)?;
    let purpose = match Algorithm::named(material::of(&record)) {
        None => Use::Symmetric,
        Some(Algorithm::Oaep(_)) => Use::Oaep,
        Some(signing) => Use::Signing(signing),
    };
    Ok((id, record, purpose))
}

fn wrong_usage(record: &Record, what: &str) -> Refusal {
    let help = format!("a key of {} does not {what}", material::of(record));
    Refusal::argument("key_id", Reason::Constraint, help)
}

/// The bytes to be authenticated, which only symmetric keys do (documented).
fn associated(act: &Act<'_, '_>, purpose: &Use) -> Result<Vec<u8>, Refusal> {
    let given = bytes(act, "associated_data")?.unwrap_or_default();
    if given.is_empty() || matches!(purpose, Use::Symmetric) {
        return Ok(given);
    }
    Err(Refusal::argument("associated_data", Reason::Constraint, "is for keys of symmetric encryption only"))
}

pub(super) fn encrypt(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record, purpose) = found(act)?;
    let plaintext = required(act, "plaintext")?;
    let associated = associated(act, &purpose)?;
    let newest = material::newest_first(&record).next().ok_or_else(material::no_material)?;
    let most = match purpose {
        Use::Symmetric => MOST,
        Use::Oaep => asymmetric::most(&newest)?,
        Use::Signing(_) => return Err(wrong_usage(&record, "encrypt")),
    };
    if plaintext.len() > most {
        return Err(Refusal::argument("plaintext", Reason::Constraint, format!("must have at most {most} bytes")));
    }
    let ciphertext = match purpose {
        Use::Symmetric => material::encrypt(&record, &plaintext, &associated)?,
        _ => asymmetric::encrypt(&newest, &plaintext)?,
    };
    Ok(Answer::Ok(json!({"key_id": id, "ciphertext": STANDARD.encode(ciphertext)})))
}

pub(super) fn decrypt(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record, purpose) = found(act)?;
    let ciphertext = required(act, "ciphertext")?;
    let associated = associated(act, &purpose)?;
    // A new ciphertext is answered when another version made the one that was sent.
    let (plaintext, again) = match purpose {
        Use::Symmetric => {
            let plaintext = material::decrypt(&record, &ciphertext, &associated)?;
            let newest = material::versions(&record).len().to_be_bytes();
            let current = ciphertext.get(1..5) == newest.get(newest.len() - 4..);
            let again = if current { None } else { Some(material::encrypt(&record, &plaintext, &associated)?) };
            (plaintext, again)
        }
        Use::Oaep => {
            let (age, plaintext) = opened(&record, &ciphertext)?;
            let newest = material::newest_first(&record).next().ok_or_else(material::no_material)?;
            let again = if age == 0 { None } else { Some(asymmetric::encrypt(&newest, &plaintext)?) };
            (plaintext, again)
        }
        Use::Signing(_) => return Err(wrong_usage(&record, "decrypt")),
    };
    let again = again.map(|ciphertext| STANDARD.encode(ciphertext));
    Ok(Answer::Ok(json!({"key_id": id, "plaintext": STANDARD.encode(plaintext), "ciphertext": again})))
}

/// What RSA decrypts: a ciphertext does not say its version, so all are asked, the newest first.
/// Returns how many versions came after the one that had it.
fn opened(record: &Record, ciphertext: &[u8]) -> Result<(usize, Vec<u8>), Refusal> {
    for (age, version) in material::newest_first(record).enumerate() {
        if let Some(plaintext) = asymmetric::decrypt(&version, ciphertext)? {
            return Ok((age, plaintext));
        }
    }
    Err(Refusal::argument("ciphertext", Reason::Constraint, "no version of the key decrypts it"))
}

/// The digest to be signed, if it has the length that the key's algorithm gives it.
fn digest(act: &Act<'_, '_>, algorithm: Algorithm) -> Result<Vec<u8>, Refusal> {
    let digest = required(act, "digest")?;
    match algorithm.digest_length() {
        Some(length) if digest.len() != length => {
            Err(Refusal::argument("digest", Reason::Constraint, format!("must have {length} bytes")))
        }
        _ => Ok(digest),
    }
}

pub(super) fn sign(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record, purpose) = found(act)?;
    let Use::Signing(algorithm) = purpose else { return Err(wrong_usage(&record, "sign")) };
    let digest = digest(act, algorithm)?;
    let newest = material::newest_first(&record).next().ok_or_else(material::no_material)?;
    let signature = algorithm.sign(&newest, &digest)?;
    Ok(Answer::Ok(json!({"key_id": id, "signature": STANDARD.encode(signature)})))
}

/// A signature does not say its version either: it is valid if any version made it.
pub(super) fn verify(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record, purpose) = found(act)?;
    let Use::Signing(algorithm) = purpose else { return Err(wrong_usage(&record, "verify")) };
    let (digest, signature) = (digest(act, algorithm)?, required(act, "signature")?);
    let mut valid = false;
    for version in material::newest_first(&record) {
        valid = valid || algorithm.verify(&version, &digest, &signature)?;
    }
    Ok(Answer::Ok(json!({"key_id": id, "valid": valid})))
}

/// The public half of the newest version.
pub(super) fn public_key(look: &Look<'_>) -> Result<Value, Refusal> {
    let record = look.find(KEY, look.call.param("key_id").unwrap_or_default())?;
    let algorithm = Algorithm::named(material::of(record)).ok_or_else(|| wrong_usage(record, "have a public key"))?;
    let newest = material::newest_first(record).next().ok_or_else(material::no_material)?;
    Ok(json!({"pem": algorithm.public_key(&newest)?}))
}

pub(super) fn data_key(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let (id, record, purpose) = found(act)?;
    if !matches!(purpose, Use::Symmetric) {
        return Err(wrong_usage(&record, "make data keys"));
    }
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
    let (given, salt) = (required(act, "key_material")?, bytes(act, "salt")?.unwrap_or_default());
    // Any length: the key is derived, and 31 bytes are taken (recorded: key-material-resource-basic).
    let version = material::derive(&given, &salt)?;
    change(act, |making| {
        add_version(making, version);
        making.set("state", "enabled");
        Ok(())
    })
}

/// Nothing that was encrypted can be decrypted until the same material is imported again; its versions
/// count from 1 then (recorded: `rotation_count` is 0 afterwards, `rotated_at` stays).
pub(super) fn forget(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    external(act)?;
    change(act, |making| {
        making.record.hidden.remove("versions");
        making.set("rotation_count", 0);
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

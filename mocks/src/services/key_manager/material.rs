//! Key material: made, kept out of sight, used. A symmetric ciphertext says which version of its key made it;
//! those of public keys are plain RSA, so that whoever has the public key can make them.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::asymmetric::Algorithm;
use crate::kernel::{Reason, Record, Refusal};

/// Bytes of an AES-256 key.
pub(in crate::services) const AES_KEY: usize = 32;

/// The format of ciphertexts (recorded: one byte 1, the version in four, nonce, ciphertext, tag).
const FORMAT: u8 = 1;
const HEAD: usize = 1 + 4 + NONCE_LEN;

/// The algorithm of a key.
pub(in crate::services) fn of(record: &Record) -> &str {
    let usage = record.body.get("usage").and_then(Value::as_object);
    usage.into_iter().flat_map(|usage| usage.values()).find_map(Value::as_str).unwrap_or_default()
}

/// The versions of a key, the oldest first.
pub(super) fn versions(record: &Record) -> Vec<Value> {
    record.hidden.get("versions").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The material of a key's versions, the newest first.
pub(super) fn newest_first(record: &Record) -> impl Iterator<Item = Vec<u8>> + use<> {
    versions(record).into_iter().rev().filter_map(|version| STANDARD.decode(version.as_str()?).ok())
}

/// New material, as a version.
pub(in crate::services) fn generate(algorithm: &str) -> Result<Value, Refusal> {
    let material = match Algorithm::named(algorithm) {
        Some(asymmetric) => asymmetric.generate()?,
        None => random::<AES_KEY>()?.to_vec(),
    };
    Ok(json!(STANDARD.encode(material)))
}

/// The version that follows from material and salt of somebody else's: the key itself is derived from
/// them, as documented, by HKDF-SHA256 here.
pub(super) fn derive(material: &[u8], salt: &[u8]) -> Result<Value, Refusal> {
    let mut key = [0; AES_KEY];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(material);
    let expanded = extracted.expand(&[], hkdf::HKDF_SHA256).and_then(|expanded| expanded.fill(&mut key));
    expanded.map_err(|_| Refusal::Internal("no key could be derived".into()))?;
    Ok(json!(STANDARD.encode(key)))
}

/// Random bytes.
pub(in crate::services) fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Refusal::Internal("no random bytes".into()))?;
    Ok(bytes)
}

fn cipher(version: &Value) -> Option<LessSafeKey> {
    let material = STANDARD.decode(version.as_str()?).ok()?;
    UnboundKey::new(&AES_256_GCM, &material).ok().map(LessSafeKey::new)
}

/// Encrypts under the newest version.
pub(in crate::services) fn encrypt(record: &Record, plaintext: &[u8], associated: &[u8]) -> Result<Vec<u8>, Refusal> {
    let versions = versions(record);
    let cipher = versions.last().and_then(cipher).ok_or_else(no_material)?;
    let number = u32::try_from(versions.len()).map_err(|_| Refusal::Internal("too many versions".into()))?;
    let nonce = random::<NONCE_LEN>()?;
    let mut sealed = plaintext.to_vec();
    cipher
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated), &mut sealed)
        .map_err(|_| Refusal::Internal("nothing could be encrypted".into()))?;
    Ok([&[FORMAT][..], &number.to_be_bytes(), &nonce, &sealed].concat())
}

/// Decrypts what any version of the key has encrypted.
pub(in crate::services) fn decrypt(record: &Record, ciphertext: &[u8], associated: &[u8]) -> Result<Vec<u8>, Refusal> {
    let malformed = || Refusal::argument("ciphertext", Reason::Format, "is no ciphertext of Key Manager's");
    let (head, sealed) = ciphertext.split_at_checked(HEAD).ok_or_else(malformed)?;
    let (format, rest) = head.split_first().ok_or_else(malformed)?;
    let (number, nonce) = rest.split_at_checked(4).ok_or_else(malformed)?;
    let number = u32::from_be_bytes(number.try_into().map_err(|_| malformed())?);
    if *format != FORMAT || number == 0 {
        return Err(malformed());
    }
    let versions = versions(record);
    let version = usize::try_from(number - 1).ok().and_then(|index| versions.get(index));
    let cipher = version.and_then(cipher).ok_or_else(no_material)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| malformed())?;
    let mut opened = sealed.to_vec();
    let plaintext = cipher.open_in_place(nonce, Aad::from(associated), &mut opened).map_err(|_| {
        // The words of the real one (recorded).
        Refusal::argument("ciphertext", Reason::Constraint, "cipher: message authentication failed")
    })?;
    Ok(plaintext.to_vec())
}

pub(super) fn no_material() -> Refusal {
    Refusal::Precondition { precondition: "resource_not_usable", help: "the key has no such key material".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(versions: usize) -> Record {
        let mut record = Record::of(&json!({"usage": {"symmetric_encryption": "aes_256_gcm"}}));
        let versions: Vec<Value> = (0..versions).map(|_| generate("aes_256_gcm").unwrap()).collect();
        record.hidden.insert("versions".into(), versions.into());
        record
    }

    #[test]
    fn what_was_encrypted_is_decrypted_with_the_same_associated_data_only() {
        let key = key(1);
        let sealed = encrypt(&key, b"secret", b"context").unwrap();
        assert_eq!(decrypt(&key, &sealed, b"context").unwrap(), b"secret");
        assert!(decrypt(&key, &sealed, b"another").is_err());
        assert!(decrypt(&self::key(1), &sealed, b"context").is_err(), "another key opens it");
    }

    #[test]
    fn older_versions_still_decrypt() {
        let mut key = key(1);
        let sealed = encrypt(&key, b"secret", b"").unwrap();
        let mut all = versions(&key);
        all.push(generate("aes_256_gcm").unwrap());
        key.hidden.insert("versions".into(), all.into());
        assert_eq!(decrypt(&key, &sealed, b"").unwrap(), b"secret");
        assert_ne!(encrypt(&key, b"secret", b"").unwrap()[..5], sealed[..5]);
    }

    #[test]
    fn broken_ciphertexts_are_refused() {
        let key = key(1);
        let mut sealed = encrypt(&key, b"secret", b"").unwrap();
        for length in 0..HEAD {
            assert!(decrypt(&key, &sealed[..length], b"").is_err());
        }
        assert!(decrypt(&key, &[&[1, 0, 0, 0, 9][..], &[0; 40]].concat(), b"").is_err());
        *sealed.last_mut().unwrap() ^= 1;
        assert!(decrypt(&key, &sealed, b"").is_err());
    }
}

//! Secrets in a checkpoint, and the passphrase that encrypts them: Pulumi's passphrase secrets manager.
//!
//! The key is PBKDF2 (HMAC-SHA-256, 1 000 000 rounds) of passphrase and salt; a value is AES-256-GCM, told as
//! `v1:<nonce>:<ciphertext>`. What a checkpoint says of its key is `v1:<salt>:<a value>`, the value being a known word.

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    pbkdf2,
};
use serde_json::Value;

use super::{SecretsProvider, model};

/// How often Pulumi hashes a passphrase.
const ROUNDS: NonZeroU32 = NonZeroU32::new(1_000_000).expect("it is not zero");

/// The word that Pulumi encrypts to recognise the right passphrase.
const KNOWN: &[u8] = b"pulumi";

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    WrongPassphrase,
    NotUnderstood,
}

/// The key of a state's secrets.
pub(super) struct Key(LessSafeKey);

impl Key {
    /// The key that a passphrase makes, if it is the right one.
    pub(super) fn open(provider: &SecretsProvider, passphrase: &str) -> Result<Self, Problem> {
        let text = provider.state.get("salt").and_then(Value::as_str).ok_or(Problem::NotUnderstood)?;
        let rest = text.strip_prefix("v1:").ok_or(Problem::NotUnderstood)?;
        let (salt, known) = rest.split_once(':').ok_or(Problem::NotUnderstood)?;
        let salt = STANDARD.decode(salt).map_err(|_| Problem::NotUnderstood)?;
        if parts(known).is_none() {
            return Err(Problem::NotUnderstood);
        }
        let mut bytes = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, passphrase.as_bytes(), &mut bytes);
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| Problem::NotUnderstood)?;
        let key = Self(LessSafeKey::new(key));
        match key.decrypt(known) {
            Some(word) if word == KNOWN => Ok(key),
            _ => Err(Problem::WrongPassphrase),
        }
    }

    /// Whether a value can be decrypted. What it is is forgotten at once.
    pub(super) fn opens(&self, value: &str) -> bool {
        self.decrypt(value).is_some()
    }

    fn decrypt(&self, value: &str) -> Option<Vec<u8>> {
        let (nonce, mut content) = parts(value)?;
        let length = self.0.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut content).ok()?.len();
        content.truncate(length);
        Some(content)
    }
}

/// Nonce and ciphertext of `v1:<nonce>:<ciphertext>`.
fn parts(value: &str) -> Option<([u8; 12], Vec<u8>)> {
    let (nonce, content) = value.strip_prefix("v1:")?.split_once(':')?;
    Some((STANDARD.decode(nonce).ok()?.try_into().ok()?, STANDARD.decode(content).ok()?))
}

/// Calls for each secret in a value: with its path and its ciphertext, an empty one if it lies in the clear.
pub(super) fn find<'a>(path: &str, value: &'a Value, call: &mut impl FnMut(&str, &'a str)) {
    if let Some(ciphertext) = model::secret(value) {
        call(path, ciphertext);
        return;
    }
    match value {
        Value::Array(all) => {
            for (index, inner) in all.iter().enumerate() {
                find(&format!("{path}[{index}]"), inner, call);
            }
        }
        Value::Object(all) => {
            for (name, inner) in all {
                find(&format!("{path}.{name}"), inner, call);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A state of Pulumi's own tests of its secrets manager: passphrase `password`.
    fn provider() -> SecretsProvider {
        SecretsProvider {
            kind: "passphrase".to_owned(),
            state: json!({"salt": "v1:fozI5u6B030=:v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="}),
        }
    }

    #[test]
    fn the_right_passphrase_opens_what_pulumi_wrote() {
        let key = Key::open(&provider(), "password").ok().unwrap();
        assert!(key.opens("v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="));
        assert!(!key.opens("v1:F+6ZduKKd8G0/V7L:QGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="), "one bit is another");
        assert!(!key.opens("nonsense"));
    }

    #[test]
    fn another_passphrase_does_not() {
        assert_eq!(Key::open(&provider(), "Password").err(), Some(Problem::WrongPassphrase));
    }

    #[test]
    fn what_is_no_salt_is_not_understood() {
        for state in
            [json!({}), json!({"salt": "v2:a:b"}), json!({"salt": "v1:a"}), json!({"salt": "v1:fozI5u6B030=:v1:a:b"})]
        {
            let provider = SecretsProvider { kind: "passphrase".to_owned(), state };
            assert_eq!(Key::open(&provider, "password").err(), Some(Problem::NotUnderstood));
        }
    }
}

//! SSH key: what a project's machines let in.
//!
//! Recorded: the public key is answered without its comment; the fingerprint is
//! that of `ssh-keygen -l -E md5`, such as `256 MD5:6b:…:06 (ssh-ed25519)`.

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::kernel::{Making, Refusal, Resource, computed, optional, required};

pub(super) fn ssh_key() -> Resource {
    Resource::new("iam.ssh_key")
        .at("/iam/v1alpha1/ssh-keys/{ssh_key_id}")
        .listed_as("ssh_keys")
        .fields([
            optional("name").text(0..=255),
            required("public_key").text(1..=16_384).check(public_key).fixed(),
            optional("disabled").flag(),
            computed("fingerprint", fingerprint),
        ])
        .filters(&["name", "disabled"])
        .order(&["created_at", "updated_at", "name"])
        .permissions(&["SSHKeysReadOnly", "IAMReadOnly"], &["SSHKeysFullAccess", "IAMManager"])
}

/// A public key of RFC 4253: its type, how many bits it has, its text without a comment.
struct PublicKey {
    kind: String,
    bits: usize,
    blob: Vec<u8>,
}

impl PublicKey {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (kind, encoded) = (words.next()?, words.next()?);
        let blob = STANDARD.decode(encoded).ok()?;
        let mut rest = blob.as_slice();
        if part(&mut rest)? != kind.as_bytes() {
            return None;
        }
        let bits = match kind {
            "ssh-ed25519" | "sk-ssh-ed25519@openssh.com" => (part(&mut rest)?.len() == 32).then_some(256)?,
            "ecdsa-sha2-nistp256" | "sk-ecdsa-sha2-nistp256@openssh.com" => 256,
            "ecdsa-sha2-nistp384" => 384,
            "ecdsa-sha2-nistp521" => 521,
            "ssh-rsa" => {
                let _exponent = part(&mut rest)?;
                bit_length(part(&mut rest)?)
            }
            _ => return None,
        };
        Some(Self { kind: kind.to_owned(), bits, blob })
    }
}

/// The next string of an SSH message: its length in four bytes, then itself.
fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(part)
}

fn bit_length(number: &[u8]) -> usize {
    let significant: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

fn public_key(value: &Value) -> Result<(), String> {
    match PublicKey::parse(value.as_str().unwrap_or_default()) {
        Some(_) => Ok(()),
        None => Err("must be a public key in OpenSSH's form, such as ssh-ed25519 AAAA…".into()),
    }
}

/// Computes the fingerprint, and leaves the comment away.
fn fingerprint(making: &mut Making<'_, '_>) -> Result<Value, Refusal> {
    let Some(key) = PublicKey::parse(making.text("public_key")) else {
        return Ok(Value::Null);
    };
    making.set("public_key", format!("{} {}", key.kind, STANDARD.encode(&key.blob)));
    let digest: Vec<String> = Md5::digest(&key.blob).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!(format!("{} MD5:{} ({})", key.bits, digest.join(":"), key.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_number_counts_its_significant_bits() {
        assert_eq!(bit_length(&[0, 0x80, 0]), 16);
        assert_eq!(bit_length(&[1]), 1);
        assert_eq!(bit_length(&[]), 0);
    }

    #[test]
    fn a_key_cut_short_is_no_key() {
        for text in
            ["", "ssh-ed25519", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "ssh-rsa AAAA", "rsa x", "ssh-dss AAAAB3NzaC1kc3M="]
        {
            assert!(PublicKey::parse(text).is_none(), "{text}");
        }
    }
}

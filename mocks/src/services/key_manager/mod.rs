//! Key Manager. API reference: Key Manager API v1alpha1.
//!
//! Keys encrypt, decrypt, sign and verify for real. Deletion is soft: a deleted key is still answered, with its
//! state `scheduled_for_deletion`, and hidden in lists (recorded), for seven days (documented).

mod asymmetric;
mod key;
pub(super) mod material;
mod using;

pub(super) use key::usable;

use crate::kernel::Product;

/// Documented in IAM's list of permission sets.
const READ: &[&str] = &["KeyManagerReadOnly"];
const FULL: &[&str] = &["KeyManagerFullAccess"];
const CREATE: &[&str] = &["KeyManagerKeyCreate", "KeyManagerFullAccess"];
const WRITE: &[&str] = &["KeyManagerKeyWrite", "KeyManagerFullAccess"];
const DELETE: &[&str] = &["KeyManagerKeyDelete", "KeyManagerFullAccess"];
const RESTORE: &[&str] = &["KeyManagerKeyRestore", "KeyManagerFullAccess"];
/// A data key is made and encrypted in one.
const ENCRYPT: &[&str] = &["KeyManagerKeyEncrypt", "KeyManagerFullAccess"];
const DECRYPT: &[&str] = &["KeyManagerKeyDecrypt", "KeyManagerFullAccess"];
const SIGN: &[&str] = &["KeyManagerKeySign", "KeyManagerFullAccess"];
const VERIFY: &[&str] = &["KeyManagerKeyVerify", "KeyManagerFullAccess"];

/// Changes to a key and its material that neither make nor delete the key.
const WRITES: &[&str] =
    &["PATCH", "rotate", "protect", "unprotect", "enable", "disable", "import-key-material", "delete-key-material"];

pub(super) const KEY: &str = "key_manager.key";

pub(super) fn product() -> Product {
    Product { name: "key_manager", title: "Key Manager", resources: vec![key::key()] }
}

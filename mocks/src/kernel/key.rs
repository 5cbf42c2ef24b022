//! The keys of a state directory: a root key outside it, and a data key in it that only the root key opens.
//!
//! - The root key is the installation's. It lies in `root.key` (mode 0600) in the folder of the installation's
//!   certificate authority, or is given by [`ROOT_KEY_VARIABLE`].
//! - Each cloud has a data key of its own, in `key.json` of its state directory, encrypted under the root key.
//! - Each file has a key of its own, derived from the data key and a salt in the file's first line.
//!
//! AES-256-GCM and HKDF-SHA256 throughout, of `ring`.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};

/// The environment variable that gives a root key: 32 bytes in base64, as `openssl rand -base64 32` prints them.
pub const ROOT_KEY_VARIABLE: &str = "STACKPROOF_ROOT_KEY";

/// Bytes of a key, and of a salt.
pub(super) const LENGTH: usize = 32;

/// The file of the root key, beside the certificate authority's.
const ROOT_FILE: &str = "root.key";
/// The file of the data key in a state directory.
const DATA_FILE: &str = "key.json";
/// What the data key's ciphertext is bound to.
const WRAPPED: &[u8] = b"stackproof state key 1";

/// A key that cannot be had, or does not fit.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A root key that others than its owner could read or change.
    #[error("the root key {0} can be read by others than its owner; nothing was read with it. Next: chmod 600 {0}")]
    Exposed(PathBuf),
    /// No root key at all.
    #[error("{0} is no key of 32 bytes in base64. Restore it from a copy: state directories are read by it alone")]
    Malformed(String),
    /// The state directory belongs to another root key.
    #[error(
        "{folder} is encrypted under root key {theirs}, and the one given is {ours}; nothing was changed. Give the other one by {ROOT_KEY_VARIABLE} or as root.key beside the certificate authority; or forget this cloud's state: stackproof cloud reset"
    )]
    Another {
        /// The state directory.
        folder: PathBuf,
        /// The mark of the key it is encrypted under.
        theirs: String,
        /// The mark of the key that was given.
        ours: String,
    },
    /// The file of the data key is damaged or gone.
    #[error(
        "{0}, without which this state directory cannot be read, is missing or damaged; nothing was changed. Restore it from a copy; or forget this cloud's state: stackproof cloud reset"
    )]
    Lost(PathBuf),
    /// A state directory of an earlier release.
    #[error(
        "{0} was written by an earlier release, unencrypted; it is not read, and nothing was changed. Remove it, and begin anew: stackproof cloud reset"
    )]
    Plaintext(PathBuf),
    /// A store that is to be kept in a folder, and was given no root key.
    #[error("no root key was given for {0}")]
    None(PathBuf),
    /// The operating system refused.
    #[error("failed to use {file}: {source}")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No random bytes, or an operation of the cipher's failed.
    #[error("the cryptography library refused to work")]
    Cryptography,
}

impl From<ring::error::Unspecified> for KeyError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Cryptography
    }
}

fn failed(file: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let file = file.to_owned();
    move |source| KeyError::Io { file, source }
}

/// Random bytes of the operating system's.
pub(super) fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(bytes)
}

/// The key of keys of an installation.
#[derive(Clone)]
pub struct RootKey(Arc<[u8; LENGTH]>);

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({})", self.mark())
    }
}

impl RootKey {
    /// The root key that was given, else the one in this folder, made at first use.
    ///
    /// # Errors
    /// When it is malformed, others could read it, or it cannot be read or made.
    pub fn open(folder: &Path, given: Option<&OsStr>) -> Result<Self, KeyError> {
        if let Some(given) = given {
            return Self::parse(given.to_str().unwrap_or_default())
                .ok_or_else(|| KeyError::Malformed(ROOT_KEY_VARIABLE.into()));
        }
        let path = folder.join(ROOT_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let mode = fs::metadata(&path).map_err(failed(&path))?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(KeyError::Exposed(path));
                }
                Self::parse(&text).ok_or_else(|| KeyError::Malformed(path.display().to_string()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(folder, &path),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// A root key that is kept nowhere.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub fn random() -> Result<Self, KeyError> {
        random().map(|bytes| Self(Arc::new(bytes)))
    }

    /// Whoever comes first makes it; a folder never has half of one.
    fn make(folder: &Path, path: &Path) -> Result<Self, KeyError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
        let fresh = Self::random()?;
        // Temporary files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed(path))?;
        writeln!(file, "{}", STANDARD.encode(*fresh.0)).map_err(failed(path))?;
        file.as_file().sync_all().map_err(failed(path))?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(fresh),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Self::open(folder, None),
            Err(error) => Err(failed(path)(error.error)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        Some(Self(Arc::new(bytes.try_into().ok()?)))
    }

    /// What tells it from others and gives nothing of it away.
    fn mark(&self) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.0);
        hex::encode(&hmac::sign(&key, b"stackproof root key mark").as_ref()[..8])
    }

    fn cipher(&self) -> Result<LessSafeKey, KeyError> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*self.0)?))
    }
}

/// How the data key lies in its file.
#[derive(Serialize, Deserialize)]
struct Wrapped {
    form: u32,
    root: String,
    sealed: String,
}

/// The key of a cloud's state.
#[derive(Clone)]
pub struct DataKey(Arc<[u8; LENGTH]>);

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    /// A data key that is kept nowhere.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub fn random() -> Result<Self, KeyError> {
        random().map(|bytes| Self(Arc::new(bytes)))
    }

    /// The data key of a state directory; a new one where the directory holds nothing yet.
    pub(super) fn open(folder: &Path, root: &RootKey) -> Result<Self, KeyError> {
        let path = folder.join(DATA_FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::unwrap(&bytes, folder, root),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                refuse_other_state(folder, &path)?;
                let fresh = Self::random()?;
                fresh.keep(folder, root)?;
                Ok(fresh)
            }
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// Puts the key into a state directory, encrypted under the root key.
    pub(super) fn keep(&self, folder: &Path, root: &RootKey) -> Result<(), KeyError> {
        let path = folder.join(DATA_FILE);
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = self.0.to_vec();
        let bound = Aad::from(WRAPPED);
        root.cipher()?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed)?;
        let sealed = STANDARD.encode([&nonce[..], &sealed].concat());
        let wrapped = Wrapped { form: 1, root: root.mark(), sealed };
        let json = serde_json::to_vec(&wrapped).map_err(|error| failed(&path)(error.into()))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed(&path))?;
        file.write_all(&json).map_err(failed(&path))?;
        file.as_file().sync_all().map_err(failed(&path))?;
        file.persist(&path).map_err(|error| failed(&path)(error.error))?;
        Ok(())
    }

    fn unwrap(bytes: &[u8], folder: &Path, root: &RootKey) -> Result<Self, KeyError> {
        let lost = || KeyError::Lost(folder.join(DATA_FILE));
        let wrapped: Wrapped = serde_json::from_slice(bytes).map_err(|_| lost())?;
        if wrapped.form != 1 {
            return Err(lost());
        }
        let ours = root.mark();
        if wrapped.root != ours {
            return Err(KeyError::Another { folder: folder.to_owned(), theirs: wrapped.root, ours });
        }
        let mut sealed = STANDARD.decode(wrapped.sealed).map_err(|_| lost())?;
        let (nonce, sealed) = sealed.split_at_mut_checked(NONCE_LEN).ok_or_else(lost)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let key = root.cipher()?.open_in_place(nonce, Aad::from(WRAPPED), sealed).map_err(|_| lost())?;
        Ok(Self(Arc::new((&*key).try_into().map_err(|_| lost())?)))
    }

    /// The cipher of one file.
    pub(super) fn of_file(&self, salt: &[u8; LENGTH]) -> Result<LessSafeKey, KeyError> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&*self.0);
        Ok(LessSafeKey::new(UnboundKey::from(extracted.expand(&[b"stackproof file 1".as_slice()], &AES_256_GCM)?)))
    }

    /// What a file is called that would give away its contents' digest: the digest of something guessed would
    /// tell whether it is there.
    pub(super) fn name_of(&self, digest: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.0);
        hex::encode(hmac::sign(&key, digest.as_bytes()))
    }
}

/// A directory that has state and no key is one of an earlier release, or has lost its key.
fn refuse_other_state(folder: &Path, key: &Path) -> Result<(), KeyError> {
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let name = entry.map_err(failed(folder))?.file_name().to_string_lossy().into_owned();
        let state = name.starts_with("snapshot-") || name.starts_with("journal-");
        if state && (name.ends_with(".json") || name.ends_with(".log")) {
            return Err(KeyError::Plaintext(folder.to_owned()));
        }
        if state {
            return Err(KeyError::Lost(key.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("new");
        let first = RootKey::open(&own, None).unwrap();
        assert_eq!(first.mark(), RootKey::open(&own, None).unwrap().mark());
        let file = own.join(ROOT_FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(RootKey::open(&own, None), Err(KeyError::Exposed(_))));
    }

    #[test]
    fn a_root_key_can_be_given_and_has_32_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let given = STANDARD.encode([7; LENGTH]);
        RootKey::open(folder.path(), Some(OsStr::new(&given))).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is kept of it");
        for wrong in ["", "nonsense!", "c2hvcnQ="] {
            assert!(matches!(RootKey::open(folder.path(), Some(OsStr::new(wrong))), Err(KeyError::Malformed(_))));
        }
    }

    #[test]
    fn a_data_key_is_opened_by_its_root_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = RootKey::random().unwrap();
        let key = DataKey::open(folder.path(), &root).unwrap();
        assert_eq!(key.0, DataKey::open(folder.path(), &root).unwrap().0);
        let other = DataKey::open(folder.path(), &RootKey::random().unwrap()).unwrap_err();
        assert!(matches!(&other, KeyError::Another { .. }), "{other}");
        assert!(other.to_string().contains("stackproof cloud reset"));
        let file = folder.path().join(DATA_FILE);
        let kept = fs::read(&file).unwrap();
        assert!(!kept.windows(LENGTH).any(|window| window == &key.0[..]));
        let text = String::from_utf8(kept).unwrap().replace("sealed\":\"", "sealed\":\"AAAA");
        fs::write(&file, text).unwrap();
        assert!(matches!(DataKey::open(folder.path(), &root), Err(KeyError::Lost(_))));
    }

    #[test]
    fn state_without_a_key_is_refused_and_left_alone() {
        let root = RootKey::random().unwrap();
        for (name, plaintext) in [("journal-0.log", true), ("snapshot-9.json", true), ("snapshot-9.sealed", false)] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), "what was there").unwrap();
            let refused = DataKey::open(folder.path(), &root).unwrap_err();
            assert_eq!(matches!(refused, KeyError::Plaintext(_)), plaintext, "{refused}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}

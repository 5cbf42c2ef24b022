//! Object contents: immutable, named by what they contain.
//!
//! A blob is written once under its SHA-256 and never changed, so a snapshot or
//! a fork of the cloud needs only the metadata's moment, not the contents'.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a blob, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A blob that could not be kept or found.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing} blob {digest}")]
pub struct BlobError {
    doing: &'static str,
    digest: String,
    source: io::Error,
}

/// Where contents are kept: in memory, or in a folder of files.
#[derive(Clone)]
pub struct Blobs(Place);

#[derive(Clone)]
enum Place {
    Memory(Arc<RwLock<HashMap<Digest, Bytes>>>),
    Folder(Arc<PathBuf>),
}

impl Blobs {
    /// Keeps contents in memory.
    pub fn in_memory() -> Self {
        Self(Place::Memory(Arc::default()))
    }

    /// Keeps contents as files below `folder`, which is created.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self(Place::Folder(Arc::new(folder.to_owned()))))
    }

    /// Keeps these bytes and returns their name. Keeping the same bytes twice keeps them once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, bytes: Bytes) -> Result<Digest, BlobError> {
        let digest = Digest::of(&bytes);
        match &self.0 {
            Place::Memory(blobs) => {
                blobs.write().entry(digest.clone()).or_insert(bytes);
            }
            Place::Folder(folder) => {
                write_once(folder, &digest, &bytes).map_err(|source| BlobError {
                    doing: "keep",
                    digest: digest.0.clone(),
                    source,
                })?;
            }
        }
        Ok(digest)
    }

    /// The bytes of this name.
    ///
    /// # Errors
    /// When there is no such blob or its file cannot be read.
    pub fn get(&self, digest: &Digest) -> Result<Bytes, BlobError> {
        let found = match &self.0 {
            Place::Memory(blobs) => blobs.read().get(digest).cloned().ok_or_else(|| io::ErrorKind::NotFound.into()),
            Place::Folder(folder) => fs::read(path(folder, digest)).map(Bytes::from),
        };
        found.map_err(|source| BlobError { doing: "read", digest: digest.0.clone(), source })
    }
}

/// `ab/cdef…` below the folder: no folder grows past a few thousand entries.
fn path(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(&digest.0[..2]).join(&digest.0[2..])
}

fn write_once(folder: &Path, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
    let target = path(folder, digest);
    if target.exists() {
        return Ok(());
    }
    let shelf = target.parent().unwrap_or(folder);
    fs::create_dir_all(shelf)?;
    let mut file = tempfile::NamedTempFile::new_in(shelf)?;
    io::Write::write_all(&mut file, bytes)?;
    file.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

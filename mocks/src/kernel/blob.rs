//! Object contents: immutable, named by what they contain.
//!
//! A blob is written once under its SHA-256 and never changed, so a snapshot or
//! a fork of the cloud needs only the metadata's moment, not the contents'.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use futures::Stream;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

/// Up to this many bytes are read in one go; more is streamed.
const AT_ONCE: u64 = 256 * 1024;

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

/// The bytes of a blob, or of a part of it, as they are read.
pub type BlobStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send + Sync>>;

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

    /// Begins a blob whose bytes come one after the other. Nothing is kept before [`BlobWriter::finish`].
    ///
    /// # Errors
    /// When there can be no file.
    pub fn writer(&self) -> Result<BlobWriter, BlobError> {
        let growing = match &self.0 {
            Place::Memory(_) => Growing::Memory(Vec::new()),
            Place::Folder(folder) => {
                let file = NamedTempFile::with_prefix_in("incoming-", folder.as_path());
                Growing::File(file.map_err(|source| BlobError::of("begin", "(unnamed)", source))?)
            }
        };
        Ok(BlobWriter { blobs: self.clone(), hasher: Sha256::new(), length: 0, growing })
    }

    /// Keeps these bytes and returns their name. Keeping the same bytes twice keeps them once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let mut writer = self.writer()?;
        writer.write(bytes)?;
        writer.finish().map(|(digest, _)| digest)
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
        found.map_err(|source| BlobError::of("read", &digest.0, source))
    }

    /// The bytes of this name from `range.start` up to, but without, `range.end`, as a stream.
    ///
    /// # Errors
    /// When there is no such blob or its file cannot be opened.
    pub async fn read(&self, digest: &Digest, range: Range<u64>) -> Result<BlobStream, BlobError> {
        let length = range.end.saturating_sub(range.start);
        let opened = match &self.0 {
            Place::Memory(_) => {
                let bytes = self.get(digest)?;
                let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(bytes.len());
                let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
                Ok(once(bytes.slice(start..end)))
            }
            Place::Folder(folder) if length <= AT_ONCE => {
                read_part(&path(folder, digest), range.start, length).map(once)
            }
            Place::Folder(folder) => stream_part(&path(folder, digest), range.start, length).await,
        };
        opened.map_err(|source| BlobError::of("read", &digest.0, source))
    }
}

impl Blobs {
    /// Puts all blobs into another folder, for a fork of the cloud. Files are linked where that is
    /// possible: they never change, so both clouds may have them.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn share_with(&self, other: &Path) -> io::Result<()> {
        let there = Self::in_folder(other)?;
        match &self.0 {
            Place::Memory(blobs) => {
                for bytes in blobs.read().values() {
                    there.put(bytes).map_err(io::Error::other)?;
                }
            }
            Place::Folder(folder) => {
                for shelf in fs::read_dir(folder.as_path())? {
                    let shelf = shelf?;
                    // Files beside the shelves are blobs in the making: no snapshot knows them.
                    if shelf.file_type()?.is_dir() {
                        share_shelf(&shelf.path(), &other.join(shelf.file_name()))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn share_shelf(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let target = to.join(file.file_name());
        if !target.exists() && fs::hard_link(file.path(), &target).is_err() {
            fs::copy(file.path(), &target)?;
        }
    }
    Ok(())
}

/// A blob in the making.
pub struct BlobWriter {
    blobs: Blobs,
    hasher: Sha256,
    length: u64,
    growing: Growing,
}

enum Growing {
    Memory(Vec<u8>),
    File(NamedTempFile),
}

impl BlobWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        match &mut self.growing {
            Growing::Memory(grown) => grown.extend_from_slice(bytes),
            Growing::File(file) => {
                file.write_all(bytes).map_err(|source| BlobError::of("write", "(unnamed)", source))?;
            }
        }
        Ok(())
    }

    /// How many bytes there are so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Keeps the blob and returns its name and length.
    ///
    /// # Errors
    /// When the file cannot be put in its place.
    pub fn finish(self) -> Result<(Digest, u64), BlobError> {
        let digest = Digest(hex::encode(self.hasher.finalize()));
        match (&self.blobs.0, self.growing) {
            (Place::Memory(blobs), Growing::Memory(grown)) => {
                blobs.write().entry(digest.clone()).or_insert_with(|| grown.into());
            }
            (Place::Folder(folder), Growing::File(file)) => {
                shelve(folder, &digest, file).map_err(|source| BlobError::of("keep", &digest.0, source))?;
            }
            (Place::Memory(_), Growing::File(_)) | (Place::Folder(_), Growing::Memory(_)) => {
                let source = io::Error::other("begun in another place");
                return Err(BlobError::of("keep", &digest.0, source));
            }
        }
        Ok((digest, self.length))
    }
}

impl BlobError {
    fn of(doing: &'static str, digest: &str, source: io::Error) -> Self {
        Self { doing, digest: digest.to_owned(), source }
    }
}

fn once(bytes: Bytes) -> BlobStream {
    Box::pin(futures::stream::once(std::future::ready(Ok(bytes))))
}

fn read_part(file: &Path, start: u64, length: u64) -> io::Result<Bytes> {
    let mut file = fs::File::open(file)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

async fn stream_part(file: &Path, start: u64, length: u64) -> io::Result<BlobStream> {
    let mut file = tokio::fs::File::open(file).await?;
    file.seek(SeekFrom::Start(start)).await?;
    Ok(Box::pin(ReaderStream::with_capacity(file.take(length), 64 * 1024)))
}

/// `ab/cdef…` below the folder: no folder grows past a few thousand entries.
fn path(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(&digest.0[..2]).join(&digest.0[2..])
}

fn shelve(folder: &Path, digest: &Digest, file: NamedTempFile) -> io::Result<()> {
    let target = path(folder, digest);
    if target.exists() {
        return Ok(());
    }
    fs::create_dir_all(target.parent().unwrap_or(folder))?;
    file.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    fn everywhere() -> (tempfile::TempDir, [Blobs; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = [Blobs::in_memory(), Blobs::in_folder(folder.path()).unwrap()];
        (folder, blobs)
    }

    #[tokio::test]
    async fn a_blob_written_in_pieces_is_read_whole_and_in_part() {
        let (_folder, places) = everywhere();
        for blobs in places {
            let mut writer = blobs.writer().unwrap();
            let piece = vec![7_u8; 100_000];
            for _ in 0..5 {
                writer.write(&piece).unwrap();
            }
            let (digest, length) = writer.finish().unwrap();
            assert_eq!(length, 500_000);
            assert_eq!(digest, Digest::of(&vec![7_u8; 500_000]));
            assert_eq!(blobs.get(&digest).unwrap().len(), 500_000);
            for (range, expected) in [(0..500_000, 500_000), (10..20, 10), (499_990..600_000, 10), (9..9, 0)] {
                let pieces: Vec<Bytes> = blobs.read(&digest, range).await.unwrap().try_collect().await.unwrap();
                assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>(), expected);
            }
        }
    }

    #[tokio::test]
    async fn a_blob_that_is_not_there_is_an_error_before_the_first_byte() {
        let (_folder, places) = everywhere();
        for blobs in places {
            assert!(blobs.read(&Digest::of(b"nothing"), 0..1).await.is_err());
            assert!(blobs.read(&Digest::of(b"nothing"), 0..1_000_000).await.is_err());
        }
    }

    #[test]
    fn a_blob_given_up_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path()).unwrap();
        let mut writer = blobs.writer().unwrap();
        writer.write(b"half of it").unwrap();
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

//! Object contents: immutable, named by what they contain.
//!
//! A blob is written once and never changed, so a snapshot or a fork of the cloud
//! needs only the metadata's moment, not the contents'. Blobs are named by their
//! SHA-256; their files are encrypted in chunks (see `sealed.rs`), and called by a
//! keyed hash of that name.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufWriter},
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
use tokio::task::spawn_blocking;

use super::{
    DataKey,
    sealed::{CHUNK, ChunkReader, ChunkWriter},
};

/// Up to this many bytes are read in one go; more is streamed.
const AT_ONCE: u64 = 4 * CHUNK as u64;

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
    Folder(Arc<Folder>),
}

struct Folder {
    path: PathBuf,
    key: DataKey,
}

impl Blobs {
    /// Keeps contents in memory.
    pub fn in_memory() -> Self {
        Self(Place::Memory(Arc::default()))
    }

    /// Keeps contents as files below `folder`, which is created, encrypted with this key.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn in_folder(folder: &Path, key: &DataKey) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self(Place::Folder(Arc::new(Folder { path: folder.to_owned(), key: key.clone() }))))
    }

    /// Begins a blob whose bytes come one after the other. Nothing is kept before [`BlobWriter::finish`].
    ///
    /// # Errors
    /// When there can be no file.
    pub fn writer(&self) -> Result<BlobWriter, BlobError> {
        let growing = match &self.0 {
            Place::Memory(_) => Growing::Memory(Vec::new()),
            Place::Folder(folder) => {
                let file = NamedTempFile::with_prefix_in("incoming-", &folder.path);
                let chunks = file.and_then(|file| ChunkWriter::begin(BufWriter::new(file), &folder.key));
                Growing::File(Box::new(chunks.map_err(|source| BlobError::of("begin", "(unnamed)", source))?))
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
            Place::Folder(folder) => folder.open(digest).and_then(|mut blob| blob.all()).map(Bytes::from),
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
            Place::Folder(folder) => folder.open(digest).and_then(|mut blob| {
                if length > AT_ONCE {
                    return Ok(streamed(blob, range.clone()));
                }
                batch(&mut blob, range.clone()).map(once)
            }),
        };
        opened.map_err(|source| BlobError::of("read", &digest.0, source))
    }
}

impl Blobs {
    /// Puts all blobs into another folder, for a fork of the cloud. Files are linked where that is
    /// possible: they never change, so both clouds may have them. `key` is that of both.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn share_with(&self, other: &Path, key: &DataKey) -> io::Result<()> {
        let there = Self::in_folder(other, key)?;
        match &self.0 {
            Place::Memory(blobs) => {
                for bytes in blobs.read().values() {
                    there.put(bytes).map_err(io::Error::other)?;
                }
            }
            Place::Folder(folder) => {
                for shelf in fs::read_dir(&folder.path)? {
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
    File(Box<ChunkWriter<BufWriter<NamedTempFile>>>),
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
                file.add(bytes).map_err(|source| BlobError::of("write", "(unnamed)", source))?;
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
                let written = file.finish().and_then(|file| file.into_inner().map_err(|error| error.into_error()));
                let shelved = written.and_then(|file| folder.shelve(&digest, file));
                shelved.map_err(|source| BlobError::of("keep", &digest.0, source))?;
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

/// As much of a range as is read in one go.
fn batch(blob: &mut ChunkReader<fs::File>, range: Range<u64>) -> io::Result<Bytes> {
    let end = range.end.min(blob.length()).min(range.start.saturating_add(AT_ONCE));
    let first = blob.next(range.start..end)?;
    let mut at = range.start + first.len() as u64;
    if at >= end {
        return Ok(first);
    }
    let mut bytes = first.to_vec();
    while at < end {
        let next = blob.next(at..end)?;
        at += next.len() as u64;
        bytes.extend_from_slice(&next);
    }
    Ok(bytes.into())
}

fn streamed(blob: ChunkReader<fs::File>, range: Range<u64>) -> BlobStream {
    let end = range.end.min(blob.length());
    Box::pin(futures::stream::try_unfold((blob, range.start), move |(mut blob, at)| async move {
        if at >= end {
            return Ok(None);
        }
        let read = spawn_blocking(move || batch(&mut blob, at..end).map(|bytes| (bytes, blob)));
        let (bytes, blob) = read.await.map_err(io::Error::other)??;
        let next = at + bytes.len() as u64;
        Ok(Some((bytes, (blob, next))))
    }))
}

impl Folder {
    /// `ab/cdef…` below the folder: no folder grows past a few thousand entries.
    fn file(&self, digest: &Digest) -> PathBuf {
        let name = self.key.name_of(&digest.0);
        self.path.join(&name[..2]).join(&name[2..])
    }

    fn open(&self, digest: &Digest) -> io::Result<ChunkReader<fs::File>> {
        ChunkReader::open(fs::File::open(self.file(digest))?, &self.key)
    }

    fn shelve(&self, digest: &Digest, file: NamedTempFile) -> io::Result<()> {
        let target = self.file(digest);
        if target.exists() {
            return Ok(());
        }
        fs::create_dir_all(target.parent().unwrap_or(&self.path))?;
        file.persist(&target).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;

    fn everywhere() -> (tempfile::TempDir, [Blobs; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = [Blobs::in_memory(), Blobs::in_folder(folder.path(), &DataKey::random().unwrap()).unwrap()];
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
        let blobs = Blobs::in_folder(folder.path(), &DataKey::random().unwrap()).unwrap();
        let mut writer = blobs.writer().unwrap();
        writer.write(b"half of it").unwrap();
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn neither_a_blob_nor_its_digest_can_be_read_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path(), &DataKey::random().unwrap()).unwrap();
        let digest = blobs.put(b"what nobody reads").unwrap();
        let files: Vec<_> = walk(folder.path());
        assert_eq!(files.len(), 1);
        assert!(!files[0].0.contains(&digest.as_str()[2..]), "{}", files[0].0);
        assert!(!files[0].1.windows(11).any(|window| window == b"what nobody"));
        assert_eq!(&blobs.get(&digest).unwrap()[..], b"what nobody reads");
    }

    fn walk(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let shelves = fs::read_dir(folder).unwrap().map(|shelf| shelf.unwrap().path());
        let files = shelves.flat_map(|shelf| fs::read_dir(shelf).unwrap().map(|file| file.unwrap().path()));
        files.map(|file| (file.display().to_string(), fs::read(&file).unwrap())).collect()
    }
}

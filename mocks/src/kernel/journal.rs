//! The journal: every change, in order, on disk before anyone is told.
//!
//! A state directory holds `snapshot-N.sealed`, the cloud as it was after
//! transaction N, and `journal-N.sealed`, what came after, one line a
//! transaction: JSON, encrypted (see `sealed.rs`). A line cut off at the very end
//! was never acknowledged and is dropped; a damaged one anywhere else is
//! refused, never skipped.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use fs4::FileExt;
use serde::{Deserialize, Serialize};

use super::{
    Event, Record,
    key::{DataKey, KeyError, RootKey},
    sealed::{ChunkReader, ChunkWriter, Cipher, HEAD},
};

/// When a change counts as kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The operating system has it: nothing acknowledged is lost when the cloud is
    /// killed. A power cut can lose the last moments. The default.
    Process,
    /// The disk has it (fdatasync before the answer): also survives a power cut.
    Disk,
}

/// A state directory that cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process uses the directory.
    #[error("the state directory {0} is in use by another local cloud")]
    InUse(PathBuf),
    /// A line in the middle is damaged.
    #[error(
        "{file} is damaged at byte {offset}: it is not what was written there. Nothing was changed. Restore the directory from a copy, or move the file away to start from the snapshot before it"
    )]
    Damaged {
        /// The journal or snapshot file.
        file: PathBuf,
        /// Where the damaged line begins.
        offset: u64,
    },
    /// The operating system refused.
    #[error("failed to use {file}: {source}")]
    Io {
        /// The file or directory.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It cannot be decrypted.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// One transaction as the journal keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    /// Kind, key, and the record as it is now; none when it is gone.
    pub(super) changes: Vec<(String, String, Option<Record>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) events: Vec<Event>,
}

/// The same, as it is written: of records that are there.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) sequence: u64,
    pub(super) changes: Vec<(&'a str, &'a str, Option<&'a Record>)>,
    #[serde(skip_serializing_if = "<[Event]>::is_empty")]
    pub(super) events: &'a [Event],
}

/// The whole cloud at one moment.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) sequence: u64,
    pub(super) seed: u64,
    /// Kind, key, record.
    pub(super) records: Vec<(String, String, Record)>,
}

/// An open journal.
pub(super) struct Journal {
    folder: PathBuf,
    file: File,
    path: PathBuf,
    length: u64,
    /// How many lines there are.
    lines: u64,
    cipher: Cipher,
    key: DataKey,
    durability: Durability,
    /// Held while the directory is in use.
    _lock: File,
}

/// How long a journal grows before the next snapshot, in bytes.
const SNAPSHOT_AFTER: u64 = 16 << 20;

impl Journal {
    /// Opens the directory, creating it if need be, and returns what it holds.
    pub(super) fn open(
        folder: &Path,
        root: &RootKey,
        durability: Durability,
    ) -> Result<(Self, Snapshot, Vec<Entry>), JournalError> {
        let io = |file: &Path| {
            let file = file.to_owned();
            move |source| JournalError::Io { file, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io(folder))?;
        let lock_path = folder.join("lock");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(io(&lock_path))?;
        if FileExt::try_lock(&lock).is_err() {
            return Err(JournalError::InUse(folder.to_owned()));
        }
        let key = DataKey::open(folder, root)?;
        let snapshot = newest_snapshot(folder, &key)?;
        let path = folder.join(format!("journal-{}.sealed", snapshot.sequence));
        let mut file = open_private().open(&path).map_err(io(&path))?;
        let cipher = match file.metadata().map_err(io(&path))?.len() {
            length if length < HEAD as u64 => begin(&path, &mut file, &key)?,
            _ => resume(&path, &mut file, &key)?,
        };
        let (entries, length) = read_entries(&path, &file, &cipher)?;
        file.set_len(length).map_err(io(&path))?;
        file.seek(SeekFrom::End(0)).map_err(io(&path))?;
        let (folder, lines) = (folder.to_owned(), entries.len() as u64);
        let journal = Self { folder, file, path, length, lines, cipher, key, durability, _lock: lock };
        Ok((journal, snapshot, entries))
    }

    /// The key of all that lies in the directory.
    pub(super) fn key(&self) -> &DataKey {
        &self.key
    }

    /// Appends a transaction. When it returns, the change is kept as the durability says.
    /// After an error nothing of it is in the file.
    pub(super) fn append(&mut self, entry: &impl Serialize) -> Result<(), JournalError> {
        let line = self.cipher.line(self.lines, |to| serde_json::to_writer(to, entry).map_err(io::Error::from));
        let line = line.map_err(|source| JournalError::Io { file: self.path.clone(), source })?;
        let written = self.file.write_all(&line).and_then(|()| match self.durability {
            Durability::Process => Ok(()),
            Durability::Disk => self.file.sync_data(),
        });
        if let Err(source) = written {
            // A half-written line must not stay in front of the next one.
            let undone = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            if let Err(error) = undone {
                tracing::error!(file = %self.path.display(), %error, "a half-written line could not be taken back");
            }
            return Err(JournalError::Io { file: self.path.clone(), source });
        }
        self.length += line.len() as u64;
        self.lines += 1;
        Ok(())
    }

    /// Whether the journal has grown enough for a new snapshot.
    pub(super) fn is_long(&self) -> bool {
        self.length > SNAPSHOT_AFTER
    }

    /// Writes a snapshot and starts a new journal behind it.
    pub(super) fn rotate(&mut self, snapshot: &Snapshot) -> Result<(), JournalError> {
        write_snapshot(&self.folder, &self.key, snapshot)?;
        let path = self.folder.join(format!("journal-{}.sealed", snapshot.sequence));
        let opened = open_private().open(&path);
        let mut file = opened.map_err(|source| JournalError::Io { file: path.clone(), source })?;
        self.cipher = begin(&path, &mut file, &self.key)?;
        self.file = file;
        let previous = std::mem::replace(&mut self.path, path);
        (self.length, self.lines) = (HEAD as u64, 0);
        // The snapshot holds all of it; a leftover is only disk space.
        if previous != self.path
            && let Err(error) = fs::remove_file(&previous)
        {
            tracing::warn!(file = %previous.display(), %error, "an old journal could not be removed");
        }
        Ok(())
    }
}

fn open_private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
    options
}

/// Begins a journal in this file. What is in it is no more than a first line that was cut off, or part of a snapshot.
fn begin(path: &Path, file: &mut File, key: &DataKey) -> Result<Cipher, JournalError> {
    let (cipher, head) = Cipher::begin(key)?;
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&head));
    written.map_err(|source| JournalError::Io { file: path.to_owned(), source })?;
    Ok(cipher)
}

fn resume(path: &Path, file: &mut File, key: &DataKey) -> Result<Cipher, JournalError> {
    let mut head = [0; HEAD];
    file.read_exact(&mut head).map_err(|source| JournalError::Io { file: path.to_owned(), source })?;
    Cipher::resume(key, &head).ok_or_else(|| JournalError::Damaged { file: path.to_owned(), offset: 0 })
}

/// Prepares a directory for a snapshot of another one's.
pub(super) fn prepare(folder: &Path, key: &DataKey, root: &RootKey) -> Result<(), JournalError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| JournalError::Io { file: folder.to_owned(), source })?;
    Ok(key.keep(folder, root)?)
}

/// Writes a snapshot into a folder, whole or not at all.
pub(super) fn write_snapshot(folder: &Path, key: &DataKey, snapshot: &Snapshot) -> Result<PathBuf, JournalError> {
    let path = folder.join(format!("snapshot-{}.sealed", snapshot.sequence));
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let mut chunks = ChunkWriter::begin(BufWriter::new(&mut file), key)?;
        serde_json::to_writer(&mut chunks, snapshot)?;
        chunks.finish()?.flush()?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| JournalError::Io { file: path.clone(), source })?;
    for (sequence, old) in snapshots(folder)? {
        if sequence < snapshot.sequence
            && let Err(error) = fs::remove_file(&old)
        {
            tracing::warn!(file = %old.display(), %error, "an old snapshot could not be removed");
        }
    }
    Ok(path)
}

fn snapshots(folder: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let failed = |source| JournalError::Io { file: folder.to_owned(), source };
    let mut found = Vec::new();
    for file in fs::read_dir(folder).map_err(failed)? {
        let path = file.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_prefix("snapshot-").and_then(|rest| rest.strip_suffix(".sealed"))
            && let Ok(sequence) = number.parse()
        {
            found.push((sequence, path));
        }
    }
    found.sort();
    Ok(found)
}

fn newest_snapshot(folder: &Path, key: &DataKey) -> Result<Snapshot, JournalError> {
    let Some((_, path)) = snapshots(folder)?.pop() else {
        return Ok(Snapshot::default());
    };
    let file = File::open(&path).map_err(|source| JournalError::Io { file: path.clone(), source })?;
    let bytes = ChunkReader::open(file, key).and_then(|mut chunks| chunks.all());
    let bytes = bytes.map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            JournalError::Damaged { file: path.clone(), offset: 0 }
        }
        _ => JournalError::Io { file: path.clone(), source },
    })?;
    serde_json::from_slice(&bytes).map_err(|_| JournalError::Damaged { file: path, offset: 0 })
}

/// All entries behind a journal's first line, and the length of the part that is whole.
fn read_entries(path: &Path, file: &File, cipher: &Cipher) -> Result<(Vec<Entry>, u64), JournalError> {
    let io = |source| JournalError::Io { file: path.to_owned(), source };
    let mut reader = BufReader::new(file);
    let (mut entries, mut offset, mut line) = (Vec::new(), HEAD as u64, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(io)?;
        if read == 0 {
            return Ok((entries, offset));
        }
        let whole = line.strip_suffix(b"\n");
        let opened = whole.and_then(|line| cipher.open_line(entries.len() as u64, line));
        match opened.and_then(|json| serde_json::from_slice(&json).ok()) {
            Some(entry) => entries.push(entry),
            // The end of the file without a line's end: the write was cut off.
            None if whole.is_none() => return Ok((entries, offset)),
            None => {
                return Err(JournalError::Damaged { file: path.to_owned(), offset });
            }
        }
        offset += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64) -> Entry {
        Entry {
            sequence,
            changes: vec![("vpc.vpc".into(), format!("id-{sequence}"), Some(Record::default()))],
            events: vec![],
        }
    }

    fn three_entries(folder: &Path, root: &RootKey) -> PathBuf {
        let (mut journal, ..) = Journal::open(folder, root, Durability::Process).unwrap();
        for sequence in 1..=3 {
            journal.append(&entry(sequence)).unwrap();
        }
        journal.path.clone()
    }

    #[test]
    fn a_line_cut_off_at_the_end_is_dropped_and_the_rest_is_kept() {
        let (folder, root) = (tempfile::tempdir().unwrap(), RootKey::random().unwrap());
        let path = three_entries(folder.path(), &root);
        let length = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 5).unwrap();
        let (mut journal, _, entries) = Journal::open(folder.path(), &root, Durability::Process).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2]);
        journal.append(&entry(3)).unwrap();
        drop(journal);
        let (_, _, entries) = Journal::open(folder.path(), &root, Durability::Process).unwrap();
        assert_eq!(entries.len(), 3);
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_refused_by_name_and_place() {
        let (folder, root) = (tempfile::tempdir().unwrap(), RootKey::random().unwrap());
        let path = three_entries(folder.path(), &root);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = Journal::open(folder.path(), &root, Durability::Process).err().unwrap();
        assert!(matches!(&error, JournalError::Damaged { file, offset } if *file == path && *offset > 0), "{error}");
    }

    #[test]
    fn two_clouds_cannot_share_a_directory() {
        let (folder, root) = (tempfile::tempdir().unwrap(), RootKey::random().unwrap());
        let _first = Journal::open(folder.path(), &root, Durability::Process).unwrap();
        let second = Journal::open(folder.path(), &root, Durability::Process).err().unwrap();
        assert!(matches!(second, JournalError::InUse(_)));
    }

    #[test]
    fn neither_journal_nor_snapshot_can_be_read_in_the_directory() {
        let (folder, root) = (tempfile::tempdir().unwrap(), RootKey::random().unwrap());
        let path = three_entries(folder.path(), &root);
        let (mut journal, ..) = Journal::open(folder.path(), &root, Durability::Process).unwrap();
        let record = ("vpc.vpc".to_owned(), "id-1".to_owned(), Record::default());
        let found = |path: &Path| fs::read(path).unwrap().windows(7).any(|window| window == b"vpc.vpc");
        assert!(!found(&path));
        journal.rotate(&Snapshot { sequence: 3, seed: 1, records: vec![record] }).unwrap();
        assert!(!found(&folder.path().join("snapshot-3.sealed")));
        drop(journal);
        let (_, snapshot, entries) = Journal::open(folder.path(), &root, Durability::Process).unwrap();
        assert_eq!((snapshot.sequence, snapshot.records.len(), entries.len()), (3, 1, 0));
    }

    #[test]
    fn another_root_key_opens_nothing_and_changes_nothing() {
        let (folder, root) = (tempfile::tempdir().unwrap(), RootKey::random().unwrap());
        let path = three_entries(folder.path(), &root);
        let before = fs::read(&path).unwrap();
        let refused = Journal::open(folder.path(), &RootKey::random().unwrap(), Durability::Process).err().unwrap();
        assert!(matches!(refused, JournalError::Key(KeyError::Another { .. })), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(Journal::open(folder.path(), &root, Durability::Process).unwrap().2.len(), 3);
    }

    #[test]
    fn a_journal_cut_off_in_its_first_line_begins_anew() {
        let (folder, root) = (tempfile::tempdir().unwrap(), RootKey::random().unwrap());
        let path = three_entries(folder.path(), &root);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(9).unwrap();
        let (mut journal, _, entries) = Journal::open(folder.path(), &root, Durability::Process).unwrap();
        assert_eq!(entries.len(), 0);
        journal.append(&entry(1)).unwrap();
        drop(journal);
        assert_eq!(Journal::open(folder.path(), &root, Durability::Process).unwrap().2.len(), 1);
    }
}

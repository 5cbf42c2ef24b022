//! The journal: every change, in order, on disk before anyone is told.
//!
//! A state directory holds `snapshot-N.json`, the cloud as it was after
//! transaction N, and `journal-N.log`, what came after, one line a transaction:
//! the CRC-32 of the rest in eight hexadecimal digits, a blank, and the entry
//! as JSON. A line cut off at the very end was never acknowledged and is
//! dropped; a damaged one anywhere else is refused, never skipped.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use fs4::FileExt;
use serde::{Deserialize, Serialize};

use super::{Event, Record};

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
        "{file} is damaged at byte {offset}: its checksum does not match. Restore the directory from a copy, or move the file away to start from the snapshot before it"
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
    /// A change that has no JSON form.
    #[error("failed to write a change as JSON: {0}")]
    Json(#[from] serde_json::Error),
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
    durability: Durability,
    /// Held while the directory is in use.
    _lock: File,
}

/// How long a journal grows before the next snapshot, in bytes.
const SNAPSHOT_AFTER: u64 = 16 << 20;

impl Journal {
    /// Opens the directory, creating it if need be, and returns what it holds.
    pub(super) fn open(folder: &Path, durability: Durability) -> Result<(Self, Snapshot, Vec<Entry>), JournalError> {
        let io = |file: &Path| {
            let file = file.to_owned();
            move |source| JournalError::Io { file, source }
        };
        fs::create_dir_all(folder).map_err(io(folder))?;
        let lock_path = folder.join("lock");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(io(&lock_path))?;
        if FileExt::try_lock(&lock).is_err() {
            return Err(JournalError::InUse(folder.to_owned()));
        }
        let snapshot = newest_snapshot(folder)?;
        let path = folder.join(format!("journal-{}.log", snapshot.sequence));
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(io(&path))?;
        let (entries, length) = read_entries(&path, &file)?;
        file.set_len(length).map_err(io(&path))?;
        file.seek(SeekFrom::End(0)).map_err(io(&path))?;
        let journal = Self { folder: folder.to_owned(), file, path, length, durability, _lock: lock };
        Ok((journal, snapshot, entries))
    }

    /// Appends a transaction. When it returns, the change is kept as the durability says.
    /// After an error nothing of it is in the file.
    pub(super) fn append(&mut self, entry: &impl Serialize) -> Result<(), JournalError> {
        let line = sealed(entry)?;
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
        Ok(())
    }

    /// Whether the journal has grown enough for a new snapshot.
    pub(super) fn is_long(&self) -> bool {
        self.length > SNAPSHOT_AFTER
    }

    /// Writes a snapshot and starts a new journal behind it.
    pub(super) fn rotate(&mut self, snapshot: &Snapshot) -> Result<(), JournalError> {
        write_snapshot(&self.folder, snapshot)?;
        let path = self.folder.join(format!("journal-{}.log", snapshot.sequence));
        let open = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path);
        self.file = open.map_err(|source| JournalError::Io { file: path.clone(), source })?;
        let previous = std::mem::replace(&mut self.path, path);
        self.length = 0;
        // The snapshot holds all of it; a leftover is only disk space.
        if previous != self.path
            && let Err(error) = fs::remove_file(&previous)
        {
            tracing::warn!(file = %previous.display(), %error, "an old journal could not be removed");
        }
        Ok(())
    }
}

/// Writes a snapshot into a folder, whole or not at all.
pub(super) fn write_snapshot(folder: &Path, snapshot: &Snapshot) -> Result<PathBuf, JournalError> {
    let path = folder.join(format!("snapshot-{}.json", snapshot.sequence));
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let line = sealed(snapshot)?;
        BufWriter::new(&mut file).write_all(&line)?;
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
        if let Some(number) = name.strip_prefix("snapshot-").and_then(|rest| rest.strip_suffix(".json"))
            && let Ok(sequence) = number.parse()
        {
            found.push((sequence, path));
        }
    }
    found.sort();
    Ok(found)
}

fn newest_snapshot(folder: &Path) -> Result<Snapshot, JournalError> {
    let Some((_, path)) = snapshots(folder)?.pop() else {
        return Ok(Snapshot::default());
    };
    let bytes = fs::read(&path).map_err(|source| JournalError::Io { file: path.clone(), source })?;
    unseal(bytes.strip_suffix(b"\n").unwrap_or(&bytes))
        .and_then(|json| serde_json::from_slice(json).ok())
        .ok_or(JournalError::Damaged { file: path, offset: 0 })
}

/// All entries of a journal and the length of the part that is whole.
fn read_entries(path: &Path, file: &File) -> Result<(Vec<Entry>, u64), JournalError> {
    let io = |source| JournalError::Io { file: path.to_owned(), source };
    let mut reader = BufReader::new(file);
    let (mut entries, mut offset, mut line) = (Vec::new(), 0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(io)?;
        if read == 0 {
            return Ok((entries, offset));
        }
        let whole = line.strip_suffix(b"\n");
        match whole.and_then(unseal).and_then(|json| serde_json::from_slice(json).ok()) {
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

/// A line: the checksum of what follows, and what is to be kept.
fn sealed(what: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = b"00000000 ".to_vec();
    let before = line.len();
    serde_json::to_writer(&mut line, what)?;
    let checksum = format!("{:08x}", crc32fast::hash(&line[before..]));
    line[..checksum.len()].copy_from_slice(checksum.as_bytes());
    line.push(b'\n');
    Ok(line)
}

fn unseal(line: &[u8]) -> Option<&[u8]> {
    let (checksum, json) = (line.get(..8)?, line.get(9..)?);
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    (checksum == crc32fast::hash(json)).then_some(json)
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

    fn three_entries(folder: &Path) -> PathBuf {
        let (mut journal, ..) = Journal::open(folder, Durability::Process).unwrap();
        for sequence in 1..=3 {
            journal.append(&entry(sequence)).unwrap();
        }
        journal.path.clone()
    }

    #[test]
    fn a_line_cut_off_at_the_end_is_dropped_and_the_rest_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = three_entries(folder.path());
        let length = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 5).unwrap();
        let (mut journal, _, entries) = Journal::open(folder.path(), Durability::Process).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2]);
        journal.append(&entry(3)).unwrap();
        drop(journal);
        let (_, _, entries) = Journal::open(folder.path(), Durability::Process).unwrap();
        assert_eq!(entries.len(), 3);
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_refused_by_name_and_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = three_entries(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = Journal::open(folder.path(), Durability::Process).err().unwrap();
        assert!(matches!(&error, JournalError::Damaged { file, offset } if *file == path && *offset > 0), "{error}");
    }

    #[test]
    fn two_clouds_cannot_share_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Journal::open(folder.path(), Durability::Process).unwrap();
        let second = Journal::open(folder.path(), Durability::Process).err().unwrap();
        assert!(matches!(second, JournalError::InUse(_)));
    }
}

//! Where the bytes of an image lie: a folder, a tar archive, memory.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

/// Files by name, such as `blobs/sha256/…`, each a part of a file or a text in memory.
#[derive(Debug, Default)]
pub(super) struct Files {
    parts: BTreeMap<String, Part>,
}

/// Where a file's bytes are.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// So many bytes of a file, from a place on.
    Of { file: PathBuf, start: u64, size: u64 },
    /// In memory.
    Memory(Vec<u8>),
}

impl Part {
    /// How many bytes there are.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Of { size, .. } => *size,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// A reader of them.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            Self::Of { file, start, size } => {
                let mut file = File::open(file)?;
                file.seek(SeekFrom::Start(*start))?;
                Ok(Box::new(file.take(*size)))
            }
        }
    }
}

impl Files {
    /// The files of a folder, by their paths below it.
    pub(super) fn of_folder(folder: &Path) -> io::Result<Self> {
        let mut parts = BTreeMap::new();
        for entry in walkdir::WalkDir::new(folder) {
            let entry = entry?;
            // A link is followed to the file it names, as a container tool would.
            let found = fs::metadata(entry.path())?;
            if let (true, Ok(name)) = (found.is_file(), entry.path().strip_prefix(folder)) {
                let part = Part::Of { file: entry.path().to_owned(), start: 0, size: found.len() };
                parts.insert(name.to_string_lossy().into_owned(), part);
            }
        }
        Ok(Self { parts })
    }

    /// The files of a tar archive. Links of the archive name the files they lead to.
    pub(super) fn of_archive(path: &Path) -> io::Result<Self> {
        let mut archive = tar::Archive::new(File::open(path)?);
        let (mut parts, mut links) = (BTreeMap::new(), HashMap::new());
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let kind = entry.header().entry_type();
            let Some(name) = plain(&entry.path()?) else { continue };
            if kind.is_file() {
                let (start, size) = (entry.raw_file_position(), entry.size());
                parts.insert(name, Part::Of { file: path.to_owned(), start, size });
            } else if let (true, Some(to)) = (kind.is_symlink() || kind.is_hard_link(), entry.link_name()?) {
                // A symbolic link leads from its own folder, a hard link from the archive's root.
                let from = if kind.is_symlink() { Path::new(&name).parent() } else { None };
                if let Some(to) = plain(&from.unwrap_or(Path::new("")).join(to)) {
                    links.insert(name, to);
                }
            }
        }
        for (name, to) in links {
            if let Some(part) = parts.get(&to).cloned() {
                parts.insert(name, part);
            }
        }
        Ok(Self { parts })
    }

    /// Adds a file that is only in memory.
    #[cfg(test)]
    pub(super) fn add(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.parts.insert(name.into(), Part::Memory(bytes));
    }

    /// The file of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Part> {
        self.parts.get(name)
    }

    /// All of a small file: at most `most` bytes, for documents.
    pub(super) fn read(&self, name: &str, most: u64) -> Option<io::Result<Vec<u8>>> {
        let part = self.get(name)?;
        if part.size() > most {
            return Some(Err(io::Error::other(format!("{name} has {} bytes, {most} at most are read", part.size()))));
        }
        let read = || {
            let mut bytes = Vec::new();
            part.open()?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        Some(read())
    }
}

/// A path without detours: none if it leads out of the archive.
fn plain(path: &Path) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?.to_owned()),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

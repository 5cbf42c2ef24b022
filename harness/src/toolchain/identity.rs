//! What a tool is: its version and the SHA-256 digest of its program.
//!
//! Both are kept in the cache by path, size and time of change, so that a report
//! need not hash 200 MB nor start five programs each time.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cache::Cache;

/// A version: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u64, pub(crate) u64, pub(crate) u64);

impl Version {
    /// The first version in a line such as `v3.259.0`, `cargo-nextest 0.9.151 (…)` or `postgres (PostgreSQL) 15.14`.
    pub(crate) fn in_text(text: &str) -> Option<Self> {
        text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',')).find_map(|word| {
            let word = word.strip_prefix("go").or(word.strip_prefix('v')).unwrap_or(word);
            let number = word.split(['-', '+']).next()?;
            let mut parts = number.split('.').map(|part| {
                let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
                digits.parse::<u64>().ok()
            });
            let major = parts.next()??;
            let minor = parts.next()??;
            Some(Self(major, minor, parts.next().flatten().unwrap_or(0)))
        })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A program's digest, and the version it said it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    size: u64,
    changed: (i64, i64),
    inode: u64,
    pub(crate) sha256: String,
    pub(crate) version: String,
}

/// The identity of a program: as remembered, else by hashing it and asking `version`, and remembered.
///
/// None if it cannot be read or `version` gets no answer from it.
pub(crate) fn identify(
    cache: &Cache,
    program: &Path,
    version: impl FnOnce(&Path) -> Option<String>,
) -> Option<Identity> {
    let metadata = std::fs::metadata(program).ok()?;
    let remembered = cache.root().join("identities.json");
    let mut known = read(&remembered);
    let fresh = |identity: &&Identity| {
        identity.size == metadata.len()
            && identity.changed == (metadata.mtime(), metadata.mtime_nsec())
            && identity.inode == metadata.ino()
    };
    // A script stands for a program elsewhere (a version manager's shim): it stays the same when that changes.
    let script = is_script(program);
    if let Some(identity) = known.get(program).filter(fresh).filter(|_| !script) {
        return Some(identity.clone());
    }
    let identity = Identity {
        size: metadata.len(),
        changed: (metadata.mtime(), metadata.mtime_nsec()),
        inode: metadata.ino(),
        version: version(program)?,
        sha256: sha256_of_file(program).ok()?,
    };
    if script {
        return Some(identity);
    }
    known.retain(|path, _| path.exists());
    known.insert(program.to_owned(), identity.clone());
    // Two processes may each forget what the other learnt: it is learnt again, never wrong.
    if let Err(error) = write(&remembered, &known) {
        tracing::debug!(%error, "identities not remembered");
    }
    Some(identity)
}

fn is_script(program: &Path) -> bool {
    let mut first = [0; 2];
    let read = std::fs::File::open(program).and_then(|mut file| io::Read::read_exact(&mut file, &mut first));
    read.is_ok() && &first == b"#!"
}

fn read(file: &Path) -> BTreeMap<PathBuf, Identity> {
    std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn write(file: &Path, known: &BTreeMap<PathBuf, Identity>) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut fresh, known)?;
    fresh.persist(file)?;
    Ok(())
}

fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = std::fs::File::open(path)?;
    let mut block = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut block)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&block[..read]),
        }
    }
}

/// A short digest of files and words: what a built tool depends on.
pub(crate) fn digest_of_inputs(words: &[&str], files: &[PathBuf]) -> io::Result<String> {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    for file in files {
        let content = std::fs::read(file)?;
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update([0]);
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    Ok(hex::encode(&hash.finalize()[..6]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("v3.259.0\n", Version(3, 259, 0))]
    #[case("3.260.0-alpha.1732+dirty", Version(3, 260, 0))]
    #[case("cargo-nextest 0.9.151 (b76ecc0d1 2026-01-28)", Version(0, 9, 151))]
    #[case("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", Version(15, 14, 0))]
    #[case("postgres (PostgreSQL) 18.1", Version(18, 1, 0))]
    #[case("Python 3.13.0rc1", Version(3, 13, 0))]
    #[case("go version go1.26.1 linux/amd64", Version(1, 26, 1))]
    fn versions_are_read_as_the_tools_print_them(#[case] text: &str, #[case] version: Version) {
        assert_eq!(Version::in_text(text), Some(version));
    }

    #[test]
    fn a_text_without_a_version_has_none() {
        assert_eq!(Version::in_text("error: no such command"), None);
    }

    #[test]
    fn a_program_is_asked_once_until_it_changes() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::at(home.path().join("cache"));
        let program = home.path().join("tool");
        std::fs::write(&program, "one").unwrap();
        let first = identify(&cache, &program, |_| Some("1.0".into())).unwrap();
        assert_eq!(first.sha256, hex::encode(Sha256::digest("one")));
        assert_eq!(identify(&cache, &program, |_| panic!("remembered")), Some(first));
        std::fs::write(&program, "other").unwrap();
        assert_eq!(identify(&cache, &program, |_| Some("2.0".into())).unwrap().version, "2.0");
    }

    #[test]
    fn a_shim_is_asked_every_time() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::at(home.path().join("cache"));
        let shim = home.path().join("tool");
        std::fs::write(&shim, "#!/bin/sh\nexec tool-of-the-day").unwrap();
        assert_eq!(identify(&cache, &shim, |_| Some("1.0".into())).unwrap().version, "1.0");
        assert_eq!(identify(&cache, &shim, |_| Some("2.0".into())).unwrap().version, "2.0");
    }
}

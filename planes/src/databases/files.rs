//! Files the servers read.

use std::{
    fs, io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use super::{Error, Result, engine::Account};

/// Makes a folder that nobody but the servers' user enters.
pub(super) fn folder(path: &Path, account: &Account) -> Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .map_err(Error::machine(format!("making {}", path.display())))?;
    account.own(path)
}

/// Writes a file that nobody but the servers' user reads, at once or not at all. Tells whether that changed it.
pub(super) fn write(path: &Path, content: &str, account: &Account) -> Result<bool> {
    if fs::read_to_string(path).is_ok_and(|there| there == content) {
        return Ok(false);
    }
    let new = path.with_extension("new");
    let step = || format!("writing {}", path.display());
    remove(&new)?;
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(Error::machine(step()))?;
    io::Write::write_all(&mut file, content.as_bytes()).map_err(Error::machine(step()))?;
    account.own(&new)?;
    fs::rename(&new, path).map_err(Error::machine(step()))?;
    Ok(true)
}

/// Removes a file or a folder with all that is in it, if it is there.
pub(super) fn remove(path: &Path) -> Result<()> {
    let gone = match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::machine(format!("removing {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Copies a folder of files, folders and nothing else.
pub(super) fn copy(from: &Path, to: &Path, account: &Account) -> Result<()> {
    folder(to, account)?;
    for entry in fs::read_dir(from).map_err(Error::machine(format!("reading {}", from.display())))? {
        let entry = entry.map_err(Error::machine(format!("reading {}", from.display())))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(Error::machine(format!("looking at {}", path.display())))?;
        if kind.is_dir() {
            copy(&path, &target, account)?;
        } else {
            fs::copy(&path, &target).map_err(Error::machine(format!("copying {}", path.display())))?;
            account.own(&target)?;
        }
    }
    Ok(())
}

/// How much all files of a folder take. What vanishes meanwhile takes nothing.
pub(super) fn bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(there) if there.is_dir() => bytes(&entry.path()),
            Ok(there) => there.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Runs what waits for the disk where that holds up nobody.
pub(super) async fn aside<T: Send + 'static>(what: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(what).await {
        Ok(done) => done,
        Err(error) => Err(Error::machine("working on files")(io::Error::other(error))),
    }
}

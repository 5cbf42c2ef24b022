//! A fresh data folder, made once for each version and copied from then on.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Output,
};

use super::{Error, Result, engine::Engine, files, sql::PLANE};

/// What `initdb` is told. The locales are tried in order.
const OPTIONS: &[&str] =
    &["--no-sync", "--no-instructions", "--auth=trust", "--encoding=UTF8", "--wal-segsize=1", "--username", PLANE];
const LOCALES: &[&str] = &["C.UTF-8", "C.utf8", "C"];
/// To be raised when any of that changes.
const GENERATION: u32 = 1;

/// The template of a version, made now where it is missing. Any number of processes can ask at once.
pub(super) async fn ready(templates: &Path, engine: &Engine) -> Result<PathBuf> {
    let key = format!("postgres-{}-{GENERATION}-{}", engine.version, engine.account.uid);
    let (made, new, lock) =
        (templates.join(&key), templates.join(format!("{key}.new")), templates.join(format!("{key}.lock")));
    if made.is_dir() {
        return Ok(made);
    }
    let _lock = files::aside(move || {
        let step = || format!("locking {}", lock.display());
        let file = File::create(&lock).map_err(Error::machine(step()))?;
        file.lock().map_err(Error::machine(step()))?;
        Ok(file)
    })
    .await?;
    if made.is_dir() {
        return Ok(made);
    }
    let mut failed = None;
    for locale in LOCALES {
        files::remove(&new)?;
        files::folder(&new, &engine.account)?;
        let mut initdb = engine.program("initdb");
        initdb.args(OPTIONS).arg("--locale").arg(locale).arg("-D").arg(&new);
        match finished("initdb", initdb.output().await) {
            Ok(()) => {
                std::fs::rename(&new, &made).map_err(Error::machine(format!("renaming {}", new.display())))?;
                return Ok(made);
            }
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| Error::Wrong("no locale to make databases with".to_owned())))
}

/// What a program that ends said, if it did not end well.
pub(super) fn finished(program: &str, output: std::io::Result<Output>) -> Result<()> {
    let output = output.map_err(Error::machine(format!("running {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let said = if said.is_empty() { output.status.to_string() } else { said };
    Err(Error::Failed { program: program.to_owned(), said })
}

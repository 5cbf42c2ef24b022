//! Backups of a database, and snapshots of an instance.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use super::{
    Error, Result,
    engine::Engine,
    files,
    sql::{MAIN, PLANE, Session, text},
    standby,
    template::finished,
};

/// Writes a database into a file, in PostgreSQL's custom format. The file is whole or not there.
pub(super) async fn backup(engine: &Engine, sockets: &Path, database: &str, file: &Path) -> Result<()> {
    let part = file.with_extension("part");
    let output = File::create(&part).map_err(Error::machine(format!("making {}", part.display())))?;
    let mut dump = engine.program("pg_dump");
    connect(&mut dump, sockets).args(["--format=custom", "--dbname"]).arg(named(database));
    dump.stdout(Stdio::from(output)).stderr(Stdio::piped());
    let done = match dump.spawn() {
        Ok(child) => finished("pg_dump", child.wait_with_output().await),
        Err(error) => Err(Error::machine("running pg_dump")(error)),
    };
    match done {
        Ok(()) => fs::rename(&part, file).map_err(Error::machine(format!("making {}", file.display()))),
        Err(error) => {
            files::remove(&part)?;
            Err(error)
        }
    }
}

/// Replaces a database's content by a backup's, all of it or nothing. What is in it belongs to the database's owner.
pub(super) async fn restore(engine: &Engine, sockets: &Path, database: &str, file: &Path) -> Result<()> {
    let session = Session::open(sockets, MAIN, "postgres").await?;
    let query = format!("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {}", text(database));
    let owner = session.column("looking for the database", &query).await?.pop();
    let owner = owner.ok_or_else(|| Error::Unknown { what: "database", id: database.to_owned() })?;
    let input = File::open(file).map_err(Error::machine(format!("opening {}", file.display())))?;
    let mut restore = engine.program("pg_restore");
    connect(&mut restore, sockets).args(["--clean", "--if-exists", "--no-owner", "--no-privileges"]);
    restore.args(["--single-transaction", "--exit-on-error", "--role"]).arg(&owner);
    restore.arg("--dbname").arg(named(database));
    restore.stdin(Stdio::from(input));
    finished("pg_restore", restore.output().await)
}

/// Copies a running instance into a folder that others can begin with.
pub(super) async fn snapshot(engine: &Engine, sockets: &Path, to: &Path) -> Result<()> {
    let new = PathBuf::from(format!("{}.new", to.display()));
    files::remove(&new)?;
    standby::base(engine, sockets, &new).await?;
    files::remove(&new.join("standby.signal"))?;
    fs::rename(&new, to).map_err(Error::machine(format!("making {}", to.display())))
}

fn connect<'a>(program: &'a mut tokio::process::Command, sockets: &Path) -> &'a mut tokio::process::Command {
    program.arg("-h").arg(sockets).args(["-p", &MAIN.to_string(), "-U", PLANE, "-w"])
}

/// A database's name where a whole connection string could be meant.
fn named(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

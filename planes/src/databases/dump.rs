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
    sql::{MAIN, PLANE, Session, name, text},
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
    let owner = owner(&session, database).await?;
    let input = File::open(file).map_err(Error::machine(format!("opening {}", file.display())))?;
    let mut restore = engine.program("pg_restore");
    connect(&mut restore, sockets).args(["--clean", "--if-exists", "--no-owner", "--no-privileges"]);
    restore.args(["--single-transaction", "--exit-on-error", "--role"]).arg(&owner);
    restore.arg("--dbname").arg(named(database));
    restore.stdin(Stdio::from(input));
    finished("pg_restore", restore.output().await)
}

/// The database that a backup is read into before it takes the place of another, and what that one is called then.
const COMING: &str = "_coming";
const GOING: &str = "_going";

/// Puts a database with a backup's content, and nothing else, in the place of one that belongs to the same owner.
pub(super) async fn replace(engine: &Engine, sockets: &Path, database: &str, file: &Path) -> Result<()> {
    let session = Session::open(sockets, MAIN, "postgres").await?;
    let owner = owner(&session, database).await?;
    let input = File::open(file).map_err(Error::machine(format!("opening {}", file.display())))?;
    for left in [COMING, GOING] {
        remove(&session, left).await?;
    }
    let coming = name(COMING);
    let step = "making a database for a backup's content";
    session.run(step, &format!("CREATE DATABASE {coming} OWNER {}", name(&owner))).await?;
    session.run(step, &format!("REVOKE CONNECT, TEMPORARY ON DATABASE {coming} FROM PUBLIC")).await?;
    let mut restore = engine.program("pg_restore");
    connect(&mut restore, sockets).args(["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]);
    restore.arg("--role").arg(&owner).arg("--dbname").arg(named(COMING)).stdin(Stdio::from(input));
    let mut done = finished("pg_restore", restore.output().await);
    if done.is_ok() {
        let ended =
            format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = {}", text(database));
        let swap = format!(
            "{ended};\nALTER DATABASE {0} RENAME TO {1};\nALTER DATABASE {coming} RENAME TO {0}",
            name(database),
            name(GOING)
        );
        done = session.run("putting a backup's content in its place", &swap).await;
    }
    remove(&session, if done.is_ok() { GOING } else { COMING }).await?;
    done
}

async fn remove(session: &Session, database: &str) -> Result<()> {
    let dropped = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", name(database));
    session.run(&format!("removing database {database:?}"), &dropped).await
}

/// Whose a database is.
async fn owner(session: &Session, database: &str) -> Result<String> {
    let query = format!("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {}", text(database));
    let owner = session.column("looking for the database", &query).await?.pop();
    owner.ok_or_else(|| Error::Unknown { what: "database", id: database.to_owned() })
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

//! Copies: of a database as `pg_dump` writes it, of a whole instance.

use std::{fs, path::Path};

use super::{Engine, Error, Result, access::Session, clear, engine::SUPERUSER, server::port_of};

/// Where the server of a folder listens, for a tool.
fn port(home: &Path) -> Result<String> {
    let port = port_of(home).ok_or_else(|| Error::NotStarted("it has no socket".to_owned()))?;
    Ok(port.to_string())
}

/// Writes one database into a file; it is there whole or not at all.
pub(super) async fn dump(engine: &Engine, home: &Path, database: &str, file: &Path) -> Result<u64> {
    // The file is the server's user's until it is done.
    let port = port(home)?;
    let making = home.join("dump.making");
    let made = engine.run("pg_dump", |command| {
        command.args(["--format", "custom", "--no-password", "--username", SUPERUSER]);
        command
            .arg("--host")
            .arg(home.join("socket"))
            .arg("--port")
            .arg(&port)
            .arg("--file")
            .arg(&making)
            .arg(database);
    });
    made.await?;
    let size = fs::copy(&making, file).map_err(Error::machine(format!("keeping {}", file.display())))?;
    fs::remove_file(&making).map_err(Error::machine("removing a copy"))?;
    Ok(size)
}

/// Reads one database back; what is in it is replaced.
pub(super) async fn restore(engine: &Engine, home: &Path, database: &str, file: &Path) -> Result<()> {
    let port = port(home)?;
    let reading = home.join("dump.reading");
    fs::copy(file, &reading).map_err(Error::machine(format!("reading {}", file.display())))?;
    engine.give(&reading)?;
    let restored = engine.run("pg_restore", |command| {
        command.args(["--clean", "--if-exists", "--single-transaction", "--no-password", "--username", SUPERUSER]);
        command
            .arg("--host")
            .arg(home.join("socket"))
            .arg("--port")
            .arg(&port)
            .arg("--dbname")
            .arg(database)
            .arg(&reading);
    });
    let restored = restored.await;
    fs::remove_file(&reading).map_err(Error::machine("removing a copy"))?;
    restored
}

/// Copies a whole cluster while its server runs. Gives its size in bytes.
pub(super) async fn snapshot(engine: &Engine, home: &Path, into: &Path) -> Result<u64> {
    let port = port(home)?;
    clear(into)?;
    engine.own(into.parent().unwrap_or(into))?;
    let made = engine.run("pg_basebackup", |command| {
        command.args(["--checkpoint", "fast", "--wal-method", "stream", "--no-password", "--no-sync"]);
        command.args(["--username", SUPERUSER]);
        command.arg("--host").arg(home.join("socket")).arg("--port").arg(&port).arg("--pgdata").arg(into);
    });
    made.await?;
    let mut size = 0;
    let mut open = vec![into.to_owned()];
    while let Some(folder) = open.pop() {
        let step = || Error::machine(format!("measuring {}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(step())? {
            let entry = entry.map_err(step())?;
            let found = entry.metadata().map_err(step())?;
            if found.is_dir() { open.push(entry.path()) } else { size += found.len() }
        }
    }
    Ok(size)
}

/// How many bytes a database holds.
pub(super) async fn size(home: &Path, database: &str) -> Result<u64> {
    let session = Session::open(home, database).await?;
    let step = || Error::database(format!("measuring database {database}"));
    let row = session.client.query_one("SELECT pg_database_size(current_database())", &[]).await.map_err(step())?;
    let size: i64 = row.get(0);
    Ok(size.unsigned_abs())
}

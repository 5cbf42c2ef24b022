//! What is wanted of the server behind a database, and what is told of it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use stackproof_planes::databases::{Database, LocalRole};

use super::backup;
use crate::{kernel::Record, object::Kept};

/// The kind of records that a server runs for.
pub(crate) const KIND: &str = "sdb.database";
/// The port of all endpoints.
pub(crate) const PORT: u16 = 5432;
/// The version of PostgreSQL (recorded).
pub(crate) const VERSION: u32 = 16;

/// Who may change tables, who may change rows, and who may look (the first two documented).
pub(super) const ADMIN: &str = "role_admin";
pub(super) const WRITER: &str = "role_readwrite";
pub(super) const READER: &str = "role_readonly";

/// Where a database keeps at which address of this machine it is reached, hidden.
const LISTENS: &str = "listens_at";
/// Where a database keeps the file whose content is to take the place of its own, hidden.
const RESTORE: &str = "restore";

/// The host name of an endpoint.
pub(crate) fn host(key: &str, region: &str) -> String {
    format!("{key}.pg.sdb.{region}.scw.cloud")
}

/// What a database wants of its server.
#[derive(Clone, PartialEq)]
pub(crate) struct Wanted {
    /// Its endpoint's host name.
    pub(crate) host: String,
    /// Its name.
    pub(crate) name: String,
    /// Whether its server is never to sleep.
    pub(crate) always: bool,
    /// The content that is to take the place of what it has.
    pub(crate) restore: Option<Kept>,
}

/// What a database wants; none where it is on its way out.
pub(crate) fn wanted(key: &str, record: &Record) -> Option<Wanted> {
    if record.text("status") == "deleting" {
        return None;
    }
    Some(Wanted {
        host: host(key, record.text("region")),
        name: record.text("name").to_owned(),
        always: processors(record) > 0,
        restore: record.hidden.get(RESTORE).and_then(|kept| serde_json::from_value(kept.clone()).ok()),
    })
}

/// The database that the server is to have.
pub(crate) fn database(name: &str) -> Database {
    Database { name: name.to_owned(), owner: Some(ADMIN.to_owned()) }
}

/// Whom those act as who are let in. Tables belong to the first; the server's own roles let the others at them, also at
/// those that are yet to come.
pub(crate) fn roles() -> Vec<LocalRole> {
    let role = |name: &str, member_of: &[&str]| LocalRole {
        name: name.to_owned(),
        member_of: member_of.iter().map(|&of| of.to_owned()).collect(),
    };
    vec![
        role(ADMIN, &[]),
        role(WRITER, &["pg_read_all_data", "pg_write_all_data"]),
        role(READER, &["pg_read_all_data"]),
    ]
}

/// The processors it has at least.
fn processors(record: &Record) -> i64 {
    record.body.get("cpu_min").and_then(Value::as_i64).unwrap_or_default()
}

/// Whether something runs behind a database.
pub(super) fn runs(record: &Record) -> bool {
    listens_at(record).is_some()
}

/// The address of this machine that it is reached at, if it had one.
pub(crate) fn listens_at(record: &Record) -> Option<SocketAddr> {
    record.hidden.get(LISTENS)?.as_str()?.parse().ok()
}

/// Writes at which address it is reached, and whether its server runs. Gives whether any of that is news.
///
/// A server that runs has as many processors as the database has at least, one where that is none (documented).
pub(crate) fn told(record: &mut Record, listens: SocketAddr, awake: bool) -> bool {
    let before = (record.hidden.get(LISTENS).cloned(), record.body.get("started").cloned(), current(record));
    let processors = if awake { processors(record).max(1) } else { 0 };
    record.hidden.insert(LISTENS.into(), listens.to_string().into());
    record.body.insert("started".into(), awake.into());
    record.body.insert("cpu_current".into(), processors.into());
    if awake && record.text("status") == "error" {
        record.body.insert("status".into(), "ready".into());
        backup::await_next(record);
        return true;
    }
    before != (record.hidden.get(LISTENS).cloned(), Some(json!(awake)), current(record))
}

fn current(record: &Record) -> Option<Value> {
    record.body.get("cpu_current").cloned()
}

/// Asks for the content of a file to take the place of what there is.
pub(super) fn restore_from(record: &mut Record, content: Kept) {
    record.hidden.insert(RESTORE.into(), json!(content));
}

/// Writes that this has been done.
pub(crate) fn restored(record: &mut Record) {
    record.hidden.remove(RESTORE);
}

/// Writes that the server does not come to run, or could not be given the content it was to have.
pub(crate) fn failed(record: &mut Record) {
    record.hidden.remove(RESTORE);
    record.body.insert("status".into(), "error".into());
    record.next = None;
}

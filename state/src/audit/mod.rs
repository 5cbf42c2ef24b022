//! Who changed what: rows chained by hashes, in PostgreSQL.
//!
//! Each backend has a chain of its own. Rows are only ever added, by a function that deployers may call; they can read
//! the rest, not change it. Whoever owns the database could: so each row carries the hash of the one before, and
//! [`Trail::verify`] computes them all again. Only a chain made anew from some row to its end looks right in itself; it
//! is found with an [`Anchor`] that was kept elsewhere, such as in a report.

mod export;
mod row;
mod trail;
mod verify;

pub use export::{ExportError, csv, json};
pub use row::{Change, Entry, Outcome, Row};
pub use trail::{Anchor, Filter, Trail};
pub use verify::{Finding, Verified};

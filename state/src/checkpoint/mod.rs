//! The versions of a stack's state.
//!
//! | to | call |
//! | --- | --- |
//! | read what is there | [`current()`], [`existing`] |
//! | see what there was, and who made it | [`history()`], [`History::find`], [`version`] |
//! | show it without its secrets | [`shown`] |
//! | compare two | [`diff()`] |
//! | know whether it can be relied on | [`verify()`] |
//! | bring one back | [`restore()`], with the lease held |
//! | bring back one that is gone | [`bring_back`], with the lease held |
//! | keep it elsewhere | [`backup`], [`keep`], [`copies`] |
//! | know what it takes | [`size()`] |
//! | go on after a killed run | [`recover()`], [`remove_dead_lock`] |
//!
//! Pulumi's own three forms are read and written alike: `.json`, `.json.gz`, `.json.zst`. Every error and finding
//! tells the next step.

mod compression;
mod current;
mod diff;
mod error;
mod history;
mod model;
mod place;
mod recover;
mod restore;
mod secrets;
mod size;
mod verify;

pub use compression::Compression;
pub use current::{Stored, current, existing};
pub use diff::{Changed, Diff, Named, Property, diff, shown};
pub use error::Error;
pub use history::{Entry, History, Update, history, version};
pub use model::{Checkpoint, Deployment, Manifest, PendingOperation, Resource, SecretsProvider};
pub use place::{NotAName, Stack};
pub use recover::{DeadHolder, PulumiLock, Recovery, Swept, Unfinished, locks, recover, remove_dead_lock};
pub use restore::{Backup, Restored, backup, bring_back, copies, keep, newest_copy, restore};
pub use size::{Share, Usage, size};
pub use verify::{Finding, Severity, Verdict, verify};

pub(crate) use compression::marked;
pub(crate) use place::Part;

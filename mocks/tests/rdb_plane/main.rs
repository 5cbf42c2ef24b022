//! Managed PostgreSQL with its servers: what is asked through the public API, seen by a client of the database.
//!
//! Skipped where this machine has no PostgreSQL; with STACKPROOF_NEEDS_POSTGRES set, that is a failure.

#![allow(unreachable_pub, reason = "the modules of one test program")]
#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod backups;
mod failures;
mod logs;
mod replicas;
mod scene;
mod servers;
mod snapshots;

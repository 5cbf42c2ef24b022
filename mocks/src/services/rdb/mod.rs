//! Managed Database for PostgreSQL and MySQL. API reference: RDB API v1.
//!
//! Behind a PostgreSQL instance and a read replica runs a server ([`plane`]); backups,
//! snapshots and logs hold what was there ([`copies`]). They go with their instance.
//! Sizes of databases are those of empty ones. Not emulated: maintenances (there are
//! none), upgrades of the minor version.

mod acl;
mod backup;
mod catalog;
mod certificate;
pub(crate) mod copies;
mod database;
pub(crate) mod download;
mod endpoint;
mod instance;
mod log;
mod metrics;
pub(crate) mod plane;
mod privilege;
mod replica;
mod schedule;
mod setting;
mod settings_table;
mod snapshot;
mod upgrade;
mod user;

use crate::kernel::Product;

const READ: &[&str] = &["RelationalDatabasesReadOnly"];
const WRITE: &[&str] = &["RelationalDatabasesFullAccess"];

pub(super) fn product() -> Product {
    Product {
        name: "rdb",
        title: "Managed Database for PostgreSQL and MySQL",
        resources: vec![
            instance::instance(),
            database::database(),
            user::user(),
            privilege::privilege(),
            acl::acl(),
            backup::backup(),
            snapshot::snapshot(),
            replica::read_replica(),
            log::log(),
        ],
    }
}

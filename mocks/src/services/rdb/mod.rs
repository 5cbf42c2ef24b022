//! Managed Database for PostgreSQL and MySQL. API reference: RDB API v1.
//!
//! Behind a PostgreSQL instance runs a server ([`plane`]); sizes are those of empty
//! databases, backups, logs and replicas have nothing in them. Backups, snapshots and
//! replicas go with their instance. Not emulated: exporting and restoring backups,
//! maintenances (there are none), metrics, upgrades of the minor version.

mod acl;
mod backup;
mod catalog;
mod certificate;
mod database;
mod endpoint;
mod instance;
mod log;
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

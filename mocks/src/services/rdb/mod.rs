//! Managed Database for PostgreSQL and MySQL. API reference: RDB API v1.
//!
//! Nothing runs behind an instance yet: its endpoints are well-formed and
//! refuse connections. Not emulated yet: backups, snapshots, read replicas,
//! major upgrades, logs, catalogue routes.

mod acl;
mod catalog;
mod certificate;
mod database;
mod endpoint;
mod instance;
mod privilege;
mod upgrade;
mod user;

use crate::kernel::Product;

const READ: &[&str] = &["RelationalDatabasesReadOnly"];
const WRITE: &[&str] = &["RelationalDatabasesFullAccess"];

pub(super) fn product() -> Product {
    Product {
        name: "rdb",
        title: "Managed Database for PostgreSQL and MySQL",
        resources: vec![instance::instance(), database::database(), user::user(), privilege::privilege(), acl::acl()],
    }
}

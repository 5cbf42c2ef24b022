//! Serverless SQL Databases. API reference: Serverless SQL Databases API v1alpha1.
//!
//! Behind each database is a PostgreSQL server of its own that runs only while it is used (`plane.rs`). Who may log in
//! is asked of IAM, each time (`login.rs`). Where this machine runs none, the endpoints are well-formed and nobody
//! answers there, and backups are never made.

pub(crate) mod backup;
mod database;
mod login;
pub(crate) mod plane;

pub(crate) use login::{all_allowing, login};

use crate::kernel::Product;

/// The permission sets that allow reading what the API tells, and those that allow changing it.
const READ: &[&str] = &["ServerlessSQLDatabaseReadOnly", "ServerlessSQLDatabaseReadWrite"];
const WRITE: &[&str] = &["ServerlessSQLDatabaseFullAccess"];

pub(super) fn product() -> Product {
    Product { name: "sdb", title: "Serverless SQL Databases", resources: vec![database::database(), backup::backup()] }
}

//! Database: one of an instance's databases, told apart by name.

use serde_json::json;

use super::{READ, WRITE};
use crate::kernel::{Record, Resource, computed, required};

/// The size of an empty PostgreSQL database, in bytes (recorded). Clients keep it
/// in their state, so it stays what it is.
const EMPTY_SIZE: u64 = 7_713_583;

/// A database that comes along with something else.
pub(super) fn new(name: &str) -> Record {
    Record::of(&json!({"name": name, "managed": true, "owner": "_rdb_superadmin", "size": EMPTY_SIZE}))
}

pub(super) fn database() -> Resource {
    Resource::new("rdb.database")
        .at("/rdb/v1/regions/{region}/instances/{instance_id}/databases/{database_name}")
        .under("rdb.instance")
        .named_by("name")
        .fields([
            required("name").text(1..=63).check(super::user::plain_name),
            computed("managed", |_| Ok(json!(true))),
            computed("owner", |_| Ok(json!("_rdb_superadmin"))),
            computed("size", |_| Ok(json!(EMPTY_SIZE))),
        ])
        .filters(&["name", "managed", "owner"])
        .order(&["name", "size"])
        .without(&["GET", "PATCH"])
        .permissions(READ, WRITE)
}

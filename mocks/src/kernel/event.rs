//! What happened: one event per change of a record that a person would tell of.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Something that happened in the cloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The transaction it belongs to.
    #[serde(default)]
    pub sequence: u64,
    /// When, on the cloud's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The kind of resource, such as `rdb.instance`.
    pub kind: String,
    /// Which one: its key in the store.
    pub id: String,
    /// What happened to it: `created`, `updated`, `deleted`, `state` or an action's name.
    pub what: String,
    /// The state it is in now, for kinds that have states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

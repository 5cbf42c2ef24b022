//! A row of the trail, and its hash.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, macros::format_description, serde::rfc3339};
use uuid::Uuid;

/// What is to be remembered. When, by which user of the database, and after which row, the database adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The person or the robot.
    pub who: String,
    /// The machine.
    pub host: String,
    /// What was run, without secrets.
    pub command: String,
    /// The git commit of the program, where it has one.
    pub commit: Option<String>,
    /// Whether the work tree had changes.
    pub dirty: Option<bool>,
    /// The project; none: it was about the whole backend.
    pub project: Option<String>,
    /// The stack.
    pub stack: Option<String>,
    /// The fencing number of the lease it was done under.
    pub fence: Option<u64>,
    /// The version of the state before.
    pub before: Option<String>,
    /// The version of the state after.
    pub after: Option<String>,
    /// What became of which resource.
    pub changes: Vec<Change>,
    /// How it ended.
    pub result: Outcome,
    /// How long it took.
    pub took: Duration,
    /// Why: the reason of a break, a hold, a restore.
    pub note: Option<String>,
}

/// What became of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Pulumi's name of it.
    pub urn: String,
    /// What was done: `create`, `update`, `delete`, `replace`, …
    pub operation: String,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All of it was done.
    Succeeded,
    /// Not all of it was.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// It was stopped because the lease was lost.
    LeaseLost,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::LeaseLost => "lease_lost",
        }
    }
}

/// A row, as it is in the database. What it says is text there: tampering may have made anything of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Where the state is.
    pub backend: String,
    /// Its place in the chain, from 1.
    pub number: u64,
    /// Its id.
    pub id: Uuid,
    /// When it was added, by the database's clock.
    #[serde(with = "rfc3339")]
    pub at: OffsetDateTime,
    /// The database's user that added it.
    pub account: String,
    /// See [`Entry`], as all that follows.
    pub who: String,
    /// The machine.
    pub host: String,
    /// What was run.
    pub command: String,
    /// The git commit.
    pub commit: Option<String>,
    /// Whether the work tree had changes.
    pub dirty: Option<bool>,
    /// The project.
    pub project: Option<String>,
    /// The stack.
    pub stack: Option<String>,
    /// The fencing number.
    pub fence: Option<i64>,
    /// The version of the state before.
    pub before: Option<String>,
    /// The version of the state after.
    pub after: Option<String>,
    /// The changes, in JSON.
    pub changes: String,
    /// How it ended.
    pub result: String,
    /// How long it took, in milliseconds.
    pub milliseconds: i64,
    /// Why.
    pub note: Option<String>,
    /// The hash of the row before.
    pub previous: String,
    /// Its own.
    pub hash: String,
}

/// What stands for the hash before the first row.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl Row {
    /// The hash it should have.
    pub fn expected(&self) -> String {
        self.expected_at(self.number)
    }

    /// The hash it should have at another place.
    pub(super) fn expected_at(&self, number: u64) -> String {
        let mut all = self.previous.clone();
        let mut field = |value: Option<&str>| match value {
            None => all.push('-'),
            Some(value) => all.push_str(&format!("{}:{value}", value.len())),
        };
        field(Some(&self.backend));
        field(Some(&number.to_string()));
        field(Some(&self.id.to_string()));
        field(Some(&moment(self.at)));
        field(Some(&self.account));
        field(Some(&self.who));
        field(Some(&self.host));
        field(Some(&self.command));
        field(self.commit.as_deref());
        field(self.dirty.map(|dirty| if dirty { "true" } else { "false" }));
        field(self.project.as_deref());
        field(self.stack.as_deref());
        field(self.fence.map(|fence| fence.to_string()).as_deref());
        field(self.before.as_deref());
        field(self.after.as_deref());
        field(Some(&self.changes));
        field(Some(&self.result));
        field(Some(&self.milliseconds.to_string()));
        field(self.note.as_deref());
        hex::encode(Sha256::digest(all))
    }
}

/// As the database writes it, to the microsecond.
fn moment(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    // A time that cannot be written is none the database gave.
    at.to_offset(time::UtcOffset::UTC).format(form).unwrap_or_default()
}

//! What the lock remembers, as plain values; the database's functions speak of them in the same JSON.

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, serde::rfc3339};
use uuid::Uuid;

/// Who wants to change a stack, as others are to read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The person or the robot.
    pub who: String,
    /// The machine.
    pub host: String,
    /// The process on it.
    pub pid: u32,
    /// What it runs, without secrets.
    pub command: String,
    /// The page of the CI job, where it is one.
    pub ci: Option<String>,
}

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One command that changes the stack. Its holder renews it.
    Run,
    /// Maintenance: only commands that carry its token get in until it ends. Nobody renews it.
    Hold,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Whose it is. One id for each time somebody asked.
    pub holder: Uuid,
    /// Rises with each lease of the stack.
    pub fence: u64,
    /// What it is for.
    pub kind: Kind,
    /// Who holds it.
    pub owner: Owner,
    /// Why, where that was told.
    pub reason: Option<String>,
    /// The hold whose token opened the door.
    pub under: Option<Uuid>,
    /// For how long it is good from each renewal, in milliseconds.
    pub ttl_ms: u64,
    /// Since when it is held.
    #[serde(with = "rfc3339")]
    pub since: OffsetDateTime,
    /// When its holder was heard of last.
    #[serde(with = "rfc3339")]
    pub renewed: OffsetDateTime,
    /// Until when it is good.
    #[serde(with = "rfc3339")]
    pub expires: OffsetDateTime,
    /// The name of the lock file that Pulumi wrote under it.
    pub lock_file: Option<Uuid>,
}

/// Somebody in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Waiter {
    /// Which id the lease will have.
    pub holder: Uuid,
    /// What the lease is to be for.
    pub kind: Kind,
    /// Who waits.
    pub owner: Owner,
    /// Why, where that was told.
    pub reason: Option<String>,
    /// The hold whose token it carries.
    pub under: Option<Uuid>,
    /// Since when it waits.
    #[serde(with = "rfc3339")]
    pub since: OffsetDateTime,
    /// When it was heard of last.
    #[serde(with = "rfc3339")]
    pub seen: OffsetDateTime,
    /// For how long it is thought to live from then, in milliseconds. Later it is passed over, but keeps its place.
    pub patience_ms: u64,
    /// Until when it waits.
    #[serde(with = "rfc3339")]
    pub until: OffsetDateTime,
}

/// A lease whose holder never said goodbye: something unexpected happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Abandoned {
    /// The lease, as it was last.
    pub grant: Grant,
    /// When it ended.
    #[serde(with = "rfc3339")]
    pub ended: OffsetDateTime,
    /// Who took it away; nobody: it ran out.
    pub broken: Option<Broken>,
}

/// A lease was taken away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Broken {
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Somebody asks for a lease, or asks again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// One id for each lease asked for: asking again with it changes nothing but the time.
    pub holder: Uuid,
    /// What it is for.
    pub kind: Kind,
    /// Who asks.
    pub owner: Owner,
    /// Why.
    pub reason: Option<String>,
    /// The token of the hold it belongs to.
    pub under: Option<Uuid>,
    /// For how long the lease is to be good from each renewal, in milliseconds.
    pub ttl_ms: u64,
    /// For how long it will wait from now on, in milliseconds; none: it will not.
    pub wait_ms: Option<u64>,
    /// For how long it may be silent before the next in the queue is served, in milliseconds.
    pub patience_ms: u64,
}

/// Why somebody has to wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// The database's time.
    #[serde(with = "rfc3339")]
    pub at: OffsetDateTime,
    /// The command that runs.
    pub run: Option<Grant>,
    /// The maintenance that goes on.
    pub hold: Option<Grant>,
    /// Whose turn is next.
    pub next: Option<Waiter>,
}

/// What becomes of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The lease.
    Granted {
        /// The lease.
        grant: Grant,
        /// Whose work was never cleaned up, oldest first.
        abandoned: Vec<Abandoned>,
    },
    /// A place in the queue.
    Waiting {
        /// 1: next.
        position: u64,
        /// Who is in the way.
        standing: Standing,
    },
    /// No, and it would not wait.
    Busy {
        /// Who is in the way.
        standing: Standing,
    },
    /// The hold it belongs to has ended.
    HoldOver,
}

/// What becomes of a lease that its holder speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Held {
    /// It is good.
    Held {
        /// Until when.
        #[serde(with = "rfc3339")]
        expires: OffsetDateTime,
    },
    /// It is no longer this holder's.
    Lost,
}

/// What becomes of a lease that is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Released {
    /// It is free.
    Released,
    /// It had been lost before.
    NotHeld,
}

/// What becomes of a lease that is to be taken away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Break {
    /// It was taken away, and is remembered.
    Broken {
        /// The lease.
        grant: Box<Grant>,
    },
    /// This holder has none.
    NotFound {
        /// Who has.
        standing: Box<Standing>,
    },
}

/// What becomes of an abandoned lease whose traces were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Cleaned {
    /// It is done.
    Cleaned,
    /// There is none that waits for that.
    Unknown,
    /// Who cleaned has no lease (any more).
    Lost,
}

/// How a stack's lock is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    /// The database's time.
    #[serde(with = "rfc3339")]
    pub at: OffsetDateTime,
    /// The last fencing number given.
    pub fence: u64,
    /// The command that runs.
    pub run: Option<Grant>,
    /// The maintenance that goes on.
    pub hold: Option<Grant>,
    /// Who waits, in order.
    pub queue: Vec<Waiter>,
    /// Whose work was never cleaned up, oldest first.
    pub abandoned: Vec<Abandoned>,
}

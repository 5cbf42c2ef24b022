//! The heart of the local cloud: what resources are, how they change, where
//! they are kept. It knows no HTTP and no product.
//!
//! Only the kernel writes. A write is a [`Transaction`]: it happens whole, is
//! appended to the journal before anyone is told, and leaves [`Event`]s that
//! console, audit trail and metrics read.

mod audit;
mod behind;
mod blob;
mod call;
mod catalogue;
mod clock;
mod cloud;
mod event;
mod field;
mod guard;
mod id;
mod journal;
mod key;
mod operate;
mod page;
mod record;
mod refusal;
mod resource;
mod sealed;
mod store;
mod view;

pub use audit::{About, Asked, AuditEntry, AuditLog, Cause, described, remembered};
pub use behind::Behind;
pub use blob::{BlobError, BlobStream, BlobWriter, Blobs, Digest};
pub use call::{Act, Answer, Call, Caller, Look, Making, Origin};
pub use catalogue::Catalogue;
pub use clock::{Clock, Profile, by_time, moment, older, rfc3339};
pub use cloud::{Cloud, Observation, Within};
pub use event::Event;
pub use field::{Compute, Field, Rule, computed, optional, required};
pub use guard::{Action, Allowing, Asking, Authorize, Denial, Enforcement, Guard, Observed, ObservedCall, watched};
pub use id::{Ids, is_uuid};
pub use journal::{Durability, JournalError};
pub use key::{DataKey, KeyError, ROOT_KEY_VARIABLE, RootKey};
pub use record::{Passage, Record};
pub use refusal::{ArgumentFault, Reason, Refusal};
pub use resource::{
    Access, OnDelete, OnFinding, OnMaking, OnPreparing, Operation, Product, Resource, Route, Scope, Shape, States,
    Work, states,
};
pub use store::{Options, Store, StoreError, Tables, Transaction};
pub use view::{OnSaying, Tell, View, Viewed, told};

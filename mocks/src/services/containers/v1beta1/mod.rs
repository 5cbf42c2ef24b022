//! Serverless Containers API v1beta1, which v1 replaces: views of v1's resources.
//!
//! Nothing is kept of its own but what v1 has no word for, in the hidden part of the
//! same records. A cron is a trigger of v1 with a schedule; its other triggers are
//! triggers here too. Sizes are in MB of a million bytes, secrets a list, states fewer.
//!
//! Not established, since nothing is recorded: how v1 tells of a container that waits
//! for its first deployment (here `created`, as v1beta1 does), what of a scale by
//! processor or memory is told as `max_concurrency` (here the most there can be).

mod container;
mod cron;
mod domain;
pub(in crate::services) mod environment;
mod namespace;
mod trigger;

use serde_json::{Map, Value};

use crate::kernel::{Call, Field, Record, Resource, told};

/// What v1 calls otherwise: here it is `pending` until it is as it was asked for (recorded).
const STATES: &[(&str, &str)] = &[("creating", "pending"), ("updating", "pending")];

/// The views.
pub(super) fn views() -> [Resource; 5] {
    [namespace::namespace(), container::container(), cron::cron(), domain::domain(), trigger::trigger()]
}

/// The last error message; null where there is none (recorded), which v1 leaves empty or out.
fn error_message() -> Field {
    told("error_message", |record| {
        let message = record.text("error_message");
        Some(if message.is_empty() { Value::Null } else { message.into() })
    })
}

/// What the request said in the words of its view.
fn said(call: &Call) -> Option<&Map<String, Value>> {
    call.view.as_ref().map(|view| &view.said)
}

/// A part of a record's field that is an object.
fn part<'r>(record: &'r Record, field: &str, part: &str) -> Option<&'r Value> {
    record.body.get(field)?.get(part)
}

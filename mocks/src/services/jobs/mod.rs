//! Serverless Jobs. API reference: Serverless Jobs API v1alpha2.
//!
//! Nothing runs yet: a run waits in its queue for as long as Scaleway's usually do
//! and then fails with the reason `technical_error`, which says so. Schedules are
//! kept and never start a run. Secrets are references to Secret Manager; nobody
//! reads them.
//!
//! Not emulated: v1alpha1, which v1alpha2 replaces; the lists of resources and
//! limits, of which there is no record.

mod definition;
mod run;
mod schedule;
mod secret;
mod trigger;

use serde_json::Value;

use crate::kernel::{Making, Product};

/// Documented in IAM's list of permission sets.
const READ: &[&str] = &["ServerlessJobsReadOnly"];
const WRITE: &[&str] = &["ServerlessJobsFullAccess"];

const DEFINITION: &str = "jobs.job_definition";
const RUN: &str = "jobs.job_run";
const SECRET: &str = "jobs.secret";
const TRIGGER: &str = "jobs.trigger";

pub(super) fn product() -> Product {
    Product {
        name: "jobs",
        title: "Serverless Jobs",
        resources: vec![definition::definition(), run::run(), secret::secret(), trigger::trigger()],
    }
}

/// Takes a field out of the answer that no answer has, and keeps it.
fn hide(making: &mut Making<'_, '_>, field: &str) {
    if let Some(value) = making.record.body.remove(field) {
        making.record.hidden.insert(field.to_owned(), value);
    }
}

/// A field of the record so far.
fn part(making: &Making<'_, '_>, field: &str) -> Value {
    making.record.body.get(field).cloned().unwrap_or_default()
}

//! Audit Trail. API reference: Audit Trail API v1alpha1.
//!
//! Events are real: whatever changes something in the local cloud, or reveals a secret, is told of, with who
//! asked and how it was answered. Nobody signs in to the local cloud, so there are no authentication events.
//! Export jobs are kept and never run. Not emulated: alert rules.

mod event;
mod export_job;
mod method;
mod product;
mod resource_type;

use crate::kernel::Product;

/// Documented in IAM's list of permission sets.
const READ: &[&str] = &["AuditTrailReadOnly"];
const WRITE: &[&str] = &["AuditTrailFullAccess"];

pub(super) fn product() -> Product {
    Product {
        name: "audit_trail",
        title: "Audit Trail",
        resources: vec![event::event(), product::product(), export_job::export_job()],
    }
}

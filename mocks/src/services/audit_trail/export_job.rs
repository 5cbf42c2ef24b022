//! Export job: into which bucket events are to be written. Kept, and never run.

use serde_json::Value;

use super::{READ, WRITE};
use crate::kernel::{Resource, computed, optional, required};

pub(super) fn export_job() -> Resource {
    Resource::new("audit_trail.export_job")
        .at("/audit-trail/v1alpha1/regions/{region}/export-jobs/{export_job_id}")
        .listed_as("export_jobs")
        .of_organization()
        .without(&["GET", "PATCH"])
        .fields([
            required("name").text(1..=255),
            required("s3").object([
                required("bucket").text(1..=63),
                optional("region").one_of(|| crate::api::REGIONS.to_vec()),
                optional("prefix").text(0..=1024).default(Value::Null),
                optional("project_id").uuid(),
            ]),
            optional("tags").strings(),
            computed("last_run_at", |_| Ok(Value::Null)),
            computed("last_status", |_| Ok(Value::Null)),
        ])
        .filters(&["name", "tags"])
        .order(&["name", "created_at"])
        .permissions(READ, WRITE)
        .allowing(&["LIST"], &["AuditTrailExportRead", "AuditTrailFullAccess"])
        .allowing(&["DELETE"], &["AuditTrailExportDelete", "AuditTrailFullAccess"])
        .made(|making| {
            making.record.body.remove("updated_at");
            // Where none is said, the bucket is where the job is.
            let region = making.call.param("region").unwrap_or_default().to_owned();
            if let Some(s3) = making.record.body.get_mut("s3").and_then(Value::as_object_mut)
                && s3.get("region").is_none_or(Value::is_null)
            {
                s3.insert("region".into(), region.into());
            }
            Ok(())
        })
}

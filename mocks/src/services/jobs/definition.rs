//! Job definition: what a run is made of.
//!
//! Recorded: answers do not tell the organisation, and a retry policy only where
//! there is one. A schedule whose parts are `null` is none. It cannot be deleted while
//! a run of it goes on, which the provider stops then.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DEFINITION, READ, RUN, WRITE, hide, part, run, schedule};
use crate::{
    kernel::{Act, Field, Making, Record, Refusal, Resource, optional, required},
    services::containers::{
        before, region,
        settings::{duration, tidy},
    },
};

/// How many an organisation may have (documented).
const MOST: u64 = 1000;

/// The longest run (documented), which is the default (recorded).
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What a definition gets that does not say it, or says 0, in mvCPU and MiB (documented; the storage's
/// is that of the containers).
const DEFAULTS: [(&str, u64); 3] = [("cpu_limit", 1120), ("memory_limit", 2048), ("local_storage_capacity", 1000)];

pub(super) fn definition() -> Resource {
    Resource::new(DEFINITION)
        .at("/serverless-jobs/v1alpha2/regions/{region}/job-definitions/{job_definition_id}")
        .listed_as("job_definitions")
        .fields(fields())
        .permissions(READ, WRITE)
        .made(make)
        .updated(settle)
        .deleted(delete)
        .act("POST", "/serverless-jobs/v1alpha2/regions/{region}/job-definitions/{job_definition_id}/start", run::start)
}

fn fields() -> Vec<Field> {
    vec![
        required("name").text(1..=255),
        // At most 6 vCPU, 16 GB and 10 GB (documented).
        optional("cpu_limit").integer(0..=6000),
        optional("memory_limit").integer(0..=16_384),
        optional("local_storage_capacity").integer(0..=10_240),
        required("image_uri").text(1..=1024),
        optional("description").text(0..=65_536),
        optional("command").text(0..=65_536),
        optional("startup_command").strings(),
        optional("args").strings(),
        optional("environment_variables").text_map(),
        optional("job_timeout").text(0..=32).check(job_timeout).default("86400s"),
        optional("cron_schedule").object(schedule::parts()),
        // At most 5 (documented).
        optional("retry_policy").object([optional("max_retries").integer(0..=5).default(Value::Null)]),
    ]
}

fn job_timeout(value: &Value) -> Result<(), String> {
    match value.as_str().and_then(duration) {
        Some(time) if !time.is_zero() && time <= LONGEST => Ok(()),
        _ => Err("must be a duration of at most 86400s".into()),
    }
}

fn make(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    hide(making, "organization_id");
    let region = region(making)?;
    making.set("region", region);
    let organization = &making.call.caller.organization_id;
    let mine = |other: &Record| other.text_or_hidden("organization_id") == organization;
    let current = making.tx.tables().all(DEFINITION).filter(|(_, other)| mine(other)).count() as u64;
    if current >= MOST {
        return Err(Refusal::QuotaExceeded { resource: "jobs_job_definition".into(), quota: MOST, current });
    }
    // The provider says it of a definition that has no policy, and expects none back.
    if part(making, "retry_policy").get("max_retries") == Some(&json!(0)) {
        making.record.body.remove("retry_policy");
    }
    settle(making)
}

/// Brings what was said into the form that is answered.
fn settle(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let timeout = tidy(making.text("job_timeout"));
    making.set("job_timeout", timeout);
    for (field, default) in DEFAULTS {
        if part(making, field) == json!(0) {
            making.set(field, default);
        }
    }
    if part(making, "retry_policy").get("max_retries").is_none_or(Value::is_null) {
        making.record.body.remove("retry_policy");
    }
    let said = making.input.get("cron_schedule").filter(|said| !said.is_null()).cloned();
    if let Some(said) = said {
        let is_cleared = said.as_object().is_some_and(|parts| parts.values().all(Value::is_null));
        let was = before(making, DEFINITION);
        let schedule = match is_cleared && was.body.contains_key("cron_schedule") {
            true => Value::Null,
            false => schedule::laid_over("cron_schedule", &Value::Null, was.body.get("cron_schedule"), &said)?.into(),
        };
        making.set("cron_schedule", schedule);
    }
    Ok(())
}

fn delete(act: &mut Act<'_, '_>, key: &str) -> Result<(), Refusal> {
    let mut runs = act.tx.tables().all(RUN).filter(|(_, run)| run.text("job_definition_id") == key);
    if runs.any(|(_, run)| run::goes_on(run)) {
        return Err(Refusal::Forbidden("one or more job runs are still running".into()));
    }
    Ok(())
}

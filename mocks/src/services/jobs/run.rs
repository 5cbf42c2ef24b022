//! Job run: a definition, carried out once, or it would be.
//!
//! Recorded: what a run answers; that a stopped one is `interrupting` first; that
//! `reason` is absent while there is none.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{DEFINITION, READ, RUN, WRITE};
use crate::{
    kernel::{
        Act, Answer, Call, Making, Passage, Reason, Record, Refusal, Resource, computed, optional, required, states,
    },
    services::containers::region,
};

/// How long a run waits for its start, and to be stopped (recorded: 1 s).
const QUEUE: Duration = Duration::from_secs(20);
const INTERRUPTION: Duration = Duration::from_secs(1);

/// How many an organisation may have at a time (documented).
const MOST: u64 = 400;

/// The states in which a run has come to its end.
const ENDS: [&str; 3] = ["succeeded", "failed", "interrupted"];

pub(super) fn run() -> Resource {
    Resource::new(RUN)
        .at("/serverless-jobs/v1alpha2/regions/{region}/job-runs/{job_run_id}")
        .listed_as("job_runs")
        .under(DEFINITION)
        .of_parent()
        .fields([
            required("job_definition_id").refers_to(DEFINITION).fixed(),
            optional("cpu_limit").bytes(),
            optional("memory_limit").bytes(),
            optional("local_storage_capacity").bytes(),
            optional("command").text(0..=65_536),
            optional("startup_command").strings(),
            optional("args").strings(),
            optional("environment_variables").text_map(),
            computed("started_at", |_| Ok(Value::Null)),
            computed("terminated_at", |_| Ok(Value::Null)),
            computed("run_duration", |_| Ok(Value::Null)),
            computed("region", region),
        ])
        .states(states("queued", QUEUE, "failed").told_in("state").passing(&[
            "initialized",
            "validated",
            "running",
            "interrupting",
            "retrying",
        ]))
        .filters(&["job_definition_id", "state"])
        .listed_if(|run, call| {
            call.asks_for("states", run.text("state")) && call.asks_for("reasons", run.text("reason"))
        })
        .without(&["POST", "PATCH", "DELETE"])
        .permissions(READ, WRITE)
        .settled(fail)
        .act("POST", "/serverless-jobs/v1alpha2/regions/{region}/job-runs/{job_run_id}/stop", stop)
}

/// Whether a run has not come to its end.
pub(super) fn goes_on(run: &Record) -> bool {
    !ENDS.contains(&run.text("state"))
}

/// Nothing runs it.
fn fail(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    making.set("reason", "technical_error");
    making.set("error_message", "the local cloud runs no jobs yet");
    Ok(())
}

/// POST start on a definition: as many runs as are asked for, of the definition as it is now, with
/// what is said for them in its place.
pub(super) fn start(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("job_definition_id").unwrap_or_default().to_owned();
    let definition = act.find(DEFINITION, &key)?;
    let replicas = match act.call.body.get("replicas") {
        None | Some(Value::Null) => 1,
        Some(replicas) => replicas.as_u64().filter(|replicas| (1..=MOST).contains(replicas)).ok_or_else(|| {
            Refusal::argument("replicas", Reason::Constraint, format!("must be a whole number from 1 to {MOST}"))
        })?,
    };
    let current = going_on(act);
    if current.saturating_add(replicas) > MOST {
        return Err(Refusal::QuotaExceeded { resource: "jobs_job_run".into(), quota: MOST, current });
    }
    let call = Call { body: body_of(&definition, &key, &act.call.body), ..act.call.clone() };
    let mut runs = Vec::new();
    for _ in 0..replicas {
        let run = act.create(RUN, &call)?;
        runs.push(Value::Object(act.find(RUN, &run)?.body.clone()));
    }
    Ok(Answer::Ok(json!({"job_runs": runs})))
}

/// How many runs of the caller's organisation go on.
fn going_on(act: &Act<'_, '_>) -> u64 {
    let organization = &act.call.caller.organization_id;
    let mine = |run: &Record| {
        let definition = act.tx.get(DEFINITION, run.text("job_definition_id"));
        definition.is_some_and(|definition| definition.text_or_hidden("organization_id") == organization)
    };
    act.tx.tables().all(RUN).filter(|(_, run)| goes_on(run) && mine(run)).count() as u64
}

fn body_of(definition: &Record, key: &str, said: &Map<String, Value>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("job_definition_id".into(), key.into());
    let mut variables = definition.body.get("environment_variables").cloned().unwrap_or_default();
    if let (Some(variables), Some(said)) =
        (variables.as_object_mut(), said.get("environment_variables").and_then(Value::as_object))
    {
        variables.extend(said.clone());
    }
    body.insert("environment_variables".into(), variables);
    for field in ["cpu_limit", "memory_limit", "local_storage_capacity"] {
        body.insert(field.into(), definition.body.get(field).cloned().unwrap_or_default());
    }
    for field in ["command", "startup_command", "args"] {
        let said = said.get(field).filter(|value| !value.is_null());
        body.insert(field.into(), said.or(definition.body.get(field)).cloned().unwrap_or_default());
    }
    body
}

/// POST stop. One that has come to its end stays as it is.
fn stop(act: &mut Act<'_, '_>) -> Result<Answer, Refusal> {
    let key = act.call.param("job_run_id").unwrap_or_default().to_owned();
    let mut run = Record::clone(&*act.find(RUN, &key)?);
    if !goes_on(&run) || run.text("state") == "interrupting" {
        return Ok(Answer::record(&run));
    }
    run.body.insert("state".into(), "interrupting".into());
    run.body.insert("reason".into(), "cancellation".into());
    let due = act.tx.now() + act.tx.lasts(INTERRUPTION);
    run.next = Some(Passage { to: Some("interrupted".into()), due });
    Ok(Answer::record(&act.change(RUN, &key, run, "stopped")))
}

//! Trigger: a schedule with a command of its own. It never starts a run, yet.

use serde_json::{Value, json};

use super::{DEFINITION, READ, TRIGGER, WRITE, schedule};
use crate::{
    kernel::{Making, Refusal, Resource, optional, required},
    services::containers::before,
};

const CONFIG: &str = "cron_config";

pub(super) fn trigger() -> Resource {
    let lists = ["startup_command", "args"].map(|list| optional(list).strings().default(Value::Null));
    Resource::new(TRIGGER)
        .at("/serverless-jobs/v1alpha2/regions/{region}/triggers/{trigger_id}")
        .under(DEFINITION)
        .of_parent()
        .fields([
            required("job_definition_id").refers_to(DEFINITION).fixed(),
            required("name").text(1..=255),
            required(CONFIG).object(schedule::parts().into_iter().chain(lists)),
        ])
        .filters(&["job_definition_id"])
        .permissions(READ, WRITE)
        .made(configure)
        .updated(configure)
}

/// Lays what is said over what was there.
fn configure(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    let Some(said) = making.input.get(CONFIG) else {
        return Ok(());
    };
    let was = before(making, TRIGGER);
    let defaults = json!({"startup_command": [], "args": []});
    let config = schedule::laid_over(CONFIG, &defaults, was.body.get(CONFIG), said)?;
    making.set(CONFIG, config);
    Ok(())
}

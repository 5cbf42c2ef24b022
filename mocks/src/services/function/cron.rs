//! Cron: a schedule on which a function is called. It never is, yet.

use std::time::Duration;

use super::{CRON, FUNCTION, READ, WRITE, hide_times, remember_namespace};
use crate::{
    kernel::{Making, Refusal, Resource, optional, required, states},
    services::containers::trigger::schedule,
};

pub(super) fn cron() -> Resource {
    Resource::new(CRON)
        .at("/functions/v1beta1/regions/{region}/crons/{cron_id}")
        .under(FUNCTION)
        .of_parent()
        .fields([
            required("function_id").refers_to(FUNCTION),
            required("schedule").text(1..=255).check(schedule),
            optional("args").any_object(),
            optional("name").text(0..=255),
        ])
        .states(states("pending", CHANGE, "ready").deleting("deleting", Duration::from_secs(1)).passing(&["creating"]))
        .filters(&["function_id"])
        .permissions(READ, WRITE)
        .made(|making| {
            hide_times(making);
            remember_namespace(making)
        })
        .updated(update)
}

/// How long a cron takes to be heeded (recorded).
const CHANGE: Duration = Duration::from_secs(1);

fn update(making: &mut Making<'_, '_>) -> Result<(), Refusal> {
    remember_namespace(making)?;
    let mut record = std::mem::take(making.record);
    let passed = making.act(CRON, |act| {
        act.pass_through(CRON, &mut record, "pending", CHANGE);
        Ok(())
    });
    *making.record = record;
    passed
}

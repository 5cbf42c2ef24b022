//! Schedules: when a job is to start.

use serde_json::{Map, Value};

use crate::{
    kernel::{ArgumentFault, Field, Reason, Refusal, optional},
    services::containers::trigger::{schedule, time_zone},
};

/// The parts of a schedule, each of which a change may leave out.
pub(super) fn parts() -> [Field; 2] {
    [
        optional("schedule").text(1..=255).check(schedule).default(Value::Null),
        optional("timezone").text(1..=255).check(time_zone).default(Value::Null),
    ]
}

/// What is said of a configuration, over what there was and the defaults.
///
/// # Errors
/// When there is no schedule or time zone then.
pub(super) fn laid_over(
    field: &str,
    defaults: &Value,
    was: Option<&Value>,
    said: &Value,
) -> Result<Map<String, Value>, Refusal> {
    let layers = [Some(defaults), was, Some(said)];
    let parts = layers.into_iter().flatten().filter_map(Value::as_object).flatten();
    let config: Map<String, Value> =
        parts.filter(|(_, value)| !value.is_null()).map(|(part, value)| (part.clone(), value.clone())).collect();
    let missing = ["schedule", "timezone"].into_iter().filter(|part| !config.contains_key(*part));
    let faults: Vec<ArgumentFault> = missing
        .map(|part| ArgumentFault::new(format!("{field}.{part}"), Reason::Required, format!("{part} is required")))
        .collect();
    if faults.is_empty() { Ok(config) } else { Err(Refusal::InvalidArguments(faults)) }
}

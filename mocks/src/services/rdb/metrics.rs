//! Metrics of an instance: what its server used of the node it would have.
//!
//! Names, and the node in the metadata, as a public exporter of Scaleway's metrics reads them. Nothing is
//! told where no server runs.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::plane;
use crate::kernel::{Look, Reason, Refusal, moment};

/// GET metrics, by the query's `start_date`, `end_date` and `metric_name`.
pub(super) fn show(look: &Look<'_>) -> Result<Value, Refusal> {
    let instance = look.call.param("instance_id").unwrap_or_default();
    look.find("rdb.instance", instance)?;
    let Some(behind) = look.behind.as_ref().filter(|behind| behind.runs(plane::KIND)) else {
        let route = "GET /rdb/v1/regions/{region}/instances/{instance_id}/metrics where no database runs";
        return Err(Refusal::NotImplemented { route: route.to_owned() });
    };
    let (from, to) = (date(look, "start_date")?, date(look, "end_date")?);
    let within = |point: &Value| {
        let at = point[0].as_str().and_then(moment);
        at.is_some_and(|at| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to))
    };
    let Value::Array(mut series) = behind.told(plane::KIND, instance)["metrics"].take() else {
        return Ok(json!({"timeseries": []}));
    };
    series.retain(|one| look.call.query("metric_name").is_none_or(|name| one["name"] == name));
    for one in &mut series {
        if let Some(points) = one["points"].as_array_mut() {
            points.retain(within);
        }
    }
    Ok(json!({"timeseries": series}))
}

fn date(look: &Look<'_>, name: &str) -> Result<Option<OffsetDateTime>, Refusal> {
    let Some(text) = look.call.query(name) else { return Ok(None) };
    let wrong = || Refusal::argument(name, Reason::Format, "must be a moment such as 2026-01-31T12:00:00Z");
    moment(text).map(Some).ok_or_else(wrong)
}

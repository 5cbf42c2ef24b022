//! Parts of a container's settings with rules of their own: durations, probes, scaling.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::kernel::{Field, Reason, Refusal, optional, required};

/// A duration as protocol buffers write it in JSON, such as `300s` or `1.500000000s`.
pub(in crate::services) fn duration(text: &str) -> Option<Duration> {
    let (seconds, fraction) = match text.strip_suffix('s')?.split_once('.') {
        Some((seconds, fraction)) => (seconds, fraction),
        None => (text.strip_suffix('s')?, ""),
    };
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    Some(Duration::new(seconds.parse().ok()?, format!("{fraction:0<9}").parse().ok()?))
}

/// The same, as the API answers it: `300.000000000s` becomes `300s` (recorded).
pub(in crate::services) fn tidy(text: &str) -> String {
    match duration(text) {
        Some(duration) if duration.subsec_nanos() == 0 => format!("{}s", duration.as_secs()),
        Some(duration) => {
            let fraction = format!("{:09}", duration.subsec_nanos());
            format!("{}.{}s", duration.as_secs(), fraction.trim_end_matches('0'))
        }
        None => text.to_owned(),
    }
}

/// A rule: a duration longer than nothing.
pub(super) fn some_time(value: &Value) -> Result<(), String> {
    match value.as_str().and_then(duration) {
        Some(duration) if !duration.is_zero() => Ok(()),
        _ => Err("must be a duration such as 10s".into()),
    }
}

/// The longest and shortest time a request may take (documented).
pub(in crate::services) fn request_time(value: &Value) -> Result<(), String> {
    let (least, most) = (Duration::from_secs(10), Duration::from_secs(3600));
    match value.as_str().and_then(duration) {
        Some(duration) if (least..=most).contains(&duration) => Ok(()),
        _ => Err("must be a duration of 10s to 3600s".into()),
    }
}

/// What a probe is when nobody says otherwise (recorded).
pub(super) fn default_probe() -> Value {
    json!({"failure_threshold": 30, "interval": "10s", "timeout": "1s", "tcp": {}})
}

/// A probe: how it is asked, and how often it may fail.
pub(super) fn probe(name: &'static str) -> Field {
    optional(name).object([
        optional("failure_threshold").integer(1..=i64::from(u32::MAX)).default(Value::Null),
        optional("interval").text(0..=32).check(some_time).default(Value::Null),
        optional("timeout").text(0..=32).check(some_time).default(Value::Null),
        optional("tcp").object([]),
        optional("http").object([required("path").text(1..=2048).check(absolute)]),
    ])
}

/// A rule: a path that starts with a slash.
pub(super) fn absolute(value: &Value) -> Result<(), String> {
    if value.as_str().is_some_and(|path| path.starts_with('/')) { Ok(()) } else { Err("must start with '/'".into()) }
}

/// A probe as it is answered, from what it was and what is said of it: what is not said stays, and
/// exactly one way of asking is shown.
///
/// # Errors
/// When both or none of `tcp` and `http` are named.
pub(super) fn settle_probe(field: &str, was: &Value, said: &Value) -> Result<Value, Refusal> {
    let mut probe = default_probe();
    for part in ["failure_threshold", "interval", "timeout"] {
        if let Some(value) = [said, was].iter().filter_map(|probe| probe.get(part)).find(|value| !value.is_null()) {
            probe[part] = value.as_str().map_or_else(|| value.clone(), |text| tidy(text).into());
        }
    }
    let way = |probe: &Value, part: &str| probe.get(part).filter(|way| !way.is_null()).cloned();
    let (tcp, http) = match (way(said, "tcp"), way(said, "http")) {
        (None, None) => (way(was, "tcp"), way(was, "http")),
        said => said,
    };
    let parts = probe.as_object_mut();
    match (tcp, http, parts) {
        (Some(_), None, _) => {}
        (None, Some(http), Some(parts)) => {
            parts.remove("tcp");
            parts.insert("http".into(), http);
        }
        _ => return Err(Refusal::argument(field, Reason::Constraint, "name exactly one of tcp and http")),
    }
    Ok(probe)
}

/// What decides that a container scales: one of three thresholds.
pub(super) fn scaling() -> Field {
    optional("scaling_option").object([
        // At most 80 requests at a time (documented); the others are percentages.
        optional("concurrent_requests_threshold").integer(1..=80).default(Value::Null),
        optional("cpu_usage_threshold").integer(1..=100).default(Value::Null),
        optional("memory_usage_threshold").integer(1..=100).default(Value::Null),
    ])
}

/// What a container scales by when nobody says otherwise (recorded).
pub(super) fn default_scaling() -> Value {
    json!({"concurrent_requests_threshold": 50})
}

/// The threshold as it is answered: only the one that is set. Saying none leaves it as it was.
///
/// # Errors
/// When more than one is named.
pub(super) fn settle_scaling(was: &Value, said: &Value) -> Result<Value, Refusal> {
    let said: Map<String, Value> =
        said.as_object().cloned().unwrap_or_default().into_iter().filter(|(_, value)| !value.is_null()).collect();
    match said.len() {
        0 if was.is_object() => Ok(was.clone()),
        0 => Ok(default_scaling()),
        1 => Ok(said.into()),
        _ => Err(Refusal::argument("scaling_option", Reason::Constraint, "name only one threshold")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_protocol_buffers_do() {
        let tidied = [("300s", "300s"), ("360.000000000s", "360s"), ("1.5s", "1.5s"), ("0.250s", "0.25s")];
        for (said, answered) in tidied {
            assert_eq!(tidy(said), answered);
        }
        for wrong in ["", "s", ".5s", "5", "5m", "-5s", "1e3s", "1.0000000001s", "99999999999999999999s", "١s"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}

//! The backup schedule: when the next automated backup is made, on the cloud's clock.
//!
//! Recorded: the first run is one period after the instance was made, or after the
//! schedule was changed.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, Time};

use super::backup;
use crate::kernel::{Making, Passage, Record, Refusal, moment, rfc3339};

/// The schedule of a new instance.
pub(super) fn first(making: &mut Making<'_, '_>) -> Result<Value, Refusal> {
    let disabled = making.input.get("disable_backup") == Some(&json!(true));
    let mut schedule = json!({"disabled": disabled, "frequency": 24, "retention": 7, "next_run_at": null});
    plan(&mut schedule, making.tx.now(), None);
    Ok(schedule)
}

/// The schedule is changed by fields of its own (recorded: asymmetric names).
pub(super) fn change(making: &mut Making<'_, '_>) {
    let mut schedule = schedule(making.record);
    let mut changed = false;
    for (field, part) in [
        ("is_backup_schedule_disabled", "disabled"),
        ("backup_schedule_frequency", "frequency"),
        ("backup_schedule_retention", "retention"),
    ] {
        making.record.hidden.remove(field);
        if let Some(value) = making.input.get(field) {
            schedule[part] = value.clone();
            changed = true;
        }
    }
    changed |= making.input.contains_key("backup_schedule_start_hour");
    if changed {
        plan(&mut schedule, making.tx.now(), start_hour(making.record));
        making.set("backup_schedule", schedule);
    }
    await_next(making.record);
}

/// Makes the backups that are due, and waits for the next ones. Called whenever the instance is
/// settled: a run that comes while it is busy is made up for.
pub(super) fn run_due(making: &mut Making<'_, '_>) {
    let mut schedule = schedule(making.record);
    if let Some(due) = next_run(&schedule).filter(|due| *due <= making.tx.now()) {
        let retention = schedule["retention"].as_i64().unwrap_or(0).clamp(0, 3650);
        backup::make_automated(making, due, due + Duration::days(retention));
        plan(&mut schedule, due, start_hour(making.record));
        making.set("backup_schedule", schedule);
    }
    await_next(making.record);
}

fn schedule(record: &Record) -> Value {
    record.body.get("backup_schedule").cloned().unwrap_or_else(|| json!({}))
}

fn start_hour(record: &Record) -> Option<u8> {
    record.hidden.get("backup_schedule_start_hour").and_then(Value::as_u64).and_then(|hour| u8::try_from(hour).ok())
}

fn next_run(schedule: &Value) -> Option<OffsetDateTime> {
    moment(schedule["next_run_at"].as_str()?)
}

fn plan(schedule: &mut Value, from: OffsetDateTime, start_hour: Option<u8>) {
    let frequency = schedule["frequency"].as_i64().unwrap_or(24).clamp(1, 8760);
    let next = after(from, Duration::hours(frequency), start_hour);
    let disabled = schedule["disabled"] == json!(true);
    schedule["next_run_at"] = if disabled { Value::Null } else { rfc3339(next).into() };
}

/// One period later; with a start hour, at the first such hour (UTC) of the period's last day.
fn after(from: OffsetDateTime, period: Duration, start_hour: Option<u8>) -> OffsetDateTime {
    let day = Duration::days(1);
    let start = start_hour.filter(|_| period >= day).and_then(|hour| Time::from_hms(hour, 0, 0).ok());
    let Some(start) = start else { return from + period };
    let earliest = from + period - day;
    let today = earliest.replace_time(start);
    if today > earliest { today } else { today + day }
}

/// The clock wakes the instance when its next backup is due.
fn await_next(record: &mut Record) {
    let due = next_run(&schedule(record));
    record.next = due.map(|due| Passage { to: Some("ready".into()), due });
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_next_run_is_one_period_later_or_at_the_start_hour() {
        let from = datetime!(2026-03-10 15:30 UTC);
        let next = |hours, start| after(from, Duration::hours(hours), start);
        assert_eq!(next(24, None), datetime!(2026-03-11 15:30 UTC));
        assert_eq!(next(24, Some(3)), datetime!(2026-03-11 03:00 UTC));
        assert_eq!(next(24, Some(20)), datetime!(2026-03-10 20:00 UTC));
        assert_eq!(next(48, Some(3)), datetime!(2026-03-12 03:00 UTC));
        assert_eq!(next(6, Some(3)), datetime!(2026-03-10 21:30 UTC));
        assert_eq!(
            after(datetime!(2026-03-11 03:00 UTC), Duration::hours(24), Some(3)),
            datetime!(2026-03-12 03:00 UTC)
        );
    }
}

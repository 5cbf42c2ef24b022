//! The schedules on which containers are called.

use std::collections::BTreeMap;

use croner::{
    Cron as Pattern,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;
use time::OffsetDateTime;

use super::super::{CONTAINER, TRIGGER};
use crate::kernel::{Record, Tables, moment};

/// A trigger with a schedule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cron {
    /// The trigger.
    pub(crate) key: String,
    /// The container it calls.
    pub(crate) container: String,
    /// When it was made.
    pub(crate) made: OffsetDateTime,
    /// Whether it is to call now.
    pub(crate) active: bool,
    /// When it calls.
    pub(crate) schedule: Schedule,
    /// What it asks.
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// A schedule in a time zone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schedule {
    pattern: String,
    zone: String,
}

/// All triggers with a schedule.
pub(crate) fn crons(tables: &Tables) -> Vec<Cron> {
    tables.all(TRIGGER).filter_map(|(key, record)| cron(tables, key, record)).collect()
}

fn cron(tables: &Tables, key: &str, record: &Record) -> Option<Cron> {
    let text = |field: &str, part: &str| {
        let told = record.hidden.get(field).and_then(|parts| parts.get(part)?.as_str());
        told.unwrap_or_default().to_owned()
    };
    if record.text("source_type") != "cron" || record.text("status") == "deleting" {
        return None;
    }
    let container = record.text("container_id");
    let target = tables.get(CONTAINER, container)?;
    let headers = record.hidden.get("cron_config").and_then(|parts| parts.get("headers")?.as_object());
    let headers = headers.into_iter().flatten();
    Some(Cron {
        key: key.to_owned(),
        container: container.to_owned(),
        made: moment(record.text("created_at")).unwrap_or(OffsetDateTime::UNIX_EPOCH),
        // A container that does not run is called, too: it may come back for who asks.
        active: record.text("status") == "ready" && matches!(target.text("status"), "ready" | "updating" | "error"),
        schedule: Schedule { pattern: text("cron_config", "schedule"), zone: text("cron_config", "timezone") },
        method: text("destination_config", "http_method").to_uppercase(),
        path: text("destination_config", "http_path"),
        headers: headers.filter_map(|(name, value)| Some((name.clone(), Value::as_str(value)?.to_owned()))).collect(),
        body: text("cron_config", "body"),
    })
}

impl Schedule {
    /// The first moment after this one that it names; none: there is none, or none can be found.
    pub(crate) fn next(&self, after: OffsetDateTime) -> Option<OffsetDateTime> {
        let after = Timestamp::from_nanosecond(after.unix_timestamp_nanos()).ok()?;
        let zone = TimeZone::get(&self.zone).ok()?;
        let next = pattern(&self.pattern)?.find_next_occurrence(&after.to_zoned(zone), false).ok()?;
        OffsetDateTime::from_unix_timestamp(next.timestamp().as_second()).ok()
    }
}

fn pattern(text: &str) -> Option<Pattern> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(text).ok()
}

#[cfg(test)]
mod tests {
    use time::format_description::well_known::Rfc3339;

    use super::*;

    fn next(pattern: &str, zone: &str, after: &str) -> String {
        let schedule = Schedule { pattern: pattern.into(), zone: zone.into() };
        let after = OffsetDateTime::parse(after, &Rfc3339).unwrap();
        schedule.next(after).map_or("never".into(), |next| next.format(&Rfc3339).unwrap())
    }

    #[test]
    fn a_schedule_is_one_of_its_time_zone() {
        assert_eq!(next("5 4 * * *", "UTC", "2026-01-10T04:05:00Z"), "2026-01-11T04:05:00Z");
        assert_eq!(next("5 4 * * *", "Europe/Paris", "2026-01-10T00:00:00Z"), "2026-01-10T03:05:00Z");
        assert_eq!(next("5 4 * * *", "Europe/Paris", "2026-07-10T00:00:00Z"), "2026-07-10T02:05:00Z");
        // The hour that is left out in spring.
        assert_eq!(next("30 2 * * *", "Europe/Paris", "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
        assert_eq!(next("0 0 30 2 *", "UTC", "2026-01-10T00:00:00Z"), "never");
    }
}

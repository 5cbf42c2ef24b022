//! The cloud's clock: how long things take, and what time it is.

use std::{cmp::Ordering, fmt, str::FromStr, time::Duration};

use parking_lot::RwLock;
use serde_json::Value;
use time::{
    OffsetDateTime, UtcOffset,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};
use tokio::sync::watch;

/// How time passes in the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Passages between states take no time; they still happen one by one, each with its event.
    Instant,
    /// Passages take as long as they do at Scaleway.
    Realistic,
    /// Time stands still until someone advances it.
    Manual,
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "instant" => Ok(Self::Instant),
            "realistic" => Ok(Self::Realistic),
            "manual" => Ok(Self::Manual),
            other => Err(format!("unknown time profile {other:?}: use instant, realistic or manual")),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instant => "instant",
            Self::Realistic => "realistic",
            Self::Manual => "manual",
        })
    }
}

/// The clock. Virtual: it can be advanced, and in profile `manual` only that moves it.
pub struct Clock {
    profile: Profile,
    reading: RwLock<Reading>,
    advanced: watch::Sender<Duration>,
}

enum Reading {
    /// Wall clock plus this much.
    Ahead(time::Duration),
    /// Exactly this.
    Stopped(OffsetDateTime),
}

impl Clock {
    /// A clock that shows the wall clock's time now.
    pub fn new(profile: Profile) -> Self {
        let reading = match profile {
            Profile::Manual => Reading::Stopped(OffsetDateTime::now_utc()),
            Profile::Instant | Profile::Realistic => Reading::Ahead(time::Duration::ZERO),
        };
        Self { profile, reading: RwLock::new(reading), advanced: watch::channel(Duration::ZERO).0 }
    }

    /// How time passes.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// What time it is in the cloud, to the microsecond, as Scaleway's answers show it.
    pub fn now(&self) -> OffsetDateTime {
        let now = match *self.reading.read() {
            Reading::Ahead(by) => OffsetDateTime::now_utc() + by,
            Reading::Stopped(at) => at,
        };
        now.replace_nanosecond(now.microsecond() * 1000).unwrap_or(now)
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::MAX);
        match &mut *self.reading.write() {
            Reading::Ahead(ahead) => *ahead = ahead.saturating_add(by),
            Reading::Stopped(at) => *at = at.saturating_add(by),
        }
        let by = Duration::try_from(by).unwrap_or_default();
        self.advanced.send_modify(|advanced| *advanced = advanced.saturating_add(by));
    }

    /// By how much the clock has been advanced by hand, now and from now on.
    pub fn advanced(&self) -> watch::Receiver<Duration> {
        self.advanced.subscribe()
    }

    /// How long a passage that lasts `real` at Scaleway takes here.
    pub fn lasts(&self, real: Duration) -> Duration {
        match self.profile {
            Profile::Instant => Duration::ZERO,
            Profile::Realistic | Profile::Manual => real,
        }
    }
}

/// The time as Scaleway's JSON writes it, such as `2026-05-21T13:09:10.202919Z`.
pub fn rfc3339(at: OffsetDateTime) -> String {
    let form = if at.nanosecond() == 0 { SECONDS } else { MICROSECONDS };
    at.checked_to_offset(UtcOffset::UTC).and_then(|at| at.format(form).ok()).unwrap_or_default()
}

const SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

const MICROSECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Which of two moments comes first, of their texts.
pub fn by_time(a: &str, b: &str) -> Ordering {
    if a.len() == b.len() { a.cmp(b) } else { moment(a).cmp(&moment(b)).then_with(|| a.cmp(b)) }
}

/// The moment that such a text tells, if it does.
pub fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// Which of two answers' items was made first.
pub fn older(a: &Value, b: &Value) -> Ordering {
    let [a, b] = [a, b].map(|item| item["created_at"].as_str().unwrap_or_default());
    by_time(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_to_the_microsecond_and_in_order() {
        let at = |nanoseconds| OffsetDateTime::UNIX_EPOCH + time::Duration::nanoseconds(nanoseconds);
        let told = [0, 1_000, 10_000, 100_000_000, 1_000_000_000].map(|moment| rfc3339(at(moment)));
        assert_eq!(told[0], "1970-01-01T00:00:00Z");
        assert_eq!(told[3], "1970-01-01T00:00:00.100000Z");
        let mut sorted = told.clone();
        sorted.reverse();
        sorted.sort_by(|a, b| by_time(a, b));
        assert_eq!(sorted, told);
    }

    #[test]
    fn a_manual_clock_stands_still_until_it_is_advanced() {
        let clock = Clock::new(Profile::Manual);
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now() - before, time::Duration::seconds(90));
    }

    #[test]
    fn in_profile_instant_nothing_takes_time() {
        assert_eq!(Clock::new(Profile::Instant).lasts(Duration::from_secs(150)), Duration::ZERO);
        assert_eq!(Clock::new(Profile::Realistic).lasts(Duration::from_secs(150)), Duration::from_secs(150));
    }
}

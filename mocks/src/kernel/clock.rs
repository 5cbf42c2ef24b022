//! The cloud's clock: how long things take, and what time it is.

use std::{fmt, str::FromStr, time::Duration};

use parking_lot::RwLock;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::Notify;

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
    moved: Notify,
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
        Self { profile, reading: RwLock::new(reading), moved: Notify::new() }
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
        self.moved.notify_waiters();
    }

    /// Resolves when the clock is advanced by hand.
    pub async fn moved(&self) {
        self.moved.notified().await;
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
    at.format(&Rfc3339).unwrap_or_default()
}

/// The moment that such a text tells, if it does.
pub fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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

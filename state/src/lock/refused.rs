//! Why somebody does not get the lock, in words.

use std::{fmt, time::Duration};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::record::{Grant, Kind, Owner, Standing};
use crate::database;

/// Why somebody does not get the lock.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Somebody else has it, or is next.
    #[error("{}", locked(.standing, .waited.as_ref()))]
    Locked {
        /// Who is in the way.
        standing: Box<Standing>,
        /// For how long the queue was waited in; none: not at all.
        waited: Option<Duration>,
    },
    /// The hold whose token was shown has ended, been released or been broken.
    #[error(
        "the maintenance this command belongs to is over, so others may change the stack by now\n\
         Look with `stackproof lock status`, then take a new hold, or run the command without one."
    )]
    HoldOver,
    /// The database could not be asked.
    #[error(transparent)]
    Database(#[from] database::Error),
}

fn locked(standing: &Standing, waited: Option<&Duration>) -> String {
    // Automation recognises this by the words that Pulumi uses.
    let mut told = "the stack is currently locked by ".to_owned();
    let mut holder = None;
    match (&standing.run, &standing.hold, &standing.next) {
        (Some(run), ..) => {
            told.push_str(&Held(run).to_string());
            holder = Some(run);
        }
        (None, Some(hold), _) => {
            told.push_str(&Held(hold).to_string());
            holder = Some(hold);
        }
        (None, None, Some(next)) => {
            told.push_str(&format!("nobody, but {} is next in the queue, {}", Person(&next.owner), since(next.since)));
        }
        (None, None, None) => told.push_str("nobody any more"),
    }
    if let Some(waited) = waited {
        told.push_str(&format!("\nIt did not become free within {} s.", waited.as_secs()));
    }
    told.push_str("\nWait for it with --wait 10m, or look with `stackproof lock status`.");
    if let Some(grant) = holder {
        told.push_str(&format!(
            "\nIf its process is certainly gone: `stackproof lock break --holder {} --reason …`.",
            grant.holder
        ));
    }
    told
}

/// A lease in one line: who, where, what, since when, why.
pub struct Held<'a>(pub &'a Grant);

impl fmt::Display for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(grant) = self;
        write!(f, "{}, ", Person(&grant.owner))?;
        match grant.kind {
            Kind::Run => write!(f, "`{}`", grant.owner.command)?,
            Kind::Hold => write!(f, "maintenance until {}", moment(grant.expires))?,
        }
        write!(f, ", {}", since(grant.since))?;
        if let Some(reason) = &grant.reason {
            write!(f, ", because: {reason}")?;
        }
        if let Some(ci) = &grant.owner.ci {
            write!(f, ", {ci}")?;
        }
        Ok(())
    }
}

struct Person<'a>(&'a Owner);

impl fmt::Display for Person<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} (pid {})", self.0.who, self.0.host, self.0.pid)
    }
}

fn since(at: OffsetDateTime) -> String {
    format!("since {}", moment(at))
}

fn moment(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn grant(kind: Kind) -> Grant {
        let at = OffsetDateTime::UNIX_EPOCH;
        let owner = Owner {
            who: "ada".to_owned(),
            host: "laptop".to_owned(),
            pid: 7,
            command: "up".to_owned(),
            ci: Some("https://ci.example.com/7".to_owned()),
        };
        Grant {
            holder: Uuid::nil(),
            fence: 1,
            kind,
            owner,
            reason: None,
            under: None,
            ttl_ms: 1,
            since: at,
            renewed: at,
            expires: at,
            lock_file: None,
        }
    }

    #[test]
    fn a_refusal_tells_who_where_what_since_when_and_what_to_do() {
        let standing = Standing { at: OffsetDateTime::UNIX_EPOCH, run: Some(grant(Kind::Run)), hold: None, next: None };
        let refused = Refused::Locked { standing: Box::new(standing), waited: Some(Duration::from_secs(3)) };
        assert_eq!(
            refused.to_string(),
            "the stack is currently locked by ada@laptop (pid 7), `up`, since 1970-01-01T00:00:00Z, \
             https://ci.example.com/7\n\
             It did not become free within 3 s.\n\
             Wait for it with --wait 10m, or look with `stackproof lock status`.\n\
             If its process is certainly gone: \
             `stackproof lock break --holder 00000000-0000-0000-0000-000000000000 --reason …`."
        );
    }

    #[test]
    fn maintenance_tells_its_end_and_reason() {
        let mut hold = grant(Kind::Hold);
        hold.reason = Some("moving the network".to_owned());
        let told = Held(&hold).to_string();
        assert!(told.contains("maintenance until 1970-01-01T00:00:00Z") && told.contains("because: moving"), "{told}");
    }
}

//! Where a credential stands between one generation and the next.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// What can be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The login of the application at its database.
    Database,
    /// The application's API key.
    ApiKeys,
    /// The key that the state is written with, and the login at the lock's database.
    Deployer,
    /// What the state's secrets are encrypted with.
    Passphrase,
}

impl What {
    /// All of them, in the order in which they are rotated.
    pub const ALL: [Self; 4] = [Self::Database, Self::ApiKeys, Self::Deployer, Self::Passphrase];

    /// The word for people and for the audit trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::ApiKeys => "api-keys",
            Self::Deployer => "deployer",
            Self::Passphrase => "passphrase",
        }
    }

    /// The key of its program's configuration that says where it stands; none where no program knows.
    pub(super) fn setting(self) -> Option<&'static str> {
        match self {
            Self::Database => Some("rotation.database"),
            Self::ApiKeys => Some("rotation.apiKeys"),
            Self::Deployer => Some("rotation.deployers"),
            Self::Passphrase => None,
        }
    }

    /// The key of the configuration that a generation's password has, where it has one: two users in turn.
    pub(super) fn password(self, generation: u32) -> Option<&'static str> {
        let alternate = generation.is_multiple_of(2);
        match self {
            Self::Database if alternate => Some("databasePasswordAlternate"),
            Self::Database => Some("databasePassword"),
            Self::Deployer if alternate => Some("lockPasswordAlternate"),
            Self::Deployer => Some("lockPassword"),
            Self::ApiKeys | Self::Passphrase => None,
        }
    }

    /// Whether it belongs to the foundation rather than to the stack's own program.
    pub(super) fn is_the_foundations(self) -> bool {
        matches!(self, Self::Deployer | Self::Passphrase)
    }

    /// The secrets that hold it, each in a version a generation.
    pub(super) fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::Database => &["database-password"],
            Self::ApiKeys => &["application-key"],
            Self::Deployer => &["deployers-key", "lock-login"],
            Self::Passphrase => &["state-passphrase"],
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was done last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is to be rotated.
    Begun,
    /// The next generation is there, and in Secret Manager.
    Created,
    /// Who needs it was given it.
    Deployed,
    /// It was seen in use.
    Verified,
    /// The former generation's version in Secret Manager is disabled, and all still works.
    Disabled,
    /// The former generation is gone: the rotation is complete.
    Deleted,
    /// The next generation did not work and is gone: the former one is in use.
    RolledBack,
}

impl Stage {
    const ALL: [Self; 7] =
        [Self::Begun, Self::Created, Self::Deployed, Self::Verified, Self::Disabled, Self::Deleted, Self::RolledBack];

    fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Created => "created",
            Self::Deployed => "deployed",
            Self::Verified => "verified",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::RolledBack => "rolled back",
        }
    }
}

/// Where a credential stands. Written as it is in the audit trail: `database v1 to v2: created`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The credential.
    pub what: What,
    /// The former generation.
    pub from: u32,
    /// What was done last. The next generation is the one after the former.
    pub stage: Stage,
}

impl Standing {
    /// The begin of a rotation from this generation.
    pub fn begin(what: What, from: u32) -> Self {
        Self { what, from, stage: Stage::Begun }
    }

    /// The next generation.
    pub fn to(self) -> u32 {
        self.from + 1
    }

    /// Whether nothing is left to do.
    pub fn is_over(self) -> bool {
        self.stage >= Stage::Deleted
    }

    /// The generation that is in use where nothing is left to do.
    pub fn present(self) -> u32 {
        if self.stage == Stage::Deleted { self.to() } else { self.from }
    }

    /// The same at another stage.
    #[must_use]
    pub fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    /// Which generations are valid, the one in use first, as the program's configuration says it.
    pub fn setting(self) -> String {
        let (from, to) = (self.from, self.to());
        match self.stage {
            Stage::Begun | Stage::RolledBack => format!("v{from}"),
            Stage::Created => format!("v{from}+v{to}"),
            Stage::Deployed | Stage::Verified | Stage::Disabled => format!("v{to}+v{from}"),
            Stage::Deleted => format!("v{to}"),
        }
    }

    /// What the configuration may say at this stage: as it is, or as the step under way has written it already.
    pub(super) fn settings(self) -> [String; 2] {
        let next = match self.stage {
            Stage::Begun => Stage::Created,
            Stage::Created => Stage::Deployed,
            Stage::Deployed | Stage::Verified | Stage::Disabled => Stage::Deleted,
            over => over,
        };
        [self.setting(), self.at(next).setting()]
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} to v{}: {}", self.what, self.from, self.to(), self.stage.as_str())
    }
}

/// Not where a credential stands.
#[derive(Debug, PartialEq, Eq)]
pub struct NoStanding;

impl FromStr for Standing {
    type Err = NoStanding;

    fn from_str(text: &str) -> Result<Self, NoStanding> {
        let (moved, stage) = text.split_once(": ").ok_or(NoStanding)?;
        let (what, moved) = moved.split_once(" v").ok_or(NoStanding)?;
        let (from, to) = moved.split_once(" to v").ok_or(NoStanding)?;
        let what = What::ALL.into_iter().find(|one| one.as_str() == what).ok_or(NoStanding)?;
        let stage = Stage::ALL.into_iter().find(|one| one.as_str() == stage).ok_or(NoStanding)?;
        let (from, to): (u32, u32) = (from.parse().map_err(|_| NoStanding)?, to.parse().map_err(|_| NoStanding)?);
        if from.checked_add(1) == Some(to) { Ok(Self { what, from, stage }) } else { Err(NoStanding) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for what in What::ALL {
            for stage in Stage::ALL {
                let standing = Standing { what, from: 41, stage };
                assert_eq!(standing.to_string().parse(), Ok(standing));
            }
        }
        assert_eq!(Standing::begin(What::ApiKeys, 1).to_string(), "api-keys v1 to v2: begun");
    }

    #[test]
    fn what_others_write_is_no_standing() {
        for text in [
            "",
            "database v1 to v3: created",
            "v1 to v2: created",
            "database v1 to v2: gone",
            "x v1 to v2: begun",
            "database v4294967295 to v0: begun",
        ] {
            assert_eq!(text.parse::<Standing>(), Err(NoStanding), "{text}");
        }
    }

    #[test]
    fn the_configuration_says_which_generations_are_valid() {
        let at = |stage| Standing { what: What::Database, from: 2, stage }.setting();
        let said = Stage::ALL.map(at);
        assert_eq!(said, ["v2", "v2+v3", "v3+v2", "v3+v2", "v3+v2", "v3", "v2"]);
    }

    #[test]
    fn the_generation_in_use_follows_from_the_end() {
        let end = |stage| Standing { what: What::Database, from: 2, stage };
        assert_eq!((end(Stage::Deleted).present(), end(Stage::RolledBack).present()), (3, 2));
        assert!(end(Stage::RolledBack).is_over() && !end(Stage::Disabled).is_over());
    }

    #[test]
    fn two_users_have_passwords_in_turn() {
        let keys = [1, 2, 3].map(|generation| What::Database.password(generation));
        assert_eq!(keys, [Some("databasePassword"), Some("databasePasswordAlternate"), Some("databasePassword")]);
    }
}

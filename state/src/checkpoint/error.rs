//! What can be wrong with the state of a stack.

use super::{Finding, place::NotAName};
use crate::bucket;

/// Something about a checkpoint that did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bucket.
    #[error(transparent)]
    Bucket(#[from] bucket::Error),
    /// A name.
    #[error(transparent)]
    Name(#[from] NotAName),
    /// There is no checkpoint.
    #[error("there is no state of {stack} in {bucket}")]
    Missing {
        /// Of which stack.
        stack: String,
        /// In which bucket.
        bucket: String,
    },
    /// There is none, and nothing to bring it back from.
    #[error("nothing is left of the state of {stack}: no whole version in {bucket}, no whole copy in {backups}")]
    Nothing {
        /// Of which stack.
        stack: String,
        /// In which bucket.
        bucket: String,
        /// In which bucket of backups.
        backups: String,
    },
    /// There are several forms of a checkpoint, and Pulumi takes one of them.
    #[error("there are several states of one stack: {}; Pulumi takes one of them, whichever it is told to write", .keys.join(", "))]
    Several {
        /// Which.
        keys: Vec<String>,
    },
    /// A content cannot be read.
    #[error("{key} is damaged: {why}")]
    Damaged {
        /// Which.
        key: String,
        /// How.
        why: String,
    },
    /// There is no such version.
    #[error("there is no version {0} of this state")]
    NoVersion(String),
    /// More than one version begins like this.
    #[error("more than one version of this state begins with {name}: {}", .versions.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Which they are.
        versions: Vec<String>,
    },
    /// A version that is not fit to be restored.
    #[error("version {version} is not whole, nothing was changed: {}", .findings.iter().map(|finding| finding.what.as_str()).collect::<Vec<_>>().join("; "))]
    NotWhole {
        /// Which.
        version: String,
        /// What is wrong with it.
        findings: Vec<Finding>,
    },
    /// A version in which something was under way.
    #[error("in version {version} {count} operations were under way, nothing was changed")]
    Pending {
        /// Which.
        version: String,
        /// How many.
        count: usize,
    },
    /// What was written is not what is read back.
    #[error("{key} was written and reads differently: the copy cannot be relied on")]
    NotKept {
        /// Which.
        key: String,
    },
    /// More than one lock fits, so none was removed.
    #[error("{} of Pulumi's locks fit the dead holder, where it can only have one; none was removed: {}", .keys.len(), .keys.join(", "))]
    SeveralLocks {
        /// Which.
        keys: Vec<String>,
    },
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Bucket(error) => error.next(),
            Self::Name(_) => "give the project and stack as Pulumi.yaml and `pulumi stack ls` have them".to_owned(),
            Self::Missing { .. } => {
                "see that project and stack are the right ones; what was deleted is in `stackproof state history`".to_owned()
            }
            Self::Nothing { .. } => {
                "take what is in the cloud into a new state: docs/runbooks/lost-bucket.md, \"Without a copy\"".to_owned()
            }
            Self::Several { .. } => {
                "keep the newest (`stackproof state history` tells) and delete the other from the bucket".to_owned()
            }
            Self::Damaged { .. } => "restore a version before it: `stackproof state history`, then `stackproof state restore VERSION`".to_owned(),
            Self::NoVersion(_) | Self::Ambiguous { .. } => "take one of `stackproof state history`".to_owned(),
            Self::NotWhole { .. } => "take another version of `stackproof state history`".to_owned(),
            Self::Pending { .. } => {
                "take a version from after an update, or restore this one with --accept-pending and go on with `stackproof state recover`".to_owned()
            }
            Self::NotKept { .. } => "see that nobody else writes there, then make the copy again".to_owned(),
            Self::SeveralLocks { .. } => {
                "see which of these processes lives, then delete the lock of the dead one by its key".to_owned()
            }
        }
    }
}

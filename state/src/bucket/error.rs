//! What a bucket says when it does not do what was asked.

/// A request to a bucket that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer came.
    #[error("{what}: the bucket did not answer: {why}")]
    Unreachable {
        /// What was asked.
        what: String,
        /// Why there was no answer, without the address.
        why: String,
    },
    /// The bucket answered that it will not.
    #[error("{what}: the bucket refused with {status} {code}: {message}")]
    Refused {
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// S3's code, such as `AccessDenied`.
        code: String,
        /// S3's explanation.
        message: String,
    },
    /// The condition of a write did not hold: somebody else wrote in between.
    #[error("{what}: not written, since somebody else wrote there in between")]
    Changed {
        /// What was asked.
        what: String,
    },
    /// Whoever writes does not hold the lease any more.
    #[error("{what}: not written, since the lease is lost")]
    NotHeld {
        /// What was asked.
        what: String,
    },
    /// The answer is not what S3 answers.
    #[error("{what}: the bucket's answer was not understood: {why}")]
    Strange {
        /// What was asked.
        what: String,
        /// What was wrong with it.
        why: String,
    },
}

impl Error {
    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500 && *status != 501,
            Self::Changed { .. } | Self::NotHeld { .. } | Self::Strange { .. } => false,
        }
    }

    /// Whether the bucket itself is not there.
    #[must_use]
    pub fn is_missing_bucket(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "NoSuchBucket")
    }

    /// What to do about it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::Unreachable { .. } => "see that the endpoint can be reached, then try again".to_owned(),
            Self::Refused { .. } if self.is_missing_bucket() => {
                "the bucket is not there: `stackproof state recover` makes it again and brings its content back"
                    .to_owned()
            }
            // S3 takes no request whose time is more than 15 minutes off.
            Self::Refused { code, .. } if code == "RequestTimeTooSkewed" => {
                "set this machine's clock: it is too far from the bucket's".to_owned()
            }
            Self::Refused { status: 401 | 403, .. } => {
                "see that the access key is valid, not expired, and of the deployers' application".to_owned()
            }
            Self::Refused { status: 429 | 500.., .. } => "try again in a moment".to_owned(),
            Self::Refused { .. } | Self::Strange { .. } => {
                "see that the endpoint and region are those of the bucket".to_owned()
            }
            Self::Changed { .. } => {
                "look at who wrote with `stackproof state history`, then start again from what is there now".to_owned()
            }
            Self::NotHeld { .. } => "look at who holds it with `stackproof lock status`".to_owned(),
        }
    }
}

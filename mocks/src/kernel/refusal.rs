//! Why the cloud refuses: one enum of meanings. How they look on the wire is
//! decided elsewhere (`api::error` for JSON, `object` for S3's XML).

use std::fmt;

use super::JournalError;

/// What is wrong with an argument, in the words the official SDKs decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The argument is missing.
    Required,
    /// The argument does not have the form it must have.
    Format,
    /// The argument has the form, but not an allowed value.
    Constraint,
    /// There is no such argument, or nothing it points to.
    Unknown,
}

impl Reason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Format => "format",
            Self::Constraint => "constraint",
            Self::Unknown => "unknown",
        }
    }
}

/// One faulty argument of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentFault {
    /// The argument's name, with dots for nested ones.
    pub argument: String,
    /// What kind of fault.
    pub reason: Reason,
    /// What would be right.
    pub help: String,
}

impl ArgumentFault {
    /// A fault of this argument.
    pub fn new(argument: impl Into<String>, reason: Reason, help: impl Into<String>) -> Self {
        Self { argument: argument.into(), reason, help: help.into() }
    }
}

/// Why a request was refused. The source of the types is `scw/errors.go` of the
/// official Go SDK, which dispatches on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such resource.
    NotFound {
        /// The resource's name in errors, such as `instance`.
        resource: String,
        /// The identifier that was asked for.
        id: String,
    },
    /// Arguments are missing or wrong: all faults of the request at once.
    InvalidArguments(Vec<ArgumentFault>),
    /// The request's body is not the JSON object it must be.
    MalformedBody(String),
    /// The body is larger than the API takes, in bytes.
    BodyTooLarge(usize),
    /// The caller may not do this.
    PermissionsDenied {
        /// The resource's name in permissions, such as `instance`; empty where the product does not say.
        resource: String,
        /// `read`, `write`, `create` or `delete`.
        action: String,
    },
    /// It may not be done now, in the words of a product whose refusals carry no type.
    Forbidden(String),
    /// Nobody is known by these credentials.
    DeniedAuthentication {
        /// `invalid_argument`, `not_found` or `expired`.
        reason: &'static str,
    },
    /// The project or organisation may have no more of these.
    QuotaExceeded {
        /// The quota's name.
        resource: String,
        /// How many are allowed.
        quota: u64,
        /// How many there are.
        current: u64,
    },
    /// The resource is between two states.
    TransientState {
        /// The resource's name in errors.
        resource: String,
        /// Which one.
        id: String,
        /// The state it is passing through.
        state: String,
    },
    /// Something else stands in the way.
    Precondition {
        /// `resource_still_in_use`, `protected_resource`, `attribute_must_be_set`, …
        precondition: &'static str,
        /// What stands in the way.
        help: String,
    },
    /// It clashes with something that exists.
    Conflict(String),
    /// The caller asks too often; how many seconds to wait.
    TooManyRequests(u64),
    /// The local cloud has no such route.
    NotImplemented {
        /// The request's method and path.
        route: String,
    },
    /// The local cloud itself failed; nothing was changed.
    Internal(String),
}

impl Refusal {
    /// A single faulty argument.
    pub fn argument(argument: impl Into<String>, reason: Reason, help: impl Into<String>) -> Self {
        Self::InvalidArguments(vec![ArgumentFault::new(argument, reason, help)])
    }

    /// A resource that is not there.
    pub fn not_found(resource: impl Into<String>, id: impl Into<String>) -> Self {
        Self::NotFound { resource: resource.into(), id: id.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { resource, id } => write!(f, "{resource} {id} is not found"),
            Self::InvalidArguments(faults) => {
                f.write_str("invalid argument(s)")?;
                for fault in faults {
                    write!(f, "; {}: {}", fault.argument, fault.help)?;
                }
                Ok(())
            }
            Self::MalformedBody(why) => write!(f, "malformed body: {why}"),
            Self::BodyTooLarge(limit) => write!(f, "the body is larger than {limit} bytes"),
            Self::PermissionsDenied { resource, action } => {
                write!(f, "insufficient permissions to {action} {resource}")
            }
            Self::DeniedAuthentication { reason } => {
                write!(f, "authentication is denied ({reason})")
            }
            Self::QuotaExceeded { resource, quota, current } => {
                write!(f, "quota of {resource} exceeded: {current} of {quota}")
            }
            Self::TransientState { resource, id, state } => {
                write!(f, "{resource} {id} is in the transient state {state}")
            }
            Self::Precondition { precondition, help } => write!(f, "{precondition}: {help}"),
            Self::Forbidden(what) | Self::Conflict(what) => f.write_str(what),
            Self::TooManyRequests(seconds) => write!(f, "too many requests, wait {seconds} s"),
            Self::NotImplemented { route } => write!(f, "{route} is not implemented"),
            Self::Internal(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        Self::Internal(error.to_string())
    }
}

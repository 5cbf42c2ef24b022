//! Object Lock: configuration, retention, legal hold, and what they forbid.
//!
//! Retention ends by the cloud's clock, not the wall clock.

use s3s::{
    S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        DefaultRetention, GetObjectLegalHoldInput, GetObjectLegalHoldOutput, GetObjectLockConfigurationInput,
        GetObjectLockConfigurationOutput, GetObjectRetentionInput, GetObjectRetentionOutput, ObjectLockConfiguration,
        ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockMode, ObjectLockRetention,
        ObjectLockRetentionMode, PutObjectLegalHoldInput, PutObjectLegalHoldOutput, PutObjectLockConfigurationInput,
        PutObjectLockConfigurationOutput, PutObjectRetentionInput, PutObjectRetentionOutput, Timestamp,
    },
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{
    errors::{invalid_argument, invalid_request, refuse, usual},
    meta::Meta,
    records::{Bucket, Version},
    service::{Service, Visit},
    version,
};

/// The longest default retention.
const MOST_DAYS: i32 = 36_500;
const MOST_YEARS: i32 = 100;

/// How long a version cannot be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retention {
    pub(super) mode: Mode,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) until: OffsetDateTime,
}

/// Whether anybody can lift a retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Mode {
    /// Who may bypass it and says so.
    Governance,
    /// Nobody.
    Compliance,
}

impl Mode {
    fn named(name: &str) -> Option<Self> {
        match name {
            "GOVERNANCE" => Some(Self::Governance),
            "COMPLIANCE" => Some(Self::Compliance),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Governance => ObjectLockRetentionMode::GOVERNANCE,
            Self::Compliance => ObjectLockRetentionMode::COMPLIANCE,
        }
    }
}

/// A configuration that says no more than that there is Object Lock.
pub(super) fn enabled() -> ObjectLockConfiguration {
    let enabled = ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED);
    ObjectLockConfiguration { object_lock_enabled: Some(enabled), rule: None }
}

/// Refuses to delete a version that is protected.
pub(super) fn protect(version: &Version, now: OffsetDateTime, bypass: bool) -> S3Result<()> {
    let retained = version
        .meta
        .retention
        .as_ref()
        .is_some_and(|retention| retention.until > now && !(bypass && retention.mode == Mode::Governance));
    if retained || version.meta.legal_hold {
        let message = "Access Denied because object protected by object lock.";
        return Err(refuse(S3ErrorCode::AccessDenied, message));
    }
    Ok(())
}

/// Locks an object to be written, as its request or else the bucket's default says.
pub(super) fn lock_new(
    meta: &mut Meta,
    bucket: &Bucket,
    now: OffsetDateTime,
    mode: Option<&ObjectLockMode>,
    until: Option<&Timestamp>,
    hold: Option<&ObjectLockLegalHoldStatus>,
) -> S3Result<()> {
    let Some(configuration) = &bucket.lock else {
        return if mode.is_some() || until.is_some() || hold.is_some() { Err(unlocked()) } else { Ok(()) };
    };
    meta.retention = match (mode, until) {
        (Some(mode), Some(until)) => {
            let mode = Mode::named(mode.as_str()).ok_or_else(|| invalid_argument("Unknown wormMode directive."))?;
            Some(Retention { mode, until: future(until, now)? })
        }
        (None, None) => {
            let default = configuration.rule.as_ref().and_then(|rule| rule.default_retention.as_ref());
            default.and_then(|default| by_default(default, now))
        }
        _ => {
            return Err(invalid_argument(
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
            ));
        }
    };
    if let Some(hold) = hold {
        meta.legal_hold = held(hold)?;
    }
    Ok(())
}

fn by_default(default: &DefaultRetention, now: OffsetDateTime) -> Option<Retention> {
    let mode = Mode::named(default.mode.as_ref()?.as_str())?;
    let days = default.days.or(default.years.map(|years| years * 365))?;
    Some(Retention { mode, until: now.checked_add(Duration::days(days.into()))? })
}

fn held(status: &ObjectLockLegalHoldStatus) -> S3Result<bool> {
    match status.as_str() {
        ObjectLockLegalHoldStatus::ON => Ok(true),
        ObjectLockLegalHoldStatus::OFF => Ok(false),
        _ => Err(usual(S3ErrorCode::MalformedXML)),
    }
}

fn future(until: &Timestamp, now: OffsetDateTime) -> S3Result<OffsetDateTime> {
    let until = OffsetDateTime::from(until.clone());
    if until > now { Ok(until) } else { Err(invalid_argument("The retain until date must be in the future!")) }
}

fn unlocked() -> s3s::S3Error {
    invalid_request("Bucket is missing Object Lock Configuration")
}

/// `GET ?object-lock`.
pub(super) fn get_configuration(
    service: &Service,
    request: S3Request<GetObjectLockConfigurationInput>,
) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
    let bucket = service.bucket(&request, &request.input.bucket)?;
    let configuration = bucket.lock.ok_or_else(|| usual(S3ErrorCode::ObjectLockConfigurationNotFoundError))?;
    Ok(S3Response::new(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) }))
}

/// `PUT ?object-lock`.
pub(super) fn put_configuration(
    service: &Service,
    request: S3Request<PutObjectLockConfigurationInput>,
) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
    let visit = Visit::of(&request)?;
    let malformed = || usual(S3ErrorCode::MalformedXML);
    let configuration = request.input.object_lock_configuration.as_ref().ok_or_else(malformed)?;
    let on = configuration.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str);
    if on.is_some_and(|on| on != ObjectLockEnabled::ENABLED) {
        return Err(malformed());
    }
    if let Some(rule) = &configuration.rule {
        let default = rule.default_retention.as_ref().ok_or_else(malformed)?;
        default.mode.as_ref().and_then(|mode| Mode::named(mode.as_str())).ok_or_else(malformed)?;
        match (default.days, default.years) {
            (Some(1..=MOST_DAYS), None) | (None, Some(1..=MOST_YEARS)) => {}
            (Some(_), None) | (None, Some(_)) => {
                return Err(invalid_argument("Default retention period must be a positive integer value."));
            }
            _ => return Err(malformed()),
        }
    }
    service.configure(visit, &request.input.bucket, |bucket| {
        if bucket.lock.is_none() {
            let message = "Object Lock configuration cannot be enabled on existing buckets";
            return Err(refuse(S3ErrorCode::InvalidBucketState, message));
        }
        bucket.lock = Some(ObjectLockConfiguration { rule: configuration.rule.clone(), ..enabled() });
        Ok(())
    })?;
    Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
}

/// `GET <key>?retention`.
pub(super) fn get_retention(
    service: &Service,
    request: S3Request<GetObjectRetentionInput>,
) -> S3Result<S3Response<GetObjectRetentionOutput>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    bucket.lock.as_ref().ok_or_else(unlocked)?;
    let version = version::find(service, &bucket, &input.key, input.version_id.as_deref())?;
    let retention = version.meta.retention.ok_or_else(none_of_object)?;
    let retention = ObjectLockRetention {
        mode: Some(ObjectLockRetentionMode::from_static(retention.mode.as_str())),
        retain_until_date: Some(retention.until.into()),
    };
    Ok(S3Response::new(GetObjectRetentionOutput { retention: Some(retention) }))
}

/// `PUT <key>?retention`. What there is can be made longer; anything else needs the right to bypass governance.
pub(super) fn put_retention(
    service: &Service,
    request: S3Request<PutObjectRetentionInput>,
) -> S3Result<S3Response<PutObjectRetentionOutput>> {
    let input = &request.input;
    let visit = Visit::of(&request)?;
    let bypass = input.bypass_governance_retention == Some(true);
    let malformed = || usual(S3ErrorCode::MalformedXML);
    let asked = input.retention.as_ref().ok_or_else(malformed)?;
    version::amend(service, visit, &input.bucket, &input.key, input.version_id.as_deref(), |bucket, version, now| {
        bucket.lock.as_ref().ok_or_else(unlocked)?;
        let new = match (&asked.mode, &asked.retain_until_date) {
            (Some(mode), Some(until)) => {
                let mode = Mode::named(mode.as_str()).ok_or_else(malformed)?;
                Some(Retention { mode, until: future(until, now)? })
            }
            (None, None) => None,
            _ => return Err(malformed()),
        };
        if let Some(old) = &version.meta.retention
            && old.until > now
            && !new.as_ref().is_some_and(|new| new.mode == old.mode && new.until >= old.until)
            && !(bypass && old.mode == Mode::Governance)
            && !new.as_ref().is_some_and(|new| new.mode == Mode::Compliance && new.until >= old.until)
        {
            let message = "Access Denied because object protected by object lock.";
            return Err(refuse(S3ErrorCode::AccessDenied, message));
        }
        version.meta.retention = new;
        Ok(())
    })?;
    Ok(S3Response::new(PutObjectRetentionOutput::default()))
}

/// `GET <key>?legal-hold`.
pub(super) fn get_hold(
    service: &Service,
    request: S3Request<GetObjectLegalHoldInput>,
) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    bucket.lock.as_ref().ok_or_else(unlocked)?;
    let version = version::find(service, &bucket, &input.key, input.version_id.as_deref())?;
    let hold = ObjectLockLegalHold { status: Some(status(version.meta.legal_hold)) };
    Ok(S3Response::new(GetObjectLegalHoldOutput { legal_hold: Some(hold) }))
}

/// `PUT <key>?legal-hold`.
pub(super) fn put_hold(
    service: &Service,
    request: S3Request<PutObjectLegalHoldInput>,
) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
    let input = &request.input;
    let visit = Visit::of(&request)?;
    let asked = input.legal_hold.as_ref().and_then(|hold| hold.status.as_ref());
    let asked = held(asked.ok_or_else(|| usual(S3ErrorCode::MalformedXML))?)?;
    version::amend(service, visit, &input.bucket, &input.key, input.version_id.as_deref(), |bucket, version, _| {
        bucket.lock.as_ref().ok_or_else(unlocked)?;
        version.meta.legal_hold = asked;
        Ok(())
    })?;
    Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
}

/// A legal hold as S3 says it.
pub(super) fn status(held: bool) -> ObjectLockLegalHoldStatus {
    let status = if held { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
    ObjectLockLegalHoldStatus::from_static(status)
}

fn none_of_object() -> s3s::S3Error {
    let message = "The specified object does not have a ObjectLock configuration";
    refuse(S3ErrorCode::NoSuchObjectLockConfiguration, message)
}

//! Versions of objects: added, found, changed, removed.

use http::{HeaderMap, HeaderValue};
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETagCondition,
        Error, ObjectIdentifier,
    },
};
use time::OffsetDateTime;

use super::{
    access,
    content::Content,
    errors::{access_denied, invalid_argument, not_implemented, precondition_failed, usual},
    lock,
    meta::{Meta, http_date},
    records::{self, Bucket, VERSION, Version, Versioning},
    service::{Service, Visit},
};
use crate::kernel::Transaction;

/// The most objects one request can delete.
const MOST_DELETED: usize = 1000;

/// A version id a client may ask for.
pub(super) fn checked_id(id: Option<&str>) -> S3Result<Option<&str>> {
    match id {
        None => Ok(None),
        Some("") => Err(invalid_argument("Version id cannot be the empty string")),
        Some("null") => Ok(id),
        Some(text) if text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(id),
        Some(_) => Err(invalid_argument("Invalid version id specified")),
    }
}

/// The version of an object to be read: a certain one, or the newest.
pub(super) fn find(service: &Service, bucket: &Bucket, key: &str, id: Option<&str>) -> S3Result<Version> {
    service.store.read(|tables| find_in(tables, bucket, key, id))
}

fn find_in(tables: &crate::kernel::Tables, bucket: &Bucket, key: &str, id: Option<&str>) -> S3Result<Version> {
    let found = match checked_id(id)? {
        Some(id) => records::version(tables, &bucket.name, key, id).ok_or_else(|| usual(S3ErrorCode::NoSuchVersion))?,
        None => records::newest(tables, &bucket.name, key).ok_or_else(|| usual(S3ErrorCode::NoSuchKey))?,
    };
    if !found.delete_marker {
        return Ok(found);
    }
    let asked_for = id.is_some();
    let mut refusal = usual(if asked_for { S3ErrorCode::MethodNotAllowed } else { S3ErrorCode::NoSuchKey });
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::from_str(&found.version_id) {
        headers.insert("x-amz-version-id", id);
    }
    if let Some(date) = http_date(found.modified_at).filter(|_| asked_for) {
        headers.insert(http::header::LAST_MODIFIED, date);
    }
    refusal.set_headers(headers);
    Err(refusal)
}

/// Changes what a version has besides its contents.
pub(super) fn amend<R>(
    service: &Service,
    visit: &Visit,
    bucket: &str,
    key: &str,
    id: Option<&str>,
    change: impl FnOnce(&Bucket, &mut Version, OffsetDateTime) -> S3Result<R>,
) -> S3Result<R> {
    service.store.write::<_, S3Error>(|transaction| {
        let bucket = service.bucket_in(transaction.tables(), visit, bucket)?;
        let mut version = find_in(transaction.tables(), &bucket, key, id)?;
        let result = change(&bucket, &mut version, transaction.now())?;
        records::put_version(transaction, &version);
        Ok(result)
    })
}

/// Adds an object's version; in a bucket without versioning it takes the place of the one that was there.
pub(super) fn add(
    transaction: &mut Transaction<'_>,
    bucket: &Bucket,
    key: &str,
    content: Content,
    meta: Meta,
) -> Version {
    place(transaction, bucket, key, content, meta, false)
}

fn place(
    transaction: &mut Transaction<'_>,
    bucket: &Bucket,
    key: &str,
    content: Content,
    meta: Meta,
    delete_marker: bool,
) -> Version {
    let now = transaction.now();
    let stamp = u64::try_from(now.unix_timestamp_nanos() / 1000).unwrap_or_default();
    let newest = records::newest(transaction.tables(), &bucket.name, key);
    let stamp = newest.map_or(stamp, |newest| stamp.max(newest.stamp + 1));
    let version_id = if bucket.versioning == Versioning::Enabled {
        stamp.to_string()
    } else {
        if let Some(replaced) = records::version(transaction.tables(), &bucket.name, key, "null") {
            transaction.remove(VERSION, &replaced.place());
        }
        "null".to_owned()
    };
    let version = Version {
        bucket: bucket.name.clone(),
        key: key.to_owned(),
        stamp,
        version_id,
        modified_at: now,
        delete_marker,
        content,
        meta,
    };
    records::put_version(transaction, &version);
    version
}

/// The version id an answer tells: none where nobody asked for versions.
pub(super) fn told(bucket: &Bucket, version: &Version) -> Option<String> {
    (bucket.versioning != Versioning::Never).then(|| version.version_id.clone())
}

/// Whether an object may be written on the condition that it is not there, or is a certain one.
pub(super) fn check_write(
    current: Option<&Version>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    match if_none_match {
        None => {}
        Some(ETagCondition::Any) if current.is_none() => {}
        Some(ETagCondition::Any) => return Err(precondition_failed()),
        Some(ETagCondition::ETag(_)) => {
            return Err(not_implemented("A write knows no If-None-Match other than *."));
        }
    }
    match (if_match, current) {
        (None, _) | (Some(ETagCondition::Any), Some(_)) => Ok(()),
        (Some(_), None) => Err(usual(S3ErrorCode::NoSuchKey)),
        (Some(ETagCondition::ETag(etag)), Some(current)) if etag.as_strong() == Some(&current.content.etag) => Ok(()),
        (Some(ETagCondition::ETag(_)), Some(_)) => Err(precondition_failed()),
    }
}

/// What became of a deletion.
struct Deleted {
    /// The version that is gone, or the delete marker that was made.
    version_id: Option<String>,
    /// Whether that is a delete marker.
    marker: bool,
    /// Whether the marker was made now.
    made: bool,
}

fn delete_in(
    transaction: &mut Transaction<'_>,
    bucket: &Bucket,
    key: &str,
    id: Option<&str>,
    bypass: bool,
) -> S3Result<Deleted> {
    if let Some(id) = checked_id(id)? {
        let gone = records::version(transaction.tables(), &bucket.name, key, id);
        if let Some(version) = &gone {
            lock::protect(version, transaction.now(), bypass)?;
            transaction.remove(VERSION, &version.place());
        }
        let marker = gone.is_some_and(|version| version.delete_marker);
        return Ok(Deleted { version_id: Some(id.to_owned()), marker, made: false });
    }
    if bucket.versioning == Versioning::Never {
        if let Some(version) = records::newest(transaction.tables(), &bucket.name, key) {
            lock::protect(&version, transaction.now(), bypass)?;
            transaction.remove(VERSION, &version.place());
        }
        return Ok(Deleted { version_id: None, marker: false, made: false });
    }
    let marker = place(transaction, bucket, key, Content::default(), Meta::default(), true);
    Ok(Deleted { version_id: Some(marker.version_id), marker: true, made: true })
}

/// `DELETE <key>`.
pub(super) fn delete(
    service: &Service,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let visit = Visit::of(&request)?;
    let input = &request.input;
    let bypass = input.bypass_governance_retention == Some(true);
    let deleted = service.store.write::<_, S3Error>(|transaction| {
        let bucket = service.bucket_in(transaction.tables(), visit, &input.bucket)?;
        if let Some(condition) = &input.if_match {
            let current = records::current(transaction.tables(), &bucket.name, &input.key);
            check_write(current.as_ref(), Some(condition), None)?;
        }
        delete_in(transaction, &bucket, &input.key, input.version_id.as_deref(), bypass)
    })?;
    Ok(S3Response::new(DeleteObjectOutput {
        delete_marker: deleted.marker.then_some(true),
        version_id: deleted.version_id,
        ..Default::default()
    }))
}

/// `POST ?delete`: each object is deleted, or not, for itself.
pub(super) fn delete_many(
    service: &Service,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let visit = Visit::of(&request)?;
    let input = &request.input;
    if input.delete.objects.is_empty() || input.delete.objects.len() > MOST_DELETED {
        return Err(usual(S3ErrorCode::MalformedXML));
    }
    let bypass = input.bypass_governance_retention == Some(true);
    let bucket = service.bucket(&request, &input.bucket)?;
    let mut answer = DeleteObjectsOutput::default();
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    // A look at rights reads the store, so it cannot happen within the write.
    let mut allowed = Vec::new();
    for object in &input.delete.objects {
        let version = object.version_id.as_deref();
        if access::allowed(service, visit, &bucket, Some(&object.key), version, &access::DELETE) {
            allowed.push(object);
        } else {
            errors.push(failed(object, &access_denied()));
        }
    }
    service.store.write::<_, S3Error>(|transaction| {
        let bucket = service.bucket_in(transaction.tables(), visit, &input.bucket)?;
        for object in allowed {
            let matches = |etag: &s3s::dto::ETag| {
                let current = records::current(transaction.tables(), &bucket.name, &object.key);
                check_write(current.as_ref(), Some(&ETagCondition::ETag(etag.clone())), None)
            };
            let outcome = object
                .e_tag
                .as_ref()
                .map_or(Ok(()), matches)
                .and_then(|()| delete_in(transaction, &bucket, &object.key, object.version_id.as_deref(), bypass));
            match outcome {
                Ok(gone) => deleted.push(DeletedObject {
                    delete_marker: gone.marker.then_some(true),
                    delete_marker_version_id: gone.version_id.clone().filter(|_| gone.marker),
                    key: Some(object.key.clone()),
                    version_id: gone.version_id.filter(|_| !gone.made),
                }),
                Err(refusal) => errors.push(failed(object, &refusal)),
            }
        }
        Ok(())
    })?;
    if input.delete.quiet != Some(true) {
        answer.deleted = Some(deleted);
    }
    answer.errors = Some(errors);
    Ok(S3Response::new(answer))
}

fn failed(object: &ObjectIdentifier, refusal: &S3Error) -> Error {
    let code = refusal.code().as_str();
    let message = refusal.message().map_or_else(|| super::errors::message(code).to_owned(), str::to_owned);
    Error {
        code: Some(code.to_owned()),
        key: Some(object.key.clone()),
        message: Some(message),
        version_id: object.version_id.clone(),
    }
}

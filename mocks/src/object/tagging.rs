//! Tags of buckets and objects.

use s3s::{
    S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
        GetBucketTaggingInput, GetBucketTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
        PutBucketTaggingInput, PutBucketTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
    },
};

use super::{
    errors::{invalid_argument, refuse, unlisted, usual},
    records::Versioning,
    service::{Service, Visit},
    version,
};

const MOST_OF_BUCKET: usize = 50;
const MOST_OF_OBJECT: usize = 10;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// The tags of the header `x-amz-tagging`: `key=value&…`.
pub(super) fn parse_header(header: &str) -> S3Result<Vec<Tag>> {
    let tags = form_urlencoded::parse(header.as_bytes())
        .map(|(key, value)| Tag { key: Some(key.into_owned()), value: Some(value.into_owned()) })
        .collect();
    checked(tags, MOST_OF_OBJECT).map_err(|error| {
        invalid_argument(error.message().unwrap_or("The header 'x-amz-tagging' is invalid").to_owned())
    })
}

fn checked(tags: Vec<Tag>, most: usize) -> S3Result<Vec<Tag>> {
    let invalid = |message| Err(refuse(S3ErrorCode::InvalidTag, message));
    if tags.len() > most {
        let whose = if most == MOST_OF_OBJECT { "Object" } else { "Bucket" };
        let message = format!("{whose} tags cannot be greater than {most}");
        return Err(unlisted("BadRequest", message));
    }
    for (at, tag) in tags.iter().enumerate() {
        let (key, value) = match (&tag.key, &tag.value) {
            (Some(key), Some(value)) => (key, value),
            _ => return Err(usual(S3ErrorCode::MalformedXML)),
        };
        if key.is_empty() || key.chars().count() > LONGEST_KEY || key.chars().any(char::is_control) {
            return invalid("The TagKey you have provided is invalid");
        }
        if value.chars().count() > LONGEST_VALUE || value.chars().any(char::is_control) {
            return invalid("The TagValue you have provided is invalid");
        }
        if tags[..at].iter().any(|other| other.key == tag.key) {
            return invalid("Cannot provide multiple Tags with the same key");
        }
    }
    Ok(tags)
}

/// `GET ?tagging`.
pub(super) fn get_bucket(
    service: &Service,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let tag_set = service.bucket(&request, &request.input.bucket)?.tags;
    if tag_set.is_empty() {
        return Err(usual(S3ErrorCode::NoSuchTagSet));
    }
    Ok(S3Response::new(GetBucketTaggingOutput { tag_set }))
}

/// `PUT ?tagging`.
pub(super) fn put_bucket(
    service: &Service,
    request: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let tags = checked(request.input.tagging.tag_set.clone(), MOST_OF_BUCKET)?;
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.tags = tags;
        Ok(())
    })?;
    Ok(S3Response::new(PutBucketTaggingOutput::default()))
}

/// `DELETE ?tagging`.
pub(super) fn delete_bucket(
    service: &Service,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.tags.clear();
        Ok(())
    })?;
    Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
}

/// `GET <key>?tagging`.
pub(super) fn get_object(
    service: &Service,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    let version = version::find(service, &bucket, &input.key, input.version_id.as_deref())?;
    let version_id = (bucket.versioning != Versioning::Never).then_some(version.version_id);
    Ok(S3Response::new(GetObjectTaggingOutput { tag_set: version.meta.tags, version_id }))
}

/// `PUT <key>?tagging`.
pub(super) fn put_object(
    service: &Service,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let input = &request.input;
    let tags = checked(input.tagging.tag_set.clone(), MOST_OF_OBJECT)?;
    let version_id = set_object(service, &request, &input.bucket, &input.key, input.version_id.as_deref(), tags)?;
    Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
}

/// `DELETE <key>?tagging`.
pub(super) fn delete_object(
    service: &Service,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = &request.input;
    let version_id = set_object(service, &request, &input.bucket, &input.key, input.version_id.as_deref(), Vec::new())?;
    Ok(S3Response::new(DeleteObjectTaggingOutput { version_id }))
}

fn set_object<T>(
    service: &Service,
    request: &S3Request<T>,
    bucket: &str,
    key: &str,
    version_id: Option<&str>,
    tags: Vec<Tag>,
) -> S3Result<Option<String>> {
    version::amend(service, Visit::of(request)?, bucket, key, version_id, |bucket, version, _| {
        version.meta.tags = tags;
        Ok((bucket.versioning != Versioning::Never).then(|| version.version_id.clone()))
    })
}

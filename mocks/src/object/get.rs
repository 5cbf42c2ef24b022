//! Objects read: get, head, attributes.

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        Checksum, ChecksumMode, ETag, ETagCondition, GetObjectAttributesInput, GetObjectAttributesOutput,
        GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ObjectAttributes,
        ObjectLockMode, ObjectPart, ServerSideEncryption, StorageClass, Timestamp,
    },
};
use time::OffsetDateTime;

use super::{
    checksums::{Checksums, with_checksums},
    content,
    errors::{invalid_argument, precondition_failed, refuse, usual},
    lock,
    meta::{customer_key_of, http_date, to_the_second},
    records::Version,
    service::Service,
    version,
};

/// On which conditions something is read.
pub(super) struct Conditions<'a> {
    pub(super) if_match: Option<&'a ETagCondition>,
    pub(super) if_none_match: Option<&'a ETagCondition>,
    pub(super) if_modified_since: Option<&'a Timestamp>,
    pub(super) if_unmodified_since: Option<&'a Timestamp>,
    /// Whether it is read to be copied: then there is no `304`.
    pub(super) of_copy: bool,
}

/// Whether a version may be read on these conditions, in RFC 9110's order.
pub(super) fn check_read(version: &Version, conditions: &Conditions<'_>) -> S3Result<()> {
    let modified = to_the_second(version.modified_at);
    let is = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == version.content.etag,
    };
    let since = |time: &Timestamp| OffsetDateTime::from(time.clone());
    match (conditions.if_match, conditions.if_unmodified_since) {
        (Some(condition), _) if !is(condition) => return Err(precondition_failed()),
        (None, Some(time)) if modified > since(time) => return Err(precondition_failed()),
        _ => {}
    }
    let unchanged = match (conditions.if_none_match, conditions.if_modified_since) {
        (Some(condition), _) => is(condition),
        (None, Some(time)) => modified <= since(time),
        (None, None) => false,
    };
    match (unchanged, conditions.of_copy) {
        (false, _) => Ok(()),
        (true, true) => Err(precondition_failed()),
        (true, false) => Err(not_modified(version)),
    }
}

fn not_modified(version: &Version) -> S3Error {
    let mut headers = HeaderMap::new();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", version.content.etag)) {
        headers.insert(http::header::ETAG, etag);
    }
    if let Some(date) = http_date(version.modified_at) {
        headers.insert(http::header::LAST_MODIFIED, date);
    }
    let mut refusal = usual(S3ErrorCode::NotModified);
    refusal.set_headers(headers);
    refusal
}

/// Which bytes a request wants, and whether that is a part of all there are.
fn wanted(
    version: &Version,
    range: Option<s3s::dto::Range>,
    part: Option<i32>,
) -> S3Result<(Range<u64>, bool, Option<i32>)> {
    let size = version.content.size;
    let parts = &version.content.parts;
    match (range, part) {
        (Some(_), Some(_)) => Err(invalid_argument("Cannot specify both Range header and partNumber query parameter")),
        (None, None) => Ok((0..size, false, None)),
        (Some(range), None) => {
            let unsatisfiable = |_| {
                let mut refusal = usual(S3ErrorCode::InvalidRange);
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    refusal.set_headers(HeaderMap::from_iter([(http::header::CONTENT_RANGE, value)]));
                }
                refusal
            };
            // A range of nothing cannot be told in Content-Range.
            match range.check(size) {
                Ok(range) if range.is_empty() => Err(unsatisfiable(())),
                Ok(range) => Ok((range, true, None)),
                Err(_) => Err(unsatisfiable(())),
            }
        }
        (None, Some(number)) => {
            let missing = || refuse(S3ErrorCode::InvalidRange, "The requested partnumber is not satisfiable");
            let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(missing)?;
            if parts.is_empty() {
                return if at == 0 { Ok((0..size, size > 0, None)) } else { Err(missing()) };
            }
            let length = parts.get(at).ok_or_else(missing)?;
            let start: u64 = parts[..at].iter().sum();
            Ok((start..start + length, true, i32::try_from(parts.len()).ok()))
        }
    }
}

/// What is read: the answer but for its body, the version, and which of its bytes.
struct Reading {
    output: GetObjectOutput,
    version: Version,
    range: Range<u64>,
    part_of: bool,
}

fn read<T>(service: &Service, request: &S3Request<T>, input: &GetObjectInput) -> S3Result<Reading> {
    let bucket = service.bucket(request, &input.bucket)?;
    let version = version::find(service, &bucket, &input.key, input.version_id.as_deref())?;
    version.meta.unlock(&customer_key_of!(input))?;
    check_read(
        &version,
        &Conditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
            of_copy: false,
        },
    )?;
    let (range, part_of, parts_count) = wanted(&version, input.range, input.part_number)?;
    let sums = told_sums(&version, input.checksum_mode.as_ref(), part_of);
    let meta = &version.meta;
    let retention = meta.retention.as_ref();
    let (first, last) = (range.start, range.end.saturating_sub(1));
    let output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: meta.cache_control.clone(),
        checksum_type: sums.kind(),
        content_disposition: meta.content_disposition.clone(),
        content_encoding: meta.content_encoding.clone(),
        content_language: meta.content_language.clone(),
        content_length: i64::try_from(range.end - range.start).ok(),
        content_range: part_of.then(|| format!("bytes {first}-{last}/{}", version.content.size)),
        content_type: Some(meta.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())),
        e_tag: Some(ETag::Strong(version.content.etag.clone())),
        expires: meta.expires.clone(),
        last_modified: Some(version.modified_at.into()),
        metadata: meta.user_metadata(),
        object_lock_legal_hold_status: meta.legal_hold.then(|| lock::status(true)),
        object_lock_mode: retention.map(|retention| ObjectLockMode::from_static(retention.mode.as_str())),
        object_lock_retain_until_date: retention.map(|retention| retention.until.into()),
        parts_count,
        server_side_encryption: meta.encryption.clone().map(ServerSideEncryption::from),
        ssekms_key_id: meta.kms_key.clone(),
        sse_customer_algorithm: meta.customer_algorithm(),
        sse_customer_key_md5: meta.customer_key.clone(),
        storage_class: meta.storage_class.clone().map(StorageClass::from),
        tag_count: i32::try_from(meta.tags.len()).ok().filter(|count| *count > 0),
        version_id: version::told(&bucket, &version),
        website_redirect_location: meta.website_redirect_location.clone(),
        ..Default::default()
    };
    let output = with_checksums!(output, &sums);
    Ok(Reading { output, version, range, part_of })
}

/// The checksums to tell: none of a part, whose own they are not.
fn told_sums(version: &Version, mode: Option<&ChecksumMode>, part_of: bool) -> Checksums {
    if mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED) && !part_of {
        version.content.checksums.clone()
    } else {
        Checksums::default()
    }
}

/// `GET <key>`.
pub(super) fn get(service: &Service, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
    let reading = read(service, &request, &request.input)?;
    let body = Some(content::give(&service.blobs, &reading.version.content, reading.range));
    Ok(S3Response::new(GetObjectOutput { body, ..reading.output }))
}

/// `HEAD <key>`: what GET would answer, without the body.
pub(super) fn head(service: &Service, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input.clone();
    let input = GetObjectInput {
        bucket: input.bucket,
        checksum_mode: input.checksum_mode,
        if_match: input.if_match,
        if_modified_since: input.if_modified_since,
        if_none_match: input.if_none_match,
        if_unmodified_since: input.if_unmodified_since,
        key: input.key,
        part_number: input.part_number,
        range: input.range,
        sse_customer_algorithm: input.sse_customer_algorithm,
        sse_customer_key: input.sse_customer_key,
        sse_customer_key_md5: input.sse_customer_key_md5,
        version_id: input.version_id,
        ..Default::default()
    };
    let reading = read(service, &request, &input)?;
    let got = reading.output;
    let mut response = S3Response::new(HeadObjectOutput {
        accept_ranges: got.accept_ranges,
        cache_control: got.cache_control,
        checksum_crc32: got.checksum_crc32,
        checksum_crc32c: got.checksum_crc32c,
        checksum_crc64nvme: got.checksum_crc64nvme,
        checksum_sha1: got.checksum_sha1,
        checksum_sha256: got.checksum_sha256,
        checksum_type: got.checksum_type,
        content_disposition: got.content_disposition,
        content_encoding: got.content_encoding,
        content_language: got.content_language,
        content_length: got.content_length,
        content_range: got.content_range,
        content_type: got.content_type,
        e_tag: got.e_tag,
        expires: got.expires,
        last_modified: got.last_modified,
        metadata: got.metadata,
        object_lock_legal_hold_status: got.object_lock_legal_hold_status,
        object_lock_mode: got.object_lock_mode,
        object_lock_retain_until_date: got.object_lock_retain_until_date,
        parts_count: got.parts_count,
        server_side_encryption: got.server_side_encryption,
        ssekms_key_id: got.ssekms_key_id,
        sse_customer_algorithm: got.sse_customer_algorithm,
        sse_customer_key_md5: got.sse_customer_key_md5,
        storage_class: got.storage_class,
        version_id: got.version_id,
        website_redirect_location: got.website_redirect_location,
        ..Default::default()
    });
    if reading.part_of {
        response.status = Some(http::StatusCode::PARTIAL_CONTENT);
    }
    if let Some(count) = got.tag_count {
        response.headers.insert(HeaderName::from_static("x-amz-tagging-count"), HeaderValue::from(count));
    }
    Ok(response)
}

/// `GET <key>?attributes`.
pub(super) fn attributes(
    service: &Service,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    let version = version::find(service, &bucket, &input.key, input.version_id.as_deref())?;
    version.meta.unlock(&customer_key_of!(input))?;
    let content = &version.content;
    let wants = |name: &str| input.object_attributes.iter().any(|attribute| attribute.as_str() == name);
    let sums = &content.checksums;
    let checksum = with_checksums!(Checksum { checksum_type: sums.kind(), ..Default::default() }, sums);
    let part = |(at, size): (usize, &u64)| ObjectPart {
        part_number: i32::try_from(at + 1).ok(),
        size: i64::try_from(*size).ok(),
        ..Default::default()
    };
    let parts = GetObjectAttributesParts {
        is_truncated: Some(false),
        parts: Some(content.parts.iter().enumerate().map(part).collect()),
        total_parts_count: i32::try_from(content.parts.len()).ok(),
        ..Default::default()
    };
    let class = version.meta.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned());
    Ok(S3Response::new(GetObjectAttributesOutput {
        checksum: (wants(ObjectAttributes::CHECKSUM) && !sums.is_empty()).then_some(checksum),
        e_tag: wants(ObjectAttributes::ETAG).then(|| ETag::Strong(content.etag.clone())),
        last_modified: Some(version.modified_at.into()),
        object_parts: (wants(ObjectAttributes::OBJECT_PARTS) && !content.parts.is_empty()).then_some(parts),
        object_size: i64::try_from(content.size).ok().filter(|_| wants(ObjectAttributes::OBJECT_SIZE)),
        storage_class: wants(ObjectAttributes::STORAGE_CLASS).then(|| StorageClass::from(class)),
        version_id: version::told(&bucket, &version),
        ..Default::default()
    }))
}

//! Uploads in parts.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use md5::{Digest as _, Md5};
use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
        CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CopyPartResult,
        CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, Range, ServerSideEncryption,
        UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
    },
};

use super::{
    acl::Acl,
    auth::canonical,
    checksums::{ALGORITHMS, Checksums, checksums_of, with_checksums},
    content::{self, Content, Promised},
    errors::{invalid_argument, invalid_request, refuse, usual},
    get::{Conditions, check_read},
    meta::{CustomerKey, customer_key_of, meta_of},
    put::source,
    records::{self, PART, Part, UPLOAD, Upload, part_key, upload_key},
    service::{Service, Visit},
    version,
};
use crate::kernel::{Record, Tables, Transaction};

/// Every part but the last has at least this many bytes.
const SMALLEST: u64 = 5 * 1024 * 1024;
/// The largest part number.
const MOST: i32 = 1000;

/// Removes an upload and its parts.
pub(super) fn forget(transaction: &mut Transaction<'_>, place: &str) {
    if let Some(id) = place.rsplit('\0').next() {
        let under = format!("{id}\0");
        let parts: Vec<String> =
            transaction.tables().under(PART, &under, None).map(|(key, _)| key.to_owned()).collect();
        for part in parts {
            transaction.remove(PART, &part);
        }
    }
    transaction.remove(UPLOAD, place);
}

/// An upload that is not finished.
pub(super) fn find(tables: &Tables, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
    let found = tables.get(UPLOAD, &upload_key(bucket, key, id)).filter(|_| !id.contains('\0'));
    found.and_then(records::read).ok_or_else(|| usual(S3ErrorCode::NoSuchUpload))
}

/// `POST <key>?uploads`.
pub(super) fn create(
    service: &Service,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let visit = Visit::of(&request)?;
    let input = &request.input;
    let algorithm = input.checksum_algorithm.as_ref().map(|name| name.as_str().to_ascii_lowercase());
    if algorithm.as_deref().is_some_and(|name| !ALGORITHMS.contains(&name)) {
        return Err(invalid_request("Checksum algorithm provided is unsupported."));
    }
    let full_object = match (algorithm.as_deref(), input.checksum_type.as_ref().map(ChecksumType::as_str)) {
        (None, None) => false,
        (Some("sha1" | "sha256"), None | Some(ChecksumType::COMPOSITE)) => false,
        (Some("crc64nvme"), None | Some(ChecksumType::FULL_OBJECT)) => true,
        (Some("crc32" | "crc32c"), kind @ (None | Some(ChecksumType::COMPOSITE | ChecksumType::FULL_OBJECT))) => {
            kind == Some(ChecksumType::FULL_OBJECT)
        }
        _ => return Err(invalid_request("The checksum type cannot be used with the specified checksum algorithm.")),
    };
    let bucket = service.bucket(&request, &input.bucket)?;
    let acl = Acl::of_headers(&request.headers, &canonical(&bucket.project_id))?;
    let meta = meta_of!(input, &bucket, service.store.clock().now(), acl);
    let upload = service.store.write::<_, S3Error>(|transaction| {
        service.bucket_in(transaction.tables(), visit, &input.bucket)?;
        let micros = transaction.now().unix_timestamp_nanos() / 1000;
        let upload = Upload {
            id: format!("{micros:016x}{}", transaction.ids().uuid().replace('-', "")),
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            initiated_at: transaction.now(),
            algorithm,
            full_object,
            meta,
        };
        transaction.put(UPLOAD, &upload.place(), Record::of(&upload));
        Ok(upload)
    })?;
    let kind = if upload.full_object { ChecksumType::FULL_OBJECT } else { ChecksumType::COMPOSITE };
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(upload.bucket),
        checksum_type: upload.algorithm.as_ref().map(|_| ChecksumType::from_static(kind)),
        checksum_algorithm: upload.algorithm.map(|name| ChecksumAlgorithm::from(name.to_ascii_uppercase())),
        key: Some(upload.key),
        server_side_encryption: upload.meta.encryption.clone().map(ServerSideEncryption::from),
        ssekms_key_id: upload.meta.kms_key.clone(),
        sse_customer_algorithm: upload.meta.customer_algorithm(),
        sse_customer_key_md5: upload.meta.customer_key,
        upload_id: Some(upload.id),
        ..Default::default()
    }))
}

fn checked_number(number: i32) -> S3Result<i32> {
    if (1..=MOST).contains(&number) {
        Ok(number)
    } else {
        Err(invalid_argument(format!("Part number must be an integer between 1 and {MOST}, inclusive")))
    }
}

fn keep_part(
    service: &Service,
    visit: &Visit,
    (bucket, key, id): (&str, &str, &str),
    number: i32,
    content: Content,
) -> S3Result<Part> {
    service.store.write::<_, S3Error>(|transaction| {
        service.bucket_in(transaction.tables(), visit, bucket)?;
        find(transaction.tables(), bucket, key, id)?;
        let part = Part { number, modified_at: transaction.now(), content };
        transaction.put(PART, &part_key(id, number), Record::of(&part));
        Ok(part)
    })
}

/// `PUT <key>?partNumber&uploadId`.
pub(super) async fn upload_part(
    service: &Service,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let body = request.input.body.take();
    let trailers = request.trailing_headers.take();
    let mut promised = Promised::new(&request.headers, trailers, checksums_of!(request.input))?;
    let visit = Visit::of(&request)?;
    let input = &request.input;
    let number = checked_number(input.part_number)?;
    service.bucket(&request, &input.bucket)?;
    let upload = service.store.read(|tables| find(tables, &input.bucket, &input.key, &input.upload_id))?;
    upload.meta.unlock(&customer_key_of!(input))?;
    promised.algorithm = promised.algorithm.or(upload.algorithm);
    let content = content::take(&service.blobs, body, promised).await?;
    let place = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
    let part = keep_part(service, visit, place, number, content)?;
    Ok(S3Response::new(with_checksums!(
        UploadPartOutput {
            e_tag: Some(ETag::Strong(part.content.etag.clone())),
            server_side_encryption: upload.meta.encryption.clone().map(ServerSideEncryption::from),
            sse_customer_algorithm: upload.meta.customer_algorithm(),
            sse_customer_key_md5: upload.meta.customer_key.clone(),
            ..Default::default()
        },
        &part.content.checksums
    )))
}

/// `PUT <key>?partNumber&uploadId` with `x-amz-copy-source`.
pub(super) async fn copy_part(
    service: &Service,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let visit = Visit::of(&request)?;
    let input = &request.input;
    let number = checked_number(input.part_number)?;
    service.bucket(&request, &input.bucket)?;
    let upload = service.store.read(|tables| find(tables, &input.bucket, &input.key, &input.upload_id))?;
    let (_, from, source_version) = source(service, &request, &input.copy_source)?;
    check_read(
        &from,
        &Conditions {
            if_match: input.copy_source_if_match.as_ref(),
            if_none_match: input.copy_source_if_none_match.as_ref(),
            if_modified_since: input.copy_source_if_modified_since.as_ref(),
            if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
            of_copy: true,
        },
    )?;
    from.meta.unlock(&CustomerKey {
        algorithm: input.copy_source_sse_customer_algorithm.as_deref(),
        key: input.copy_source_sse_customer_key.as_deref(),
        md5: input.copy_source_sse_customer_key_md5.as_deref(),
    })?;
    let size = from.content.size;
    let range = match &input.copy_source_range {
        None => 0..size,
        Some(text) => match Range::parse(text) {
            Ok(Range::Int { first, last: Some(last) }) if last < size => first..last + 1,
            Ok(Range::Int { last: Some(_), .. }) => return Err(usual(S3ErrorCode::InvalidRange)),
            _ => {
                return Err(invalid_argument("The x-amz-copy-source-range value must be of the form bytes=first-last"));
            }
        },
    };
    if range.end - range.start > content::LARGEST {
        return Err(usual(S3ErrorCode::EntityTooLarge));
    }
    let content = cut_out(service, &from.content, range, upload.algorithm.as_deref()).await?;
    let place = (input.bucket.as_str(), input.key.as_str(), input.upload_id.as_str());
    let part = keep_part(service, visit, place, number, content)?;
    let result = with_checksums!(
        CopyPartResult {
            e_tag: Some(ETag::Strong(part.content.etag.clone())),
            last_modified: Some(part.modified_at.into()),
            ..Default::default()
        },
        &part.content.checksums
    );
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: source_version,
        ..Default::default()
    }))
}

/// A run of bytes of a content as a content of its own.
async fn cut_out(
    service: &Service,
    from: &Content,
    range: std::ops::Range<u64>,
    algorithm: Option<&str>,
) -> S3Result<Content> {
    let body = content::give(&service.blobs, from, range);
    let promised = Promised { algorithm: algorithm.map(str::to_owned), ..Default::default() };
    content::take(&service.blobs, Some(body), promised).await
}

/// `DELETE <key>?uploadId`.
pub(super) fn abort(
    service: &Service,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let visit = Visit::of(&request)?;
    let input = &request.input;
    service.store.write::<_, S3Error>(|transaction| {
        service.bucket_in(transaction.tables(), visit, &input.bucket)?;
        let upload = find(transaction.tables(), &input.bucket, &input.key, &input.upload_id)?;
        forget(transaction, &upload.place());
        Ok(())
    })?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

/// `POST <key>?uploadId`.
pub(super) async fn complete(
    service: &Service,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let visit = Visit::of(&request)?;
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    let named = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref()).unwrap_or_default();
    let (upload, parts) = service.store.read(|tables| {
        let upload = find(tables, &input.bucket, &input.key, &input.upload_id)?;
        let parts = chosen(tables, &upload, named)?;
        Ok::<_, S3Error>((upload, parts))
    })?;
    let mut content = joined(&parts)?;
    content.checksums = checksums(service, &upload, &parts, &content).await?;
    if input.mpu_object_size.is_some_and(|size| u64::try_from(size) != Ok(content.size)) {
        return Err(invalid_request("The provided 'x-amz-mp-object-size' header does not match what was computed."));
    }
    if let Some(algorithm) = content.checksums.contradicted_by(&checksums_of!(input)) {
        return Err(content::mismatch(algorithm));
    }
    let (bucket, version) = service.store.write::<_, S3Error>(|transaction| {
        let bucket = service.bucket_in(transaction.tables(), visit, &bucket.name)?;
        let current = records::current(transaction.tables(), &bucket.name, &input.key);
        version::check_write(current.as_ref(), input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let upload = find(transaction.tables(), &bucket.name, &input.key, &input.upload_id)?;
        forget(transaction, &upload.place());
        let version = version::add(transaction, &bucket, &input.key, content, upload.meta);
        Ok((bucket, version))
    })?;
    let location = format!("https://{}.s3.{}.scw.cloud/{}", bucket.name, bucket.region, version.key);
    Ok(S3Response::new(with_checksums!(
        CompleteMultipartUploadOutput {
            bucket: Some(bucket.name.clone()),
            checksum_type: version.content.checksums.kind(),
            e_tag: Some(ETag::Strong(version.content.etag.clone())),
            key: Some(version.key.clone()),
            location: Some(location),
            server_side_encryption: version.meta.encryption.clone().map(ServerSideEncryption::from),
            ssekms_key_id: version.meta.kms_key.clone(),
            version_id: version::told(&bucket, &version),
            ..Default::default()
        },
        &version.content.checksums
    )))
}

/// The parts a client names, as they were uploaded.
fn chosen(tables: &Tables, upload: &Upload, named: &[CompletedPart]) -> S3Result<Vec<Part>> {
    if named.is_empty() {
        return Err(usual(S3ErrorCode::MalformedXML));
    }
    let invalid = || usual(S3ErrorCode::InvalidPart);
    let mut parts: Vec<Part> = Vec::new();
    for one in named {
        let number = one.part_number.ok_or_else(|| usual(S3ErrorCode::MalformedXML))?;
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(usual(S3ErrorCode::InvalidPartOrder));
        }
        let part: Part = tables.get(PART, &part_key(&upload.id, number)).and_then(records::read).ok_or_else(invalid)?;
        if one.e_tag.as_ref().map(ETag::value) != Some(&part.content.etag) {
            return Err(invalid());
        }
        if part.content.checksums.contradicted_by(&checksums_of!(one)).is_some() {
            return Err(invalid());
        }
        parts.push(part);
    }
    let too_small = parts.iter().rev().skip(1).any(|part| part.content.size < SMALLEST);
    if too_small { Err(usual(S3ErrorCode::EntityTooSmall)) } else { Ok(parts) }
}

/// One content out of those of the parts, without checksums.
fn joined(parts: &[Part]) -> S3Result<Content> {
    let mut content = Content::default();
    let mut md5 = Md5::new();
    for part in parts {
        let sum = hex::decode(&part.content.etag).map_err(S3Error::internal_error)?;
        md5.update(sum);
        content.size += part.content.size;
        content.parts.push(part.content.size);
        content.pieces.extend(part.content.pieces.iter().cloned());
    }
    content.etag = format!("{}-{}", hex::encode(md5.finalize()), parts.len());
    Ok(content)
}

/// The checksum of the whole, if the upload was begun with an algorithm.
async fn checksums(service: &Service, upload: &Upload, parts: &[Part], whole: &Content) -> S3Result<Checksums> {
    let Some(name) = upload.algorithm.as_deref() else { return Ok(Checksums::default()) };
    if upload.full_object {
        return content::sum(&service.blobs, &whole.pieces, name).await;
    }
    let mut hasher = content::hasher(&Checksums::default(), Some(name));
    for part in parts {
        let missing = || refuse(S3ErrorCode::InvalidPart, "A part has no checksum of the upload's algorithm.");
        hasher.update(&part.content.checksums.bytes(name).ok_or_else(missing)?);
    }
    let of_parts = Checksums::from(hasher.finalize());
    let mut sums = Checksums { composite: true, ..Checksums::default() };
    if let Some(sum) = of_parts.bytes(name) {
        sums.set(name, format!("{}-{}", BASE64_STANDARD.encode(sum), parts.len()));
    }
    Ok(sums)
}

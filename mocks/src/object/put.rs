//! Objects written: put, and copied.

use s3s::{
    S3Error, S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, MetadataDirective, PutObjectInput,
        PutObjectOutput, ServerSideEncryption, TaggingDirective,
    },
};

use super::{
    access,
    acl::Acl,
    auth::canonical,
    checksums::{Checksums, checksums_of, with_checksums},
    content::{self, Content, Promised},
    errors::{access_denied, invalid_request, not_implemented},
    get::{Conditions, check_read},
    meta::{CustomerKey, meta_of},
    records::{self, Bucket, Version},
    service::{Service, Visit},
    version,
};

/// `PUT <key>`.
pub(super) async fn put(
    service: &Service,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    if request.input.write_offset_bytes.is_some() {
        return Err(not_implemented("Appending to objects is not implemented."));
    }
    let body = request.input.body.take();
    let trailers = request.trailing_headers.take();
    let promised = Promised::new(&request.headers, trailers, checksums_of!(request.input))?;
    let visit = Visit::of(&request)?;
    let input = &request.input;
    let now = service.store.clock().now();
    let acl = |bucket: &Bucket| Acl::of_headers(&request.headers, &canonical(&bucket.project_id));
    let bucket = service.bucket(&request, &input.bucket)?;
    let meta = meta_of!(input, &bucket, now, acl(&bucket)?);
    // Looked at before the body is read, so that a refusal comes early, and again when it counts.
    let conditions = |tables: &crate::kernel::Tables| {
        let current = records::current(tables, &input.bucket, &input.key);
        version::check_write(current.as_ref(), input.if_match.as_ref(), input.if_none_match.as_ref())
    };
    service.store.read(conditions)?;
    let content = content::take(&service.blobs, body, promised).await?;
    let (bucket, version) = service.store.write::<_, S3Error>(|transaction| {
        let bucket = service.bucket_in(transaction.tables(), visit, &input.bucket)?;
        conditions(transaction.tables())?;
        let version = version::add(transaction, &bucket, &input.key, content, meta);
        Ok((bucket, version))
    })?;
    Ok(S3Response::new(with_checksums!(
        PutObjectOutput {
            checksum_type: version.content.checksums.kind(),
            e_tag: Some(ETag::Strong(version.content.etag.clone())),
            server_side_encryption: version.meta.encryption.clone().map(ServerSideEncryption::from),
            ssekms_key_id: version.meta.kms_key.clone(),
            sse_customer_algorithm: version.meta.customer_algorithm(),
            sse_customer_key_md5: version.meta.customer_key.clone(),
            version_id: version::told(&bucket, &version),
            ..Default::default()
        },
        &version.content.checksums
    )))
}

/// Where something is copied from: a version the caller may read.
pub(super) fn source<T>(
    service: &Service,
    request: &S3Request<T>,
    from: &CopySource,
) -> S3Result<(Bucket, Version, Option<String>)> {
    let CopySource::Bucket { bucket, key, version_id } = from else {
        return Err(invalid_request("Access points are not known here."));
    };
    let visit = Visit::of(request)?;
    let bucket = service.bucket(request, bucket)?;
    if !access::allowed(service, visit, &bucket, Some(key), version_id.as_deref(), &access::GET) {
        return Err(access_denied());
    }
    let version = match version::find(service, &bucket, key, version_id.as_deref()) {
        Err(error) if *error.code() == S3ErrorCode::MethodNotAllowed => {
            return Err(invalid_request("The source of a copy request may not specifically refer to a delete marker."));
        }
        found => found?,
    };
    let told = version::told(&bucket, &version);
    Ok((bucket, version, told))
}

/// `PUT <key>` with `x-amz-copy-source`.
pub(super) async fn copy(
    service: &Service,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let visit = Visit::of(&request)?;
    let input = &request.input;
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
    let replace = directive(input.metadata_directive.as_ref().map(MetadataDirective::as_str))?;
    let replace_tags = directive(input.tagging_directive.as_ref().map(TaggingDirective::as_str))?;
    let to_itself = from.bucket == input.bucket && from.key == input.key;
    let changes = replace
        // Recorded: so that an object's ACL can be changed, one that the request names is a change, too.
        || input.acl.is_some()
        || input.storage_class.is_some()
        || input.server_side_encryption.is_some()
        || input.sse_customer_algorithm.is_some()
        || input.website_redirect_location.is_some()
        || matches!(&input.copy_source, CopySource::Bucket { version_id: Some(_), .. });
    if to_itself && !changes {
        return Err(invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let now = service.store.clock().now();
    let bucket = service.bucket(&request, &input.bucket)?;
    let acl = Acl::of_headers(&request.headers, &canonical(&bucket.project_id))?;
    let mut meta = meta_of!(input, &bucket, now, acl);
    if !replace {
        meta.content_type = from.meta.content_type.clone();
        meta.cache_control = from.meta.cache_control.clone();
        meta.content_disposition = from.meta.content_disposition.clone();
        meta.content_encoding = from.meta.content_encoding.clone();
        meta.content_language = from.meta.content_language.clone();
        meta.expires = from.meta.expires.clone();
        meta.metadata = from.meta.metadata.clone();
    }
    if !replace_tags {
        meta.tags = from.meta.tags.clone();
    }
    let content = copied(service, &from, input.checksum_algorithm.as_ref().map(|name| name.as_str())).await?;
    let (bucket, copy) = service.store.write::<_, S3Error>(|transaction| {
        let bucket = service.bucket_in(transaction.tables(), visit, &input.bucket)?;
        let version = version::add(transaction, &bucket, &input.key, content, meta);
        Ok((bucket, version))
    })?;
    let result = with_checksums!(
        CopyObjectResult {
            checksum_type: copy.content.checksums.kind(),
            e_tag: Some(ETag::Strong(copy.content.etag.clone())),
            last_modified: Some(copy.modified_at.into()),
            ..Default::default()
        },
        &copy.content.checksums
    );
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: source_version,
        server_side_encryption: copy.meta.encryption.clone().map(ServerSideEncryption::from),
        ssekms_key_id: copy.meta.kms_key.clone(),
        sse_customer_algorithm: copy.meta.customer_algorithm(),
        sse_customer_key_md5: copy.meta.customer_key.clone(),
        version_id: version::told(&bucket, &copy),
        ..Default::default()
    }))
}

/// The contents of a copy: the same blobs. What was uploaded in parts becomes one object with an ETag of its own.
async fn copied(service: &Service, from: &Version, algorithm: Option<&str>) -> S3Result<Content> {
    let mut content = from.content.clone();
    if content.size > content::LARGEST {
        return Err(invalid_request(
            "The specified copy source is larger than the maximum allowable size for a copy source",
        ));
    }
    if !content.parts.is_empty() {
        content.etag = content::md5(&service.blobs, &content::cut(&content.pieces, 0..content.size)).await?;
        content.parts.clear();
        if content.checksums.composite {
            content.checksums = Checksums::default();
        }
    }
    let algorithm = algorithm.map(str::to_ascii_lowercase);
    if let Some(name) = algorithm.filter(|name| content.checksums.get(name).is_none()) {
        content.checksums = content::sum(&service.blobs, &content.pieces, &name).await?;
    }
    Ok(content)
}

/// Whether a directive says `REPLACE`.
fn directive(word: Option<&str>) -> S3Result<bool> {
    match word {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(super::errors::invalid_argument("Unknown metadata directive.")),
    }
}

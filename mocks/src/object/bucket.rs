//! Buckets: made, found, listed, removed.

use s3s::{
    S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        Bucket as Listed, BucketLocationConstraint, BucketVersioningStatus, CreateBucketInput, CreateBucketOutput,
        DeleteBucketInput, DeleteBucketOutput, GetBucketLocationInput, GetBucketLocationOutput,
        GetBucketVersioningInput, GetBucketVersioningOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
        ListBucketsOutput, PutBucketVersioningInput, PutBucketVersioningOutput,
    },
};

use super::{
    acl::{self, Acl},
    auth::{Caller, canonical},
    errors::{access_denied, refuse, usual},
    lock,
    records::{self, BUCKET, Bucket, UPLOAD, VERSION, Versioning},
    service::{Service, Visit},
};

/// `PUT /<bucket>`.
pub(super) fn create(
    service: &Service,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let visit = Visit::of(&request)?;
    let Caller::Signed { key, project_id } = &visit.caller else { return Err(access_denied()) };
    let name = &request.input.bucket;
    if !s3s::path::check_bucket_name(name) {
        return Err(usual(S3ErrorCode::InvalidBucketName));
    }
    let region = visit.region.as_str();
    let constraint = request.input.create_bucket_configuration.as_ref();
    let constraint = constraint.and_then(|configuration| configuration.location_constraint.as_ref());
    if constraint.is_some_and(|constraint| !constraint.as_str().is_empty() && constraint.as_str() != region) {
        let message = "The specified location-constraint is not valid";
        return Err(refuse(S3ErrorCode::InvalidLocationConstraint, message));
    }
    let locked = request.input.object_lock_enabled_for_bucket == Some(true);
    let acl = Acl::of_headers(&request.headers, &canonical(project_id))?;
    service.store.write::<_, s3s::S3Error>(|transaction| {
        if let Some(taken) = transaction.get(BUCKET, name) {
            let own = taken.text("project_id") == project_id;
            let code = if own { S3ErrorCode::BucketAlreadyOwnedByYou } else { S3ErrorCode::BucketAlreadyExists };
            return Err(usual(code));
        }
        let bucket = Bucket {
            name: name.clone(),
            region: region.to_owned(),
            project_id: project_id.clone(),
            organization_id: key.organization_id.clone(),
            created_at: transaction.now(),
            versioning: if locked { Versioning::Enabled } else { Versioning::Never },
            acl,
            tags: Vec::new(),
            lock: locked.then(lock::enabled),
            cors: None,
            lifecycle: None,
            website: None,
            encryption: None,
            policy: None,
        };
        records::put_bucket(transaction, &bucket, "created");
        Ok(())
    })?;
    Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
}

/// `DELETE /<bucket>`. Unfinished uploads go with it.
pub(super) fn delete(
    service: &Service,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let visit = Visit::of(&request)?;
    let name = &request.input.bucket;
    service.store.write::<_, s3s::S3Error>(|transaction| {
        service.bucket_in(transaction.tables(), visit, name)?;
        let inside = format!("{name}\0");
        if transaction.tables().under(VERSION, &inside, None).next().is_some() {
            return Err(usual(S3ErrorCode::BucketNotEmpty));
        }
        let uploads: Vec<String> =
            transaction.tables().under(UPLOAD, &inside, None).map(|(key, _)| key.to_owned()).collect();
        for upload in uploads {
            super::multipart::forget(transaction, &upload);
        }
        transaction.remove(BUCKET, name);
        transaction.event(BUCKET, name, "deleted", None);
        Ok(())
    })?;
    Ok(S3Response::new(DeleteBucketOutput {}))
}

/// `HEAD /<bucket>`.
pub(super) fn head(service: &Service, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
    let bucket = service.bucket(&request, &request.input.bucket)?;
    Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(bucket.region), ..Default::default() }))
}

/// `GET /`: the caller's project's buckets in this region.
pub(super) fn list(service: &Service, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
    let visit = Visit::of(&request)?;
    let project = visit.caller.project().ok_or_else(access_denied)?;
    let input = &request.input;
    let prefix = input.prefix.clone().unwrap_or_default();
    let most = usize::try_from(input.max_buckets.unwrap_or(10_000)).unwrap_or_default().clamp(1, 10_000);
    let (buckets, more) = service.store.read(|tables| {
        let mut found = tables
            .under(BUCKET, &prefix, input.continuation_token.as_deref())
            .filter(|(_, record)| record.text("project_id") == project)
            .filter_map(|(_, record)| records::read::<Bucket>(record))
            .filter(|bucket| bucket.region == visit.region.as_str());
        let page: Vec<Bucket> = found.by_ref().take(most).collect();
        (page, found.next().is_some())
    });
    let continuation_token = buckets.last().filter(|_| more).map(|last| last.name.clone());
    let listed = |bucket: Bucket| Listed {
        bucket_region: input.max_buckets.is_some().then_some(bucket.region),
        creation_date: Some(bucket.created_at.into()),
        name: Some(bucket.name),
    };
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets.into_iter().map(listed).collect()),
        continuation_token,
        owner: Some(acl::owner(project)),
        prefix: input.prefix.clone(),
    }))
}

/// `GET ?location`.
pub(super) fn location(
    service: &Service,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    let bucket = service.bucket(&request, &request.input.bucket)?;
    let location_constraint = Some(BucketLocationConstraint::from(bucket.region));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
}

/// `GET ?versioning`. Never asked for is an empty status, as Scaleway answers it.
pub(super) fn get_versioning(
    service: &Service,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    let bucket = service.bucket(&request, &request.input.bucket)?;
    let status = match bucket.versioning {
        Versioning::Never => "",
        Versioning::Enabled => BucketVersioningStatus::ENABLED,
        Versioning::Suspended => BucketVersioningStatus::SUSPENDED,
    };
    let status = Some(BucketVersioningStatus::from_static(status));
    Ok(S3Response::new(GetBucketVersioningOutput { status, ..Default::default() }))
}

/// `PUT ?versioning`.
pub(super) fn put_versioning(
    service: &Service,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<S3Response<PutBucketVersioningOutput>> {
    let status = request.input.versioning_configuration.status.as_ref().map(BucketVersioningStatus::as_str);
    let versioning = match status {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        _ => {
            let message = "The Versioning element must be specified";
            return Err(refuse(S3ErrorCode::IllegalVersioningConfigurationException, message));
        }
    };
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        if bucket.lock.is_some() && versioning != Versioning::Enabled {
            let message =
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
            return Err(refuse(S3ErrorCode::InvalidBucketState, message));
        }
        bucket.versioning = versioning;
        Ok(())
    })?;
    Ok(S3Response::new(PutBucketVersioningOutput::default()))
}

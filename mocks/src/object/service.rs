//! What all operations share, and which function carries out which operation.

use std::sync::Arc;

use http::{Extensions, HeaderMap};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto};
use time::OffsetDateTime;

use super::{
    acl,
    auth::{Caller, Identity},
    bucket,
    condition::Facts,
    configuration,
    errors::{no_such_bucket, usual},
    get, listing, lock, multipart, put,
    records::{self, Bucket},
    tagging, uploads, version,
};
use crate::{
    api::origin,
    gateway::Region,
    kernel::{Blobs, Origin, Store, Tables},
};

/// Object Storage behind its protocol.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) blobs: Blobs,
    pub(super) identity: Arc<dyn Identity>,
}

/// What is known of a request before s3s takes it apart.
#[derive(Clone)]
pub(super) struct Arrival {
    /// The region of the endpoint that was asked.
    pub(super) region: Region,
    pub(super) referer: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) now: OffsetDateTime,
}

/// Who asks, where, and what conditions want to know.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) region: Region,
    pub(super) caller: Caller,
    pub(super) origin: Origin,
    pub(super) facts: Facts,
}

impl Visit {
    /// The visit of a caller, out of what was noted when the request arrived.
    pub(super) fn new(headers: &HeaderMap, extensions: &Extensions, caller: Caller) -> Self {
        let arrival = extensions.get::<Arrival>();
        let origin = origin(headers, extensions);
        let facts = Facts {
            source: origin.ip,
            referer: arrival.and_then(|arrival| arrival.referer.clone()),
            prefix: arrival.and_then(|arrival| arrival.prefix.clone()),
            now: arrival.map_or(OffsetDateTime::UNIX_EPOCH, |arrival| arrival.now),
        };
        Self { region: arrival.map_or(Region::FrPar, |arrival| arrival.region), caller, origin, facts }
    }

    /// The visit a request belongs to.
    pub(super) fn of<T>(request: &S3Request<T>) -> S3Result<&Self> {
        request.extensions.get().ok_or_else(|| usual(S3ErrorCode::AccessDenied))
    }
}

impl Service {
    /// The bucket of this name in the region of the request.
    pub(super) fn bucket<T>(&self, request: &S3Request<T>, name: &str) -> S3Result<Bucket> {
        let visit = Visit::of(request)?;
        self.store.read(|tables| self.bucket_in(tables, visit, name))
    }

    /// The bucket of this name in the region of the visit.
    pub(super) fn bucket_in(&self, tables: &Tables, visit: &Visit, name: &str) -> S3Result<Bucket> {
        let found = records::bucket(tables, name);
        found.filter(|bucket| bucket.region == visit.region.as_str()).ok_or_else(no_such_bucket)
    }

    /// Changes a bucket's configuration.
    pub(super) fn configure(
        &self,
        visit: &Visit,
        name: &str,
        change: impl FnOnce(&mut Bucket) -> S3Result<()>,
    ) -> S3Result<()> {
        self.store.write::<_, S3Error>(|transaction| {
            let mut bucket = self.bucket_in(transaction.tables(), visit, name)?;
            change(&mut bucket)?;
            records::put_bucket(transaction, &bucket, "updated");
            Ok(())
        })
    }
}

/// The operations: name, input, output, and the function that carries it out. What is not here
/// answers `NotImplemented`, and so it stands in docs/limits.md.
macro_rules! operations {
    (
        at_once { $($name:ident($input:ident) -> $output:ident = $module:ident::$function:ident;)* }
        streaming { $($streaming:ident($stream_input:ident) -> $stream_output:ident = $stream_module:ident::$stream_function:ident;)* }
    ) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(
                async fn $name(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                    $module::$function(self, request)
                }
            )*
            $(
                async fn $streaming(
                    &self,
                    request: S3Request<dto::$stream_input>,
                ) -> S3Result<S3Response<dto::$stream_output>> {
                    $stream_module::$stream_function(self, request).await
                }
            )*
        }
    };
}

operations! {
    at_once {
    list_buckets(ListBucketsInput) -> ListBucketsOutput = bucket::list;
    create_bucket(CreateBucketInput) -> CreateBucketOutput = bucket::create;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = bucket::head;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = bucket::delete;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = bucket::location;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput = bucket::get_versioning;
    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput = bucket::put_versioning;
    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput = acl::get_bucket;
    put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput = acl::put_bucket;
    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput = acl::get_object;
    put_object_acl(PutObjectAclInput) -> PutObjectAclOutput = acl::put_object;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput = tagging::get_bucket;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput = tagging::put_bucket;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput = tagging::delete_bucket;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput = tagging::get_object;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput = tagging::put_object;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput = tagging::delete_object;
    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput = configuration::get_cors;
    put_bucket_cors(PutBucketCorsInput) -> PutBucketCorsOutput = configuration::put_cors;
    delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput = configuration::delete_cors;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput = configuration::get_lifecycle;
    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput = configuration::put_lifecycle;
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput = configuration::delete_lifecycle;
    get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput = configuration::get_website;
    put_bucket_website(PutBucketWebsiteInput) -> PutBucketWebsiteOutput = configuration::put_website;
    delete_bucket_website(DeleteBucketWebsiteInput) -> DeleteBucketWebsiteOutput = configuration::delete_website;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput = configuration::get_encryption;
    put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput = configuration::put_encryption;
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput = configuration::delete_encryption;
    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput = configuration::get_policy;
    put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput = configuration::put_policy;
    delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput = configuration::delete_policy;
    get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput = lock::get_configuration;
    put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput = lock::put_configuration;
    get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput = lock::get_retention;
    put_object_retention(PutObjectRetentionInput) -> PutObjectRetentionOutput = lock::put_retention;
    get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput = lock::get_hold;
    put_object_legal_hold(PutObjectLegalHoldInput) -> PutObjectLegalHoldOutput = lock::put_hold;
    list_objects(ListObjectsInput) -> ListObjectsOutput = listing::v1;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = listing::v2;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = listing::versions;
    get_object(GetObjectInput) -> GetObjectOutput = get::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = get::head;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput = get::attributes;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = version::delete;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = version::delete_many;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = multipart::create;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = multipart::abort;
    list_parts(ListPartsInput) -> ListPartsOutput = uploads::parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = uploads::uploads;
    }
    streaming {
    put_object(PutObjectInput) -> PutObjectOutput = put::put;
    copy_object(CopyObjectInput) -> CopyObjectOutput = put::copy;
    upload_part(UploadPartInput) -> UploadPartOutput = multipart::upload_part;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = multipart::copy_part;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = multipart::complete;
    }
}

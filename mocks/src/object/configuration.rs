//! Configurations of buckets that are kept as they were sent and told again:
//! CORS, lifecycle, website, encryption, policy.
//!
//! Only the policy and the default encryption have an effect here.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use s3s::{
    S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        BucketLifecycleConfiguration, DeleteBucketCorsInput, DeleteBucketCorsOutput, DeleteBucketEncryptionInput,
        DeleteBucketEncryptionOutput, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput, DeleteBucketPolicyInput,
        DeleteBucketPolicyOutput, DeleteBucketWebsiteInput, DeleteBucketWebsiteOutput, ExpirationStatus,
        GetBucketCorsInput, GetBucketCorsOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
        GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput, GetBucketPolicyInput,
        GetBucketPolicyOutput, GetBucketWebsiteInput, GetBucketWebsiteOutput, PutBucketCorsInput, PutBucketCorsOutput,
        PutBucketEncryptionInput, PutBucketEncryptionOutput, PutBucketLifecycleConfigurationInput,
        PutBucketLifecycleConfigurationOutput, PutBucketPolicyInput, PutBucketPolicyOutput, PutBucketWebsiteInput,
        PutBucketWebsiteOutput,
    },
};

use super::{
    errors::{invalid_argument, invalid_request, refuse, usual},
    policy::Policy,
    service::{Service, Visit},
};

/// The most rules a CORS configuration can have.
const MOST_CORS_RULES: usize = 100;
/// The most rules a lifecycle configuration can have.
const MOST_LIFECYCLE_RULES: usize = 1000;

/// `GET ?cors`.
pub(super) fn get_cors(
    service: &Service,
    request: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let cors = service.bucket(&request, &request.input.bucket)?.cors;
    let cors = cors.ok_or_else(|| usual(S3ErrorCode::NoSuchCORSConfiguration))?;
    Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(cors.cors_rules) }))
}

/// `PUT ?cors`.
pub(super) fn put_cors(
    service: &Service,
    request: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let cors = request.input.cors_configuration.clone();
    if cors.cors_rules.is_empty() || cors.cors_rules.len() > MOST_CORS_RULES {
        return Err(usual(S3ErrorCode::MalformedXML));
    }
    for rule in &cors.cors_rules {
        if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
            return Err(usual(S3ErrorCode::MalformedXML));
        }
        let known = |method: &String| matches!(method.as_str(), "GET" | "PUT" | "POST" | "DELETE" | "HEAD");
        if let Some(method) = rule.allowed_methods.iter().find(|method| !known(method)) {
            return Err(invalid_request(format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )));
        }
        let stars = |text: &String| text.matches('*').count() > 1;
        if rule.allowed_origins.iter().any(stars) {
            return Err(invalid_request("AllowedOrigin can not have more than one wildcard."));
        }
    }
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.cors = Some(cors);
        Ok(())
    })?;
    Ok(S3Response::new(PutBucketCorsOutput::default()))
}

/// `DELETE ?cors`.
pub(super) fn delete_cors(
    service: &Service,
    request: S3Request<DeleteBucketCorsInput>,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.cors = None;
        Ok(())
    })?;
    Ok(S3Response::new(DeleteBucketCorsOutput::default()))
}

/// `GET ?lifecycle`.
pub(super) fn get_lifecycle(
    service: &Service,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let lifecycle = service.bucket(&request, &request.input.bucket)?.lifecycle;
    let lifecycle = lifecycle.ok_or_else(|| usual(S3ErrorCode::NoSuchLifecycleConfiguration))?;
    let output = GetBucketLifecycleConfigurationOutput { rules: Some(lifecycle.rules), ..Default::default() };
    Ok(S3Response::new(output))
}

/// `PUT ?lifecycle`.
pub(super) fn put_lifecycle(
    service: &Service,
    request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    let malformed = || usual(S3ErrorCode::MalformedXML);
    let mut lifecycle = request.input.lifecycle_configuration.clone().ok_or_else(malformed)?;
    check_lifecycle(&lifecycle)?;
    service.store.write::<_, s3s::S3Error>(|transaction| {
        let mut bucket = service.bucket_in(transaction.tables(), Visit::of(&request)?, &request.input.bucket)?;
        for rule in &mut lifecycle.rules {
            if rule.id.as_deref().is_none_or(str::is_empty) {
                rule.id = Some(transaction.ids().uuid());
            }
        }
        bucket.lifecycle = Some(lifecycle);
        super::records::put_bucket(transaction, &bucket, "updated");
        Ok(())
    })?;
    Ok(S3Response::new(PutBucketLifecycleConfigurationOutput::default()))
}

fn check_lifecycle(lifecycle: &BucketLifecycleConfiguration) -> S3Result<()> {
    let malformed = || Err(usual(S3ErrorCode::MalformedXML));
    if lifecycle.rules.is_empty() || lifecycle.rules.len() > MOST_LIFECYCLE_RULES {
        return malformed();
    }
    let mut ids = BTreeSet::new();
    for rule in &lifecycle.rules {
        if !matches!(rule.status.as_str(), ExpirationStatus::ENABLED | ExpirationStatus::DISABLED) {
            return malformed();
        }
        if let Some(id) = rule.id.as_deref().filter(|id| !id.is_empty()) {
            if id.chars().count() > 255 {
                return Err(invalid_argument("ID length should not exceed allowed limit of 255"));
            }
            if !ids.insert(id) {
                return Err(invalid_argument("Rule ID must be unique. Found same ID for more than one rule"));
            }
        }
        let acts = rule.expiration.is_some()
            || rule.transitions.as_ref().is_some_and(|transitions| !transitions.is_empty())
            || rule.abort_incomplete_multipart_upload.is_some()
            || rule.noncurrent_version_expiration.is_some()
            || rule.noncurrent_version_transitions.as_ref().is_some_and(|transitions| !transitions.is_empty());
        if !acts {
            return Err(invalid_request("At least one action needs to be specified in a rule"));
        }
        let expires_at_once =
            rule.expiration.as_ref().and_then(|expiration| expiration.days).is_some_and(|days| days < 1);
        if expires_at_once {
            return Err(invalid_argument("'Days' for Expiration action must be a positive integer"));
        }
        let classes = rule.transitions.iter().flatten().filter_map(|transition| transition.storage_class.as_ref());
        for class in classes {
            if !matches!(class.as_str(), "STANDARD" | "ONEZONE_IA" | "GLACIER") {
                return malformed();
            }
        }
    }
    Ok(())
}

/// `DELETE ?lifecycle`.
pub(super) fn delete_lifecycle(
    service: &Service,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.lifecycle = None;
        Ok(())
    })?;
    Ok(S3Response::new(DeleteBucketLifecycleOutput::default()))
}

/// `GET ?website`.
pub(super) fn get_website(
    service: &Service,
    request: S3Request<GetBucketWebsiteInput>,
) -> S3Result<S3Response<GetBucketWebsiteOutput>> {
    let website = service.bucket(&request, &request.input.bucket)?.website;
    let website = website.ok_or_else(|| usual(S3ErrorCode::NoSuchWebsiteConfiguration))?;
    Ok(S3Response::new(GetBucketWebsiteOutput {
        error_document: website.error_document,
        index_document: website.index_document,
        redirect_all_requests_to: website.redirect_all_requests_to,
        routing_rules: website.routing_rules,
    }))
}

/// `PUT ?website`.
pub(super) fn put_website(
    service: &Service,
    request: S3Request<PutBucketWebsiteInput>,
) -> S3Result<S3Response<PutBucketWebsiteOutput>> {
    let website = request.input.website_configuration.clone();
    if website.redirect_all_requests_to.is_none() {
        let suffix = website.index_document.as_ref().map(|index| index.suffix.as_str());
        if suffix.is_none_or(|suffix| suffix.is_empty() || suffix.contains('/')) {
            return Err(invalid_argument("The IndexDocument Suffix is not well formed"));
        }
    }
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.website = Some(website);
        Ok(())
    })?;
    Ok(S3Response::new(PutBucketWebsiteOutput::default()))
}

/// `DELETE ?website`.
pub(super) fn delete_website(
    service: &Service,
    request: S3Request<DeleteBucketWebsiteInput>,
) -> S3Result<S3Response<DeleteBucketWebsiteOutput>> {
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.website = None;
        Ok(())
    })?;
    Ok(S3Response::new(DeleteBucketWebsiteOutput::default()))
}

/// `GET ?encryption`.
pub(super) fn get_encryption(
    service: &Service,
    request: S3Request<GetBucketEncryptionInput>,
) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
    let encryption = service.bucket(&request, &request.input.bucket)?.encryption;
    let encryption = encryption.ok_or_else(|| {
        let mut missing = usual(S3ErrorCode::ServerSideEncryptionConfigurationNotFoundError);
        missing.set_status_code(StatusCode::NOT_FOUND);
        missing
    })?;
    let output = GetBucketEncryptionOutput { server_side_encryption_configuration: Some(encryption) };
    Ok(S3Response::new(output))
}

/// `PUT ?encryption`.
pub(super) fn put_encryption(
    service: &Service,
    request: S3Request<PutBucketEncryptionInput>,
) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
    let mut encryption = request.input.server_side_encryption_configuration.clone();
    let [rule] = encryption.rules.as_mut_slice() else { return Err(usual(S3ErrorCode::MalformedXML)) };
    let default = rule.apply_server_side_encryption_by_default.as_ref();
    let default = default.ok_or_else(|| usual(S3ErrorCode::MalformedXML))?;
    match default.sse_algorithm.as_str() {
        "aws:kms" if rule.bucket_key_enabled == Some(true) => {}
        "aws:kms" => {
            return Err(invalid_argument(
                "Bucket key is mandatory when using Server Side Encryption with KMS managed keys.",
            ));
        }
        "AES256" if default.kms_master_key_id.is_none() => {}
        "AES256" => {
            return Err(invalid_argument(
                "KMS master key id is only supported when using Server Side Encryption with KMS managed keys.",
            ));
        }
        _ => return Err(usual(S3ErrorCode::MalformedXML)),
    }
    rule.bucket_key_enabled.get_or_insert(false);
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.encryption = Some(encryption);
        Ok(())
    })?;
    Ok(S3Response::new(PutBucketEncryptionOutput::default()))
}

/// `DELETE ?encryption`.
pub(super) fn delete_encryption(
    service: &Service,
    request: S3Request<DeleteBucketEncryptionInput>,
) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.encryption = None;
        Ok(())
    })?;
    Ok(S3Response::new(DeleteBucketEncryptionOutput::default()))
}

/// `GET ?policy`.
pub(super) fn get_policy(
    service: &Service,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<S3Response<GetBucketPolicyOutput>> {
    let policy = service.bucket(&request, &request.input.bucket)?.policy;
    let policy = policy.ok_or_else(|| usual(S3ErrorCode::NoSuchBucketPolicy))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(S3Response::with_headers(GetBucketPolicyOutput { policy: Some(policy) }, headers))
}

/// `PUT ?policy`.
pub(super) fn put_policy(
    service: &Service,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<S3Response<PutBucketPolicyOutput>> {
    let input = &request.input;
    service.configure(Visit::of(&request)?, &input.bucket, |bucket| {
        Policy::parse(&input.policy, &bucket.name).map_err(|why| refuse(S3ErrorCode::MalformedPolicy, why))?;
        bucket.policy = Some(Policy::in_order(&input.policy));
        Ok(())
    })?;
    Ok(S3Response::new(PutBucketPolicyOutput::default()))
}

/// `DELETE ?policy`.
pub(super) fn delete_policy(
    service: &Service,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
    service.configure(Visit::of(&request)?, &request.input.bucket, |bucket| {
        bucket.policy = None;
        Ok(())
    })?;
    Ok(S3Response::new(DeleteBucketPolicyOutput::default()))
}

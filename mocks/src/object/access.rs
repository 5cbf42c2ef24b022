//! What each operation is in the words of policies and permission sets, and whether a caller may do it.
//!
//! IAM must allow it in the bucket's project, on whose behalf the request must
//! be signed. Where the bucket has a policy, that must allow it, too, and takes
//! the place of ACLs. A policy or an ACL can open a bucket to everybody.

use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
};

use super::{
    acl::{ALL_USERS, AUTHENTICATED_USERS, Acl},
    auth::{Caller, Errand, Key, Permission, canonical},
    errors::{access_denied, not_implemented},
    policy::{Decision, Policy},
    records::{self, Bucket},
    service::{Service, Visit},
};

/// An operation.
pub(super) struct Action {
    operation: &'static str,
    /// Its name in policies.
    name: &'static str,
    /// Its name when it is about a certain version; the same where there is no other.
    of_version: &'static str,
    permission: Permission,
    /// The permission of an ACL that allows it as well; empty if none does.
    acl: &'static str,
}

use Permission::{BucketPolicy, BucketsDelete, BucketsRead, BucketsWrite, ObjectsDelete, ObjectsRead, ObjectsWrite};

const fn action(operation: &'static str, name: &'static str, permission: Permission, acl: &'static str) -> Action {
    Action { operation, name, of_version: name, permission, acl }
}

const fn versioned(
    operation: &'static str,
    [name, of_version]: [&'static str; 2],
    permission: Permission,
    acl: &'static str,
) -> Action {
    Action { operation, name, of_version, permission, acl }
}

/// The reading of an object.
pub(super) const GET: Action = versioned("GetObject", ["s3:GetObject", "s3:GetObjectVersion"], ObjectsRead, "READ");
/// The deletion of an object.
pub(super) const DELETE: Action =
    versioned("DeleteObject", ["s3:DeleteObject", "s3:DeleteObjectVersion"], ObjectsDelete, "WRITE");

/// Every operation there is. Deleting many objects is decided object by object, copying also about the source.
const ACTIONS: &[Action] = &[
    action("ListBuckets", "s3:ListAllMyBuckets", BucketsRead, ""),
    action("CreateBucket", "s3:CreateBucket", BucketsWrite, ""),
    action("DeleteBucket", "s3:DeleteBucket", BucketsDelete, ""),
    action("HeadBucket", "s3:ListBucket", BucketsRead, "READ"),
    action("GetBucketLocation", "s3:GetBucketLocation", BucketsRead, ""),
    action("GetBucketVersioning", "s3:GetBucketVersioning", BucketsRead, ""),
    action("PutBucketVersioning", "s3:PutBucketVersioning", BucketsWrite, ""),
    action("GetBucketAcl", "s3:GetBucketAcl", BucketsRead, "READ_ACP"),
    action("PutBucketAcl", "s3:PutBucketAcl", BucketsWrite, "WRITE_ACP"),
    action("GetBucketTagging", "s3:GetBucketTagging", BucketsRead, ""),
    action("PutBucketTagging", "s3:PutBucketTagging", BucketsWrite, ""),
    action("DeleteBucketTagging", "s3:PutBucketTagging", BucketsWrite, ""),
    action("GetBucketCors", "s3:GetBucketCORS", BucketsRead, ""),
    action("PutBucketCors", "s3:PutBucketCORS", BucketsWrite, ""),
    action("DeleteBucketCors", "s3:PutBucketCORS", BucketsWrite, ""),
    action("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration", BucketsRead, ""),
    action("PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration", BucketsWrite, ""),
    action("DeleteBucketLifecycle", "s3:PutLifecycleConfiguration", BucketsWrite, ""),
    action("GetBucketWebsite", "s3:GetBucketWebsite", BucketsRead, ""),
    action("PutBucketWebsite", "s3:PutBucketWebsite", BucketsWrite, ""),
    action("DeleteBucketWebsite", "s3:DeleteBucketWebsite", BucketsWrite, ""),
    action("GetBucketEncryption", "s3:GetEncryptionConfiguration", BucketsRead, ""),
    action("PutBucketEncryption", "s3:PutEncryptionConfiguration", BucketsWrite, ""),
    action("DeleteBucketEncryption", "s3:PutEncryptionConfiguration", BucketsWrite, ""),
    action("GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration", BucketsRead, ""),
    action("PutObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration", BucketsWrite, ""),
    action("GetBucketPolicy", "s3:GetBucketPolicy", BucketPolicy, ""),
    action("PutBucketPolicy", "s3:PutBucketPolicy", BucketPolicy, ""),
    action("DeleteBucketPolicy", "s3:DeleteBucketPolicy", BucketPolicy, ""),
    action("ListObjects", "s3:ListBucket", ObjectsRead, "READ"),
    action("ListObjectsV2", "s3:ListBucket", ObjectsRead, "READ"),
    action("ListObjectVersions", "s3:ListBucketVersions", ObjectsRead, "READ"),
    action("ListMultipartUploads", "s3:ListBucketMultipartUploads", ObjectsRead, "READ"),
    GET,
    versioned("HeadObject", ["s3:GetObject", "s3:GetObjectVersion"], ObjectsRead, "READ"),
    versioned("GetObjectAttributes", ["s3:GetObject", "s3:GetObjectVersion"], ObjectsRead, "READ"),
    action("PutObject", "s3:PutObject", ObjectsWrite, "WRITE"),
    action("CopyObject", "s3:PutObject", ObjectsWrite, "WRITE"),
    DELETE,
    action("GetObjectAcl", "s3:GetObjectAcl", ObjectsRead, "READ_ACP"),
    action("PutObjectAcl", "s3:PutObjectAcl", ObjectsWrite, "WRITE_ACP"),
    versioned("GetObjectTagging", ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"], ObjectsRead, ""),
    versioned("PutObjectTagging", ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"], ObjectsWrite, ""),
    versioned("DeleteObjectTagging", ["s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"], ObjectsWrite, ""),
    action("GetObjectRetention", "s3:GetObjectRetention", ObjectsRead, ""),
    action("PutObjectRetention", "s3:PutObjectRetention", ObjectsWrite, ""),
    action("GetObjectLegalHold", "s3:GetObjectLegalHold", ObjectsRead, ""),
    action("PutObjectLegalHold", "s3:PutObjectLegalHold", ObjectsWrite, ""),
    action("CreateMultipartUpload", "s3:PutObject", ObjectsWrite, "WRITE"),
    action("UploadPart", "s3:PutObject", ObjectsWrite, "WRITE"),
    action("UploadPartCopy", "s3:PutObject", ObjectsWrite, "WRITE"),
    action("CompleteMultipartUpload", "s3:PutObject", ObjectsWrite, "WRITE"),
    action("AbortMultipartUpload", "s3:AbortMultipartUpload", ObjectsWrite, "WRITE"),
    action("ListParts", "s3:ListMultipartUploadParts", ObjectsRead, ""),
];

/// What each operation asks of IAM.
pub(crate) fn operations() -> impl Iterator<Item = Permission> {
    ACTIONS.iter().map(|action| action.permission)
}

/// Whether a caller may do this to a bucket, or to an object in it.
pub(super) fn allowed(
    service: &Service,
    visit: &Visit,
    bucket: &Bucket,
    key: Option<&str>,
    version: Option<&str>,
    action: &Action,
) -> bool {
    let caller = &visit.caller;
    let decide = |by_iam: bool| {
        let Some(policy) = &bucket.policy else {
            return by_iam || by_acl(service, caller, bucket, key, version, action);
        };
        let name = if version.is_some() { action.of_version } else { action.name };
        let resource = match key {
            Some(key) => format!("{}/{key}", bucket.name),
            None => bucket.name.clone(),
        };
        // It was checked when it was put: one that cannot be read allows nothing.
        let Ok(policy) = Policy::parse(policy, &bucket.name) else { return false };
        match policy.decide(caller, name, &resource, &visit.facts) {
            Decision::AllowedToAll => true,
            Decision::Allowed => by_iam,
            Decision::Silent => by_iam && policy.leaves_project_alone,
            Decision::Denied => false,
        }
    };
    let Caller::Signed { key: signed, project_id } = caller else { return decide(false) };
    let own = signed.organization_id == bucket.organization_id;
    if own && action.permission == BucketPolicy && service.identity.owns_organization(signed) {
        return service.identity.lets(&errand(visit, signed, &bucket.project_id, &bucket.name, action), true);
    }
    // Nobody has a right in another project than that on whose behalf he asks.
    if *project_id != bucket.project_id {
        return decide(false);
    }
    let errand = errand(visit, signed, project_id, &bucket.name, action);
    if service.identity.may(&errand) {
        service.identity.lets(&errand, true);
        return decide(true);
    }
    // Only what IAM would have made a difference to is a denial of it.
    decide(false) || (decide(true) && service.identity.lets(&errand, false))
}

fn errand<'a>(visit: &'a Visit, key: &'a Key, project_id: &'a str, bucket: &'a str, action: &Action) -> Errand<'a> {
    let (operation, permission) = (action.operation, action.permission);
    Errand { key, origin: &visit.origin, project_id, bucket, operation, permission }
}

/// Whether IAM lets somebody do what is about no bucket that there is.
fn allowed_in_project(service: &Service, visit: &Visit, key: &Key, project_id: &str, action: &Action) -> bool {
    let errand = errand(visit, key, project_id, "", action);
    let may = service.identity.may(&errand);
    service.identity.lets(&errand, may)
}

fn by_acl(
    service: &Service,
    caller: &Caller,
    bucket: &Bucket,
    key: Option<&str>,
    version: Option<&str>,
    action: &Action,
) -> bool {
    if action.acl.is_empty() {
        return false;
    }
    let own_name = caller.project().map(canonical);
    let mut grantees = vec![ALL_USERS];
    if let Some(name) = &own_name {
        grantees.extend([AUTHENTICATED_USERS, name.as_str()]);
    }
    let grants = |acl: &Acl| {
        let own = own_name.as_deref() == Some(&canonical(&bucket.project_id));
        // The owner's own grant gives nothing that IAM did not.
        let grantees: Vec<&str> =
            grantees.iter().copied().filter(|name| !own || Some(*name) != own_name.as_deref()).collect();
        acl.grants(action.acl, &grantees)
    };
    match key {
        // Writing objects is a right on the bucket, everything else one on the object.
        Some(key) if action.acl != "WRITE" => {
            let found = service.store.read(|tables| match version {
                Some(id) => records::version(tables, &bucket.name, key, id),
                None => records::newest(tables, &bucket.name, key),
            });
            found.is_some_and(|version| grants(&version.meta.acl))
        }
        _ => grants(&bucket.acl),
    }
}

#[async_trait::async_trait]
impl S3Access for Service {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name().to_owned();
        let access_key = context.credentials().map(|credentials| credentials.access_key.clone());
        let caller = match access_key {
            None => Caller::Anonymous,
            Some(access_key) => Caller::signed(&*self.identity, &access_key)?,
        };
        let name = context.s3_path().get_bucket_name().map(str::to_owned);
        let key = context.s3_path().get_object_key().map(str::to_owned);
        let query = form_urlencoded::parse(context.uri().query().unwrap_or_default().as_bytes());
        let version = query.into_iter().find(|(name, _)| name == "versionId").map(|(_, id)| id.into_owned());
        let expected = context.headers().get("x-amz-expected-bucket-owner").cloned();
        let headers = context.headers().clone();
        let visit = Visit::new(&headers, context.extensions_mut(), caller);
        let bucket = name.and_then(|name| self.store.read(|tables| self.bucket_in(tables, &visit, &name).ok()));
        let result = match ACTIONS.iter().find(|action| action.operation == operation) {
            _ if operation == "DeleteObjects" => Ok(()),
            None => Err(not_implemented(format!("The local cloud does not implement {operation}."))),
            Some(action) => match (&visit.caller, &bucket) {
                (Caller::Signed { key, project_id }, None)
                    if matches!(operation.as_str(), "ListBuckets" | "CreateBucket") =>
                {
                    let may = allowed_in_project(self, &visit, key, project_id, action);
                    if may { Ok(()) } else { Err(access_denied()) }
                }
                (Caller::Anonymous, _) if matches!(operation.as_str(), "ListBuckets" | "CreateBucket") => {
                    Err(access_denied())
                }
                (Caller::Signed { key, project_id }, Some(_)) if operation == "CreateBucket" => {
                    let may = allowed_in_project(self, &visit, key, project_id, action);
                    if may { Ok(()) } else { Err(access_denied()) }
                }
                // The operation itself says that there is no such bucket.
                (_, None) => Ok(()),
                (_, Some(bucket)) => {
                    if allowed(self, &visit, bucket, key.as_deref(), version.as_deref(), action) {
                        Ok(())
                    } else {
                        Err(access_denied())
                    }
                }
            },
        };
        let owned = expected.is_none_or(|expected| {
            bucket.as_ref().is_none_or(|bucket| {
                expected == bucket.project_id.as_str() || expected == canonical(&bucket.project_id).as_str()
            })
        });
        context.extensions_mut().insert(visit);
        result.and_then(|()| if owned { Ok(()) } else { Err(access_denied()) })
    }
}

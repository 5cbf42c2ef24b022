//! Access control lists: canned, by header or by XML, kept and told as grants.

use http::HeaderMap;
use s3s::{
    S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        AccessControlPolicy, GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput, GetObjectAclOutput, Grant,
        Grantee, Owner, Permission, PutBucketAclInput, PutBucketAclOutput, PutObjectAclInput, PutObjectAclOutput, Type,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    auth::canonical,
    errors::{invalid_argument, invalid_request, refuse},
    service::{Service, Visit},
    version,
};

/// Everybody.
pub(super) const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
/// Everybody with a valid signature.
pub(super) const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

const PERMISSIONS: [&str; 5] = ["FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"];

/// The headers that grant, and what.
const HEADERS: [(&str, &str); 5] = [
    ("x-amz-grant-full-control", "FULL_CONTROL"),
    ("x-amz-grant-read", "READ"),
    ("x-amz-grant-write", "WRITE"),
    ("x-amz-grant-read-acp", "READ_ACP"),
    ("x-amz-grant-write-acp", "WRITE_ACP"),
];

/// An access control list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acl {
    grants: Vec<Entry>,
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// An owner's canonical id, or a group's URI.
    grantee: String,
    permission: String,
}

impl Acl {
    /// Only the owner may do anything.
    pub(super) fn private(owner: &str) -> Self {
        Self { grants: vec![Entry { grantee: owner.to_owned(), permission: "FULL_CONTROL".to_owned() }] }
    }

    /// Whether nothing is granted to anyone.
    pub(super) fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// What a new bucket or object gets by the headers of its request.
    pub(super) fn of_headers(headers: &HeaderMap, owner: &str) -> S3Result<Self> {
        let canned = headers.get("x-amz-acl").map(|value| value.to_str().unwrap_or_default());
        let granted = granted(headers)?;
        match canned {
            Some(_) if !granted.is_empty() => {
                Err(invalid_request("Specifying both Canned ACLs and Header Grants is not allowed"))
            }
            Some(canned) => Self::canned(canned, owner),
            None if granted.is_empty() => Ok(Self::private(owner)),
            None => Ok(Self { grants: granted }),
        }
    }

    fn canned(name: &str, owner: &str) -> S3Result<Self> {
        let more: &[(&str, &str)] = match name {
            "private" | "bucket-owner-read" | "bucket-owner-full-control" | "aws-exec-read" => &[],
            "public-read" => &[(ALL_USERS, "READ")],
            "public-read-write" => &[(ALL_USERS, "READ"), (ALL_USERS, "WRITE")],
            "authenticated-read" => &[(AUTHENTICATED_USERS, "READ")],
            "log-delivery-write" => &[(LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")],
            _ => return Err(invalid_argument("The canned ACL is not known")),
        };
        let mut acl = Self::private(owner);
        let more = more.iter().map(|(grantee, permission)| entry(grantee, permission));
        acl.grants.extend(more);
        Ok(acl)
    }

    /// What an XML document grants.
    fn of_xml(policy: &AccessControlPolicy) -> S3Result<Self> {
        let malformed = || refuse(S3ErrorCode::MalformedACLError, "The ACL is not well-formed");
        let grants = policy.grants.iter().flatten().map(|grant| {
            let grantee = grant.grantee.as_ref().ok_or_else(malformed)?;
            let who = grantee.uri.as_ref().or(grantee.id.as_ref()).ok_or_else(malformed)?;
            let permission = grant.permission.as_ref().ok_or_else(malformed)?;
            checked(who, permission.as_str()).ok_or_else(malformed)
        });
        Ok(Self { grants: grants.collect::<S3Result<_>>()? })
    }

    /// Whether one of these grantees has this permission.
    pub(super) fn grants(&self, permission: &str, grantees: &[&str]) -> bool {
        self.grants.iter().any(|entry| {
            grantees.contains(&entry.grantee.as_str())
                && (entry.permission == permission || entry.permission == "FULL_CONTROL")
        })
    }

    fn to_xml(&self) -> Vec<Grant> {
        let grant = |entry: &Entry| {
            let group = entry.grantee.contains("://");
            let grantee = Grantee {
                display_name: (!group).then(|| entry.grantee.clone()),
                email_address: None,
                id: (!group).then(|| entry.grantee.clone()),
                type_: Type::from_static(if group { Type::GROUP } else { Type::CANONICAL_USER }),
                uri: group.then(|| entry.grantee.clone()),
            };
            Grant { grantee: Some(grantee), permission: Some(Permission::from(entry.permission.clone())) }
        };
        self.grants.iter().map(grant).collect()
    }
}

/// The owner of a project's things, as answers tell it.
pub(super) fn owner(project_id: &str) -> Owner {
    Owner { display_name: Some(canonical(project_id)), id: Some(canonical(project_id)) }
}

fn entry(grantee: &str, permission: &str) -> Entry {
    Entry { grantee: grantee.to_owned(), permission: permission.to_owned() }
}

fn checked(grantee: &str, permission: &str) -> Option<Entry> {
    let known = !grantee.contains("://") || [ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY].contains(&grantee);
    (known && !grantee.is_empty() && PERMISSIONS.contains(&permission)).then(|| entry(grantee, permission))
}

fn granted(headers: &HeaderMap) -> S3Result<Vec<Entry>> {
    let mut grants = Vec::new();
    for (header, permission) in HEADERS {
        for value in headers.get_all(header) {
            for one in value.to_str().unwrap_or_default().split(',') {
                let grantee = one.trim().split_once('=').map(|(kind, who)| (kind.trim(), who.trim().trim_matches('"')));
                let found = match grantee {
                    Some(("id" | "uri", who)) => checked(who, permission),
                    _ => None,
                };
                grants.push(found.ok_or_else(|| invalid_argument("Argument format not recognized"))?);
            }
        }
    }
    Ok(grants)
}

/// `GET ?acl`.
pub(super) fn get_bucket(
    service: &Service,
    request: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    let bucket = service.bucket(&request, &request.input.bucket)?;
    let (owner, grants) = (Some(owner(&bucket.project_id)), Some(bucket.acl.to_xml()));
    Ok(S3Response::new(GetBucketAclOutput { owner, grants }))
}

/// `PUT ?acl`.
pub(super) fn put_bucket(
    service: &Service,
    request: S3Request<PutBucketAclInput>,
) -> S3Result<S3Response<PutBucketAclOutput>> {
    let visit = Visit::of(&request)?;
    service.configure(visit, &request.input.bucket, |bucket| {
        bucket.acl = match &request.input.access_control_policy {
            Some(policy) => Acl::of_xml(policy)?,
            None => Acl::of_headers(&request.headers, &canonical(&bucket.project_id))?,
        };
        Ok(())
    })?;
    Ok(S3Response::new(PutBucketAclOutput::default()))
}

/// `GET <key>?acl`.
pub(super) fn get_object(
    service: &Service,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = &request.input;
    let bucket = service.bucket(&request, &input.bucket)?;
    let version = version::find(service, &bucket, &input.key, input.version_id.as_deref())?;
    let (owner, grants) = (Some(owner(&bucket.project_id)), Some(version.meta.acl.to_xml()));
    Ok(S3Response::new(GetObjectAclOutput { owner, grants, ..Default::default() }))
}

/// `PUT <key>?acl`.
pub(super) fn put_object(
    service: &Service,
    request: S3Request<PutObjectAclInput>,
) -> S3Result<S3Response<PutObjectAclOutput>> {
    let input = &request.input;
    let visit = Visit::of(&request)?;
    version::amend(service, visit, &input.bucket, &input.key, input.version_id.as_deref(), |bucket, version, _| {
        version.meta.acl = match &input.access_control_policy {
            Some(policy) => Acl::of_xml(policy)?,
            None => Acl::of_headers(&request.headers, &canonical(&bucket.project_id))?,
        };
        Ok(())
    })?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

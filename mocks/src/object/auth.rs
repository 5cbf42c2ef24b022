//! Who asks: access keys, and the caller they make.

use std::sync::Arc;

use s3s::{
    S3ErrorCode, S3Result,
    auth::{S3Auth, SecretKey},
};

use super::errors::usual;
use crate::kernel::Origin;

/// What Object Storage asks of identity.
pub trait Identity: Send + Sync + 'static {
    /// The secret and owner of an access key; none if there is no such key or it has expired.
    fn access_key(&self, access_key: &str) -> Option<Key>;

    /// Whether IAM lets the owner of this key do this in this project.
    fn may(&self, errand: &Errand<'_>) -> bool;

    /// Hears what IAM's answer was worth once everything else was looked at, and gives whether it is let through.
    fn lets(&self, _errand: &Errand<'_>, allowed: bool) -> bool {
        allowed
    }

    /// Whether the owner of this key owns the organisation: such a user may always put and delete bucket policies.
    fn owns_organization(&self, _key: &Key) -> bool {
        false
    }
}

/// An access key.
#[derive(Clone, Debug)]
pub struct Key {
    /// What its requests are signed with.
    pub secret_key: String,
    /// Whose it is.
    pub principal: Principal,
    /// The organisation of its owner.
    pub organization_id: String,
    /// The project of requests that name none.
    pub default_project_id: String,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// The key it was signed with.
    pub key: &'a Key,
    /// Where the request came from.
    pub origin: &'a Origin,
    /// The project it is about.
    pub project_id: &'a str,
    /// The bucket; empty where it is about none.
    pub bucket: &'a str,
    /// The operation.
    pub operation: &'static str,
    /// What IAM calls it.
    pub permission: Permission,
}

/// The owner of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A user, by id.
    User(String),
    /// An application, by id.
    Application(String),
    /// One of the cloud's own products, by name.
    Service(String),
}

/// What IAM's permission sets tell apart in Object Storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// List buckets and read their configuration, list objects.
    BucketsRead,
    /// Create and configure buckets.
    BucketsWrite,
    /// Delete buckets.
    BucketsDelete,
    /// Read objects.
    ObjectsRead,
    /// Write objects.
    ObjectsWrite,
    /// Delete objects.
    ObjectsDelete,
    /// Read, put and delete bucket policies.
    BucketPolicy,
}

/// Who makes a request.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// Nobody said.
    Anonymous,
    /// Somebody with a valid signature, on behalf of a project.
    Signed { key: Key, project_id: String },
}

impl Caller {
    /// The caller of a verified access key, in the form `SCW…` or `SCW…@<project>`.
    pub(super) fn signed(identity: &dyn Identity, access_key: &str) -> S3Result<Self> {
        let (name, project) = split(access_key);
        let key = identity.access_key(name).ok_or_else(|| usual(S3ErrorCode::InvalidAccessKeyId))?;
        let project_id = project.unwrap_or(&key.default_project_id).to_owned();
        Ok(Self::Signed { key, project_id })
    }

    /// The project the caller acts for.
    pub(super) fn project(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Signed { project_id, .. } => Some(project_id),
        }
    }
}

/// How an owner is named in answers: `<project>:<project>`.
pub(super) fn canonical(project_id: &str) -> String {
    format!("{project_id}:{project_id}")
}

fn split(access_key: &str) -> (&str, Option<&str>) {
    match access_key.split_once('@') {
        Some((name, project)) => (name, Some(project).filter(|project| !project.is_empty())),
        None => (access_key, None),
    }
}

/// Tells s3s the secret of an access key.
pub(super) struct Secrets(pub(super) Arc<dyn Identity>);

#[async_trait::async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let key = self.0.access_key(split(access_key).0).ok_or_else(|| usual(S3ErrorCode::InvalidAccessKeyId))?;
        Ok(SecretKey::from(key.secret_key))
    }
}

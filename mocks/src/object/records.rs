//! What Object Storage keeps: buckets, versions of objects, uploads and their parts, and under which keys.

use std::sync::Arc;

use s3s::dto::{
    BucketLifecycleConfiguration, CORSConfiguration, ObjectLockConfiguration, ServerSideEncryptionConfiguration, Tag,
    WebsiteConfiguration,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use super::{acl::Acl, content::Content, meta::Meta};
use crate::kernel::{Record, Tables, Transaction};

/// The kind of buckets; the key is the bucket's name, which is unique in all regions.
pub(crate) const BUCKET: &str = "object.bucket";
/// The kind of object versions and delete markers; see [`version_key`].
pub(super) const VERSION: &str = "object.version";
/// The kind of unfinished multipart uploads: bucket, key, upload.
pub(super) const UPLOAD: &str = "object.upload";
/// The kind of uploaded parts: upload, part number.
pub(super) const PART: &str = "object.part";

/// Sorts after every key that begins with what stands before it.
pub(super) const END: char = char::MAX;

/// Whether a bucket keeps the versions of its objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Versioning {
    /// Nobody ever asked for it: there are only null versions.
    #[default]
    Never,
    /// Each write makes a version.
    Enabled,
    /// Versions there are stay; a write replaces the null version.
    Suspended,
}

/// A bucket and its configuration.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) project_id: String,
    pub(super) organization_id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created_at: OffsetDateTime,
    pub(super) versioning: Versioning,
    pub(super) acl: Acl,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<Tag>,
    /// There if the bucket was made with Object Lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lock: Option<ObjectLockConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cors: Option<CORSConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lifecycle: Option<BucketLifecycleConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) website: Option<WebsiteConfiguration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encryption: Option<ServerSideEncryptionConfiguration>,
    /// The policy as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
}

/// A version of an object, or a delete marker.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) bucket: String,
    pub(super) key: String,
    /// Microseconds since 1970, rising within a key.
    pub(super) stamp: u64,
    /// The stamp, or `null`.
    pub(super) version_id: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) modified_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) delete_marker: bool,
    #[serde(flatten)]
    pub(super) content: Content,
    #[serde(flatten)]
    pub(super) meta: Meta,
}

/// An unfinished multipart upload: what its object will have.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) bucket: String,
    pub(super) key: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) initiated_at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) algorithm: Option<String>,
    #[serde(default)]
    pub(super) full_object: bool,
    #[serde(flatten)]
    pub(super) meta: Meta,
}

/// An uploaded part.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) number: i32,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) modified_at: OffsetDateTime,
    #[serde(flatten)]
    pub(super) content: Content,
}

impl Version {
    /// Where it is kept.
    pub(super) fn place(&self) -> String {
        version_key(&self.bucket, &self.key, self.stamp)
    }
}

impl Upload {
    /// Where it is kept.
    pub(super) fn place(&self) -> String {
        upload_key(&self.bucket, &self.key, &self.id)
    }
}

/// The key of a version: a scan meets objects in the order of their keys, and of each the newest version first.
pub(super) fn version_key(bucket: &str, key: &str, stamp: u64) -> String {
    format!("{bucket}\0{key}\0{:016x}", u64::MAX - stamp)
}

/// The object key and the stamp in a version's key.
pub(super) fn parse_version_key(place: &str) -> Option<(&str, u64)> {
    let (_, rest) = place.split_once('\0')?;
    let (key, stamp) = rest.rsplit_once('\0')?;
    Some((key, u64::MAX - u64::from_str_radix(stamp, 16).ok()?))
}

/// What the keys of all versions of an object begin with.
pub(super) fn versions_of(bucket: &str, key: &str) -> String {
    format!("{bucket}\0{key}\0")
}

/// The key of an upload.
pub(super) fn upload_key(bucket: &str, key: &str, upload: &str) -> String {
    format!("{bucket}\0{key}\0{upload}")
}

/// The key of a part.
pub(super) fn part_key(upload: &str, number: i32) -> String {
    format!("{upload}\0{number:05}")
}

/// A record as the type it was kept as. What does not fit is not there: it was written by another release.
pub(super) fn read<T: DeserializeOwned>(record: &Arc<Record>) -> Option<T> {
    record.to().inspect_err(|error| tracing::error!(%error, "a record of Object Storage cannot be read")).ok()
}

/// A bucket, wherever it is.
pub(super) fn bucket(tables: &Tables, name: &str) -> Option<Bucket> {
    read(tables.get(BUCKET, name)?)
}

/// The newest version of an object, delete markers included.
pub(super) fn newest(tables: &Tables, bucket: &str, key: &str) -> Option<Version> {
    read(tables.under(VERSION, &versions_of(bucket, key), None).next()?.1)
}

/// The newest version of an object, if that is no delete marker.
pub(super) fn current(tables: &Tables, bucket: &str, key: &str) -> Option<Version> {
    newest(tables, bucket, key).filter(|version| !version.delete_marker)
}

/// A certain version of an object.
pub(super) fn version(tables: &Tables, bucket: &str, key: &str, id: &str) -> Option<Version> {
    if let Ok(stamp) = id.parse() {
        let found: Option<Version> = tables.get(VERSION, &version_key(bucket, key, stamp)).and_then(read);
        return found.filter(|version| version.version_id == id);
    }
    tables
        .under(VERSION, &versions_of(bucket, key), None)
        .find(|(_, record)| record.text("version_id") == id)
        .and_then(|(_, record)| read(record))
}

/// Writes a bucket.
pub(super) fn put_bucket(transaction: &mut Transaction<'_>, bucket: &Bucket, what: &str) {
    transaction.put(BUCKET, &bucket.name, Record::of(bucket));
    transaction.event(BUCKET, &bucket.name, what, None);
}

/// Writes a version in its place.
pub(super) fn put_version(transaction: &mut Transaction<'_>, version: &Version) {
    transaction.put(VERSION, &version.place(), Record::of(version));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_sort_first_and_versions_of_a_key_before_the_next_key() {
        let mut keys =
            [version_key("b", "a", 1), version_key("b", "a", 2), version_key("b", "a!", 9), version_key("b", "aa", 5)];
        keys.sort();
        let order: Vec<_> = keys.iter().filter_map(|key| parse_version_key(key)).collect();
        assert_eq!(order, [("a", 2), ("a", 1), ("a!", 9), ("aa", 5)]);
    }
}

//! Bringing back a version, and keeping copies.

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, macros::format_description};

use super::{
    Compression, Entry, Error, Finding, Stack, Stored, Verdict, compression::marked, current, existing, history,
    verify, version,
};
use crate::bucket::{self, Bucket, Condition, ETag, Writer};

/// Where Pulumi says how it lays out a bucket.
const META: &str = ".pulumi/meta.yaml";

/// What a restore did.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    /// Where the state is.
    pub key: String,
    /// Which version was brought back.
    pub from: String,
    /// Where the state lies that was current before; none if there was none.
    pub safety_copy: Option<String>,
    /// What the state was called before.
    pub before: Option<ETag>,
    /// What it is called now.
    pub after: ETag,
    /// The version it is now, in a bucket with versioning.
    pub version: Option<String>,
    /// What was found in it that does not keep it from being used.
    pub findings: Vec<Finding>,
}

/// Brings a version back as the current state. Hold the lease, and give a writer that asks for it
/// ([`Leased`](crate::gateway::Leased)).
///
/// The version has to be whole, and nothing may have been under way in it unless `accept_pending`. The current
/// state is copied first. What is written has the version's content and an ETag that was never there before, so
/// that no other writer takes it for what it once saw.
///
/// # Errors
/// When the version is not whole, gone, or damaged; when something was under way in it; when somebody else wrote in
/// between; when the lease is lost; when the bucket does not answer or refuses. The state is then as it was.
pub async fn restore(
    bucket: &Bucket,
    writer: &dyn Writer,
    stack: &Stack,
    entry: &Entry,
    accept_pending: bool,
) -> Result<Restored, Error> {
    let wanted = version(bucket, entry).await?;
    let pending = wanted.checkpoint.pending().len();
    if pending > 0 && !accept_pending {
        return Err(Error::Pending { version: entry.version.id.clone(), count: pending });
    }
    put_back(bucket, writer, stack, &wanted, &entry.version.id, &wanted.key).await
}

/// Brings back a state that is not there any more: the newest version that the bucket has kept, or else the newest
/// copy in the backup bucket. What is not whole is passed over. What was under way in it still is.
///
/// # Errors
/// When nothing is left of it; when somebody else wrote in between; when the lease is lost; when a bucket does not
/// answer or refuses.
pub async fn bring_back(
    bucket: &Bucket,
    backups: &Bucket,
    writer: &dyn Writer,
    stack: &Stack,
) -> Result<Restored, Error> {
    // Without this mark Pulumi takes a bucket that is not empty for one of its oldest layout.
    match writer.put(META, Bytes::from_static(b"version: 1\n"), &Condition::Absent).await {
        Err(bucket::Error::Changed { .. }) => {}
        marked => drop(marked?),
    }
    for entry in history(bucket, stack).await?.entries.iter().filter(|entry| !entry.version.deleted) {
        let wanted = version(bucket, entry).await?;
        if verify(&wanted.checkpoint, None).is_whole() {
            return put_back(bucket, writer, stack, &wanted, &entry.version.id, &wanted.key).await;
        }
    }
    let copy = newest_copy(bucket, backups, stack).await?;
    put_back(bucket, writer, stack, &copy, &copy.key, &stack.checkpoint(Compression::None)).await
}

/// The newest copy in the backup bucket that is whole.
///
/// # Errors
/// When there is none, or the bucket does not answer or refuses.
pub async fn newest_copy(bucket: &Bucket, backups: &Bucket, stack: &Stack) -> Result<Stored, Error> {
    for key in copies(backups, stack).await?.into_iter().rev() {
        let Some(object) = backups.get(&key, None).await? else { continue };
        let copy = Stored::read(&key, object.head, object.content)?;
        if verify(&copy.checkpoint, None).is_whole() {
            return Ok(copy);
        }
    }
    Err(Error::Nothing { stack: stack.to_string(), bucket: bucket.shown(), backups: backups.shown() })
}

/// The keys of a stack's copies in the backup bucket, the oldest first.
///
/// # Errors
/// When the bucket does not answer or refuses.
pub async fn copies(backups: &Bucket, stack: &Stack) -> Result<Vec<String>, Error> {
    // Their names begin with the moment.
    Ok(backups.list(&backups_of(stack)).await?.into_iter().map(|listed| listed.key).collect())
}

/// Makes a state that was read the current one, under `key` where there is none.
async fn put_back(
    bucket: &Bucket,
    writer: &dyn Writer,
    stack: &Stack,
    wanted: &Stored,
    from: &str,
    key: &str,
) -> Result<Restored, Error> {
    let Verdict { findings, .. } = whole(wanted, from)?;
    // The current state may be damaged: then it is copied as it lies there.
    let now = lying(bucket, stack).await?;
    let (key, condition) = match &now {
        Some((key, etag, _)) => (key.clone(), Condition::Is(etag.clone())),
        None => (key.to_owned(), Condition::Absent),
    };
    let safety_copy = match &now {
        Some((key, _, content)) => {
            let form = Compression::of(key);
            let copy = format!("{}{}.json{}", stack.safety(), stamp(OffsetDateTime::now_utc()), form.suffix());
            kept(bucket, writer, &copy, content.clone()).await?;
            Some(copy)
        }
        None => None,
    };
    let damaged = |why| Error::Damaged { key: key.clone(), why };
    let content = Compression::of(&key).pack(&marked(&wanted.json, rand::random())).map_err(damaged)?;
    let written = writer.put(&key, content, &condition).await?;
    Ok(Restored {
        key,
        from: from.to_owned(),
        safety_copy,
        before: now.map(|(_, etag, _)| etag),
        after: written.etag,
        version: written.version,
        findings,
    })
}

fn whole(stored: &Stored, name: &str) -> Result<Verdict, Error> {
    let verdict = verify(&stored.checkpoint, None);
    if verdict.is_whole() {
        return Ok(verdict);
    }
    let findings = verdict.errors().cloned().collect();
    Err(Error::NotWhole { version: name.to_owned(), findings })
}

/// What lies where the state belongs, whether it can be read or not.
async fn lying(bucket: &Bucket, stack: &Stack) -> Result<Option<(String, ETag, Bytes)>, Error> {
    match current(bucket, stack).await {
        Ok(stored) => Ok(stored.map(|stored| (stored.key, stored.head.etag, stored.content))),
        Err(Error::Damaged { key, .. }) => {
            let object = bucket.get(&key, None).await?;
            Ok(object.map(|object| (key, object.head.etag, object.content)))
        }
        Err(error) => Err(error),
    }
}

/// A copy outside of the bucket.
#[derive(Clone, Debug, Serialize)]
pub struct Backup {
    /// Where it lies in the backup bucket.
    pub key: String,
    /// Its size, packed.
    pub bytes: u64,
    /// The SHA-256 of what lies there.
    pub sha256: String,
    /// The ETag of the state it was made of.
    pub of: ETag,
    /// How many resources are in it.
    pub resources: usize,
    /// What was found in it. A state that is not whole is kept, too: it may be all there is.
    pub findings: Vec<Finding>,
}

/// Copies the current state, packed, into another bucket, and reads it back.
///
/// # Errors
/// When there is no state, it is damaged, reads back differently, or a bucket does not answer or refuses.
pub async fn backup(bucket: &Bucket, into: &Bucket, stack: &Stack) -> Result<Backup, Error> {
    keep(&existing(bucket, stack).await?, into, stack).await
}

/// The same with a state that was read already.
///
/// # Errors
/// As above.
pub async fn keep(stored: &Stored, into: &Bucket, stack: &Stack) -> Result<Backup, Error> {
    let (form, content) = match stored.compression {
        Compression::None => {
            let damaged = |why| Error::Damaged { key: stored.key.clone(), why };
            (Compression::Gzip, Compression::Gzip.pack(&stored.json).map_err(damaged)?)
        }
        packed => (packed, stored.content.clone()),
    };
    let moment = stamp(OffsetDateTime::now_utc());
    let key = format!("{}{moment}.json{}", backups_of(stack), form.suffix());
    let sha256 = kept(into, into, &key, content.clone()).await?;
    let verdict = verify(&stored.checkpoint, None);
    Ok(Backup {
        key,
        bytes: content.len() as u64,
        sha256,
        of: stored.head.etag.clone(),
        resources: verdict.resources,
        findings: verdict.findings,
    })
}

/// The folder of a stack's copies in the backup bucket.
pub(super) fn backups_of(stack: &Stack) -> String {
    format!("{}/{}/", stack.project(), stack.name())
}

/// Writes what must not be there yet, and reads it back. Returns its SHA-256.
async fn kept(bucket: &Bucket, writer: &dyn Writer, key: &str, content: Bytes) -> Result<String, Error> {
    let digest = Sha256::digest(&content);
    writer.put(key, content, &Condition::Absent).await?;
    match bucket.get(key, None).await? {
        Some(object) if Sha256::digest(&object.content) == digest => Ok(hex::encode(digest)),
        _ => Err(Error::NotKept { key: key.to_owned() }),
    }
}

/// A moment as part of a key: sorted by time, and no two alike.
fn stamp(moment: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second].[subsecond digits:6]Z");
    moment.format(format).unwrap_or_else(|_| moment.unix_timestamp_nanos().to_string())
}

//! What the checkpoints of this run's stacks were when it last saw them.
//!
//! Pulumi looks at a checkpoint before each write of it. If a look counted as knowing, a process that
//! slept through its succession would look, and then overwrite what its successor wrote. So what a
//! checkpoint is is learnt once, when the gateway opens; from then on only this run's own writes change
//! it, and anything else that is seen there ends the run's right to write.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::refusal::Refusal;
use crate::bucket::{Bucket, Condition, ETag, Error};

/// What was sent and never answered: it may have reached the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A content, by its SHA-256.
    Content([u8; 32]),
    /// A content in parts, by the ETag that S3 makes of theirs.
    Parts(ETag),
    /// The deletion.
    Nothing,
}

/// One checkpoint.
#[derive(Debug, Default)]
struct Seen {
    etag: Option<ETag>,
    unsure: Vec<Sent>,
}

/// The checkpoints of a run.
#[derive(Debug, Default)]
pub(super) struct Fence {
    seen: BTreeMap<String, Seen>,
}

impl Fence {
    /// Looks at checkpoints for the first time.
    pub(super) async fn open(bucket: &Bucket, keys: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let mut seen = BTreeMap::new();
        // To a HEAD a bucket that is not there looks like a checkpoint that is not.
        bucket.list(".pulumi/meta").await?;
        for key in keys {
            let etag = bucket.head(&key).await?.map(|head| head.etag);
            seen.insert(key, Seen { etag, unsure: Vec::new() });
        }
        Ok(Self { seen })
    }

    /// What must be true for a write of this checkpoint.
    pub(super) fn condition(&self, key: &str) -> Condition {
        Condition::unchanged(self.known(key))
    }

    /// What is known to be there.
    pub(super) fn known(&self, key: &str) -> Option<&ETag> {
        self.seen.get(key)?.etag.as_ref()
    }

    /// This run's write was acknowledged.
    pub(super) fn wrote(&mut self, key: &str, etag: Option<ETag>) {
        self.seen.insert(key.to_owned(), Seen { etag, unsure: Vec::new() });
    }

    /// This run's write was not acknowledged.
    pub(super) fn unsure(&mut self, key: &str, sent: Sent) {
        self.seen.entry(key.to_owned()).or_default().unsure.push(sent);
    }

    /// The checkpoints with writes of this run's that were not acknowledged.
    pub(super) fn unanswered(&self) -> Vec<String> {
        self.seen.iter().filter(|(_, seen)| !seen.unsure.is_empty()).map(|(key, _)| key.clone()).collect()
    }

    /// Something was seen there; whether it is this run's.
    pub(super) async fn saw(&mut self, bucket: &Bucket, key: &str, etag: Option<&ETag>) -> Result<(), Refusal> {
        if self.known(key) == etag { Ok(()) } else { self.look(bucket, key).await.map(drop) }
    }

    /// Looks whether what is there is this run's: what it last knew, or what it sent without an answer.
    /// Returns which of the latter it is.
    pub(super) async fn look(&mut self, bucket: &Bucket, key: &str) -> Result<Option<Sent>, Refusal> {
        let object = bucket.get(key, None).await.map_err(|error| Refusal::Unreachable(error.to_string()))?;
        let etag = object.as_ref().map(|object| object.head.etag.clone());
        let seen = self.seen.entry(key.to_owned()).or_default();
        if seen.etag == etag {
            return Ok(None);
        }
        let found = seen.unsure.iter().position(|sent| match (sent, &object) {
            (Sent::Content(digest), Some(object)) => Sha256::digest(&object.content)[..] == digest[..],
            (Sent::Parts(parts), Some(object)) => *parts == object.head.etag,
            (Sent::Nothing, None) => true,
            _ => false,
        });
        let Some(found) = found else { return Err(Refusal::Superseded(key.to_owned())) };
        // What was sent before it cannot come any more: its condition does not hold.
        let sent = seen.unsure.drain(..=found).next_back();
        seen.etag = etag;
        Ok(sent)
    }
}

impl Sent {
    /// A content.
    pub(super) fn content(content: &[u8]) -> Self {
        Self::Content(Sha256::digest(content).into())
    }

    /// A content in parts: S3 makes its ETag of the MD5 digests of those.
    pub(super) fn parts(complete: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(complete).ok()?;
        let document = crate::bucket::parse(text).ok()?;
        let parts = document.root_element().children().filter(|node| node.tag_name().name() == "Part");
        let etags: Vec<ETag> = parts.map(|part| ETag::new(crate::bucket::child(part, "ETag"))).collect();
        let mut digest = Md5::new();
        for etag in &etags {
            digest.update(hex::decode(etag.as_str()).ok()?);
        }
        Some(Self::Parts(ETag::new(&format!("{}-{}", hex::encode(digest.finalize()), etags.len()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_etag_of_parts_is_made_of_theirs() {
        // Two parts, `a` and `b`: MD5 of both digests, and their number.
        let complete = "<CompleteMultipartUpload>\
            <Part><PartNumber>1</PartNumber><ETag>\"0cc175b9c0f1b6a831c399e269772661\"</ETag></Part>\
            <Part><PartNumber>2</PartNumber><ETag>\"92eb5ffee6ae2fec3ad71c777531578f\"</ETag></Part>\
            </CompleteMultipartUpload>";
        let expected = ETag::new("96e024ba2074fe77e8e965ba43a704be-2");
        assert_eq!(Sent::parts(complete.as_bytes()), Some(Sent::Parts(expected)));
        assert_eq!(Sent::parts(b"no XML"), None);
    }
}

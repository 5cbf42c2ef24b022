//! The checkpoint of a stack as it is now, and as it was.

use bytes::Bytes;

use super::{Checkpoint, Compression, Error, Stack};
use crate::bucket::{Bucket, Head};

/// A checkpoint as it lies in the bucket.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its key.
    pub key: String,
    /// Its form.
    pub compression: Compression,
    /// What the bucket tells of it.
    pub head: Head,
    /// Its content as it lies there.
    pub content: Bytes,
    /// The same as JSON.
    pub json: Vec<u8>,
    /// The same in types.
    pub checkpoint: Checkpoint,
}

impl Stored {
    /// Reads what lies under a key.
    pub(super) fn read(key: &str, head: Head, content: Bytes) -> Result<Self, Error> {
        let compression = Compression::of(key);
        let damaged = |why| Error::Damaged { key: key.to_owned(), why };
        let json = compression.unpack(&content).map_err(damaged)?;
        let checkpoint = Checkpoint::read(&json).map_err(damaged)?;
        Ok(Self { key: key.to_owned(), compression, head, content, json, checkpoint })
    }
}

/// The current checkpoint of a stack; none if it has none.
///
/// # Errors
/// When it is damaged, or there are several forms of it, or the bucket does not answer or refuses.
pub async fn current(bucket: &Bucket, stack: &Stack) -> Result<Option<Stored>, Error> {
    let mut found = Vec::new();
    for key in stack.checkpoints() {
        if let Some(object) = bucket.get(&key, None).await? {
            found.push((key, object));
        }
    }
    if found.len() > 1 {
        return Err(Error::Several { keys: found.into_iter().map(|(key, _)| key).collect() });
    }
    found.pop().map(|(key, object)| Stored::read(&key, object.head, object.content)).transpose()
}

/// The same, where there has to be one.
///
/// # Errors
/// The same, and when there is none.
pub async fn existing(bucket: &Bucket, stack: &Stack) -> Result<Stored, Error> {
    current(bucket, stack).await?.ok_or_else(|| missing(bucket, stack))
}

pub(super) fn missing(bucket: &Bucket, stack: &Stack) -> Error {
    Error::Missing { stack: stack.to_string(), bucket: bucket.shown() }
}

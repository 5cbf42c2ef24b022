//! Taking over from a holder that did not say goodbye: what it remembers must not be what is there.

use crate::{
    bucket::{Bucket, Condition, ETag, Writer},
    checkpoint::{self, Compression, Stack},
};

/// What became of a checkpoint's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// Where the checkpoint is.
    pub key: String,
    /// What it was called: whoever still writes on condition of this is refused by the bucket.
    pub before: ETag,
    /// What it is called from now on.
    pub after: ETag,
}

/// Writes each form of a stack's checkpoint again with another whitespace at its end, so that its ETag is one that
/// it never had. Call it with the lease held and before a [`Gateway`](super::Gateway) is opened. Without a
/// checkpoint there is nothing to stamp: then a late write of the former holder makes one, and this run's first
/// write is refused by the bucket.
///
/// # Errors
/// When a checkpoint cannot be unpacked, was changed in between (the former holder still writes: try again), or
/// the bucket does not answer or refuses.
pub async fn stamp(bucket: &Bucket, writer: &dyn Writer, stack: &Stack) -> Result<Vec<Stamped>, checkpoint::Error> {
    let mut all = Vec::new();
    for form in Compression::ALL {
        let key = stack.checkpoint(form);
        let Some(object) = bucket.get(&key, None).await? else { continue };
        let damaged = |why| checkpoint::Error::Damaged { key: key.clone(), why };
        let plain = form.unpack(&object.content).map_err(damaged)?;
        let content = form.pack(&checkpoint::marked(&plain, rand::random())).map_err(damaged)?;
        let before = object.head.etag;
        let written = writer.put(&key, content, &Condition::Is(before.clone())).await?;
        all.push(Stamped { key, before, after: written.etag });
    }
    Ok(all)
}

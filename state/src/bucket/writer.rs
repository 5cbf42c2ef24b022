//! Through whom a checkpoint is written.

use async_trait::async_trait;
use bytes::Bytes;

use super::{Bucket, Condition, Error, Written};

/// Whoever may write into a bucket: the bucket's client itself, or one that asks the lease first
/// ([`Leased`](crate::gateway::Leased)).
#[async_trait]
pub trait Writer: Send + Sync {
    /// Writes an object, if the condition holds.
    async fn put(&self, key: &str, content: Bytes, condition: &Condition) -> Result<Written, Error>;

    /// Deletes an object.
    async fn delete(&self, key: &str) -> Result<(), Error>;
}

#[async_trait]
impl Writer for Bucket {
    async fn put(&self, key: &str, content: Bytes, condition: &Condition) -> Result<Written, Error> {
        Self::put(self, key, content, condition).await
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        Self::delete(self, key, None).await
    }
}

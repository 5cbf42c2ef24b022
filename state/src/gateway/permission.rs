//! Whether a run may write: the lease, as far as the gateway needs to know of it.

use std::{future::Future, sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;

use crate::bucket::{Bucket, Condition, Error, Writer, Written};

/// The right to write, for a time.
pub trait Permission: Send + Sync + 'static {
    /// Until when the right is good, as far as is known now; none once it is lost. It may be prolonged while a
    /// write is on its way, and is asked again then.
    fn valid_until(&self) -> Option<Instant>;
}

impl<P: Permission + ?Sized> Permission for Arc<P> {
    fn valid_until(&self) -> Option<Instant> {
        (**self).valid_until()
    }
}

impl Permission for tokio::sync::watch::Receiver<Option<Instant>> {
    fn valid_until(&self) -> Option<Instant> {
        *self.borrow()
    }
}

/// The right was lost, before or during a write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// Whether the right holds now.
pub(super) fn held(permission: &dyn Permission) -> bool {
    permission.valid_until().is_some_and(|until| until > Instant::now())
}

/// Lets a write run for as long as the right holds: it is dropped the moment that the right ends.
pub(super) async fn while_held<T>(permission: &dyn Permission, write: impl Future<Output = T>) -> Result<T, Lost> {
    let mut write = std::pin::pin!(write);
    loop {
        let until = permission.valid_until().filter(|until| *until > Instant::now()).ok_or(Lost)?;
        if let Ok(done) = tokio::time::timeout_at(until.into(), &mut write).await {
            return Ok(done);
        }
    }
}

/// A writer that asks for the right at the moment of sending, and gives up when it ends: for restoring, and
/// whatever else writes a checkpoint beside the gateway.
#[derive(Debug)]
pub struct Leased<P> {
    bucket: Bucket,
    permission: P,
}

impl<P: Permission> Leased<P> {
    /// A writer into this bucket, for as long as this right holds.
    pub fn new(bucket: Bucket, permission: P) -> Self {
        Self { bucket, permission }
    }
}

#[async_trait]
impl<P: Permission> Writer for Leased<P> {
    async fn put(&self, key: &str, content: Bytes, condition: &Condition) -> Result<Written, Error> {
        let write = self.bucket.put(key, content, condition);
        while_held(&self.permission, write).await.unwrap_or_else(|Lost| Err(lost("PUT", &self.bucket, key)))
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        let write = self.bucket.delete(key, None);
        while_held(&self.permission, write).await.unwrap_or_else(|Lost| Err(lost("DELETE", &self.bucket, key)))
    }
}

fn lost(method: &str, bucket: &Bucket, key: &str) -> Error {
    Error::NotHeld { what: format!("{method} {}{key}", bucket.shown()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::watch;

    use super::*;

    #[tokio::test]
    async fn a_write_that_outlives_the_right_is_given_up() {
        let (_right, seen) = watch::channel(Some(Instant::now() + Duration::from_millis(20)));
        assert_eq!(while_held(&seen, std::future::pending::<()>()).await, Err(Lost));
    }

    #[tokio::test]
    async fn a_write_goes_on_when_the_right_is_prolonged() {
        let (right, seen) = watch::channel(Some(Instant::now() + Duration::from_millis(20)));
        let (done, write) = tokio::sync::oneshot::channel();
        let prolong = async {
            right.send_replace(Some(Instant::now() + Duration::from_secs(60)));
            tokio::time::sleep(Duration::from_millis(40)).await;
            done.send(7).unwrap();
        };
        let (written, ()) = tokio::join!(while_held(&seen, write), prolong);
        assert_eq!(written, Ok(Ok(7)));
    }

    #[tokio::test]
    async fn nothing_is_begun_without_the_right() {
        let (_right, seen) = watch::channel(None);
        assert_eq!(while_held(&seen, async { panic!("it was begun") }).await, Err::<(), _>(Lost));
    }
}

//! The S3 endpoint that a run's writes go through.
//!
//! A [`Gateway`] listens on this machine's loopback for as long as a run holds the lease of its stacks. It alone
//! has the bucket's key; the run gets a key that was made up for it and is good for this gateway only. What
//! concerns the run's bucket and prefix is passed on, signed anew:
//!
//! | what | when |
//! | --- | --- |
//! | reads | always |
//! | writes of the run's stacks, and `.pulumi/meta.yaml` | while the [`Permission`] holds, at the moment of sending; given up when it ends |
//! | writes of a current checkpoint | the same, and only if it is still what this run last knew: `If-Match`, or `If-None-Match: *` |
//! | anything else | never |
//!
//! What a checkpoint is is learnt when the gateway opens, and changed by the run's own writes alone. If it is seen
//! to be another, or the bucket refuses a write for it, somebody else wrote: from then on the run may not write
//! ([`Gateway::superseded`]). An answer that got lost is no such thing: what is there is compared with what was sent.
//!
//! Contents are kept in memory until they are whole (64 MiB at most a request), so that nothing is sent whose
//! signature is not good, and the lease is asked at the last moment.

mod asked;
mod chunked;
mod door;
mod fence;
mod log;
mod permission;
mod refusal;
mod server;
mod signature;
mod stamp;

use std::{fmt, net::SocketAddr, sync::Arc};

use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::{Mutex, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub use log::{Log, Record};
pub use permission::{Leased, Permission};
pub use stamp::{Stamped, stamp};

use crate::{
    bucket::{Bucket, Error},
    checkpoint::Stack,
};

/// Somebody else wrote a checkpoint of this run's.
#[derive(Clone, Debug, Serialize)]
pub struct Superseded {
    /// Which.
    pub key: String,
    /// When this was noticed.
    #[serde(with = "time::serde::rfc3339")]
    pub seen: OffsetDateTime,
}

/// The bucket does not take checkpoints.
#[derive(Clone, Debug)]
pub struct Failing {
    /// Since when, without one that it took.
    pub since: std::time::Instant,
    /// What it said, or why nothing was heard of it.
    pub why: String,
    /// Whether it refuses this run's key, so that waiting does not help.
    pub for_good: bool,
}

/// Why a gateway could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What is in the bucket could not be looked at.
    #[error("the state gateway cannot look at the checkpoints: {0}")]
    Bucket(#[from] Error),
    /// There is no address to listen on.
    #[error("the state gateway cannot listen on 127.0.0.1: {0}")]
    Listen(#[from] std::io::Error),
}

/// An open gateway. Dropping it closes it without waiting for what has begun.
pub struct Gateway {
    door: Arc<door::Door>,
    address: SocketAddr,
    work: TaskTracker,
}

impl Gateway {
    /// Opens a gateway to a bucket for a run that holds the lease of these stacks.
    ///
    /// Take the lease first, [`stamp`] where the former holder did not say goodbye, and then open the gateway: what
    /// it finds is what the run's first write replaces.
    ///
    /// # Errors
    /// When the bucket does not answer or refuses, or nothing can listen on the loopback.
    pub async fn open(bucket: Bucket, stacks: &[Stack], permission: impl Permission) -> Result<Self, OpenError> {
        let keys = stacks.iter().flat_map(Stack::checkpoints);
        let fence = fence::Fence::open(&bucket, keys).await?;
        let stop = CancellationToken::new();
        let work = TaskTracker::new();
        let door = Arc::new(door::Door {
            bucket,
            key: signature::made_up(),
            stacks: stacks.to_vec(),
            permission: Arc::new(permission),
            fence: Mutex::new(fence),
            superseded: watch::Sender::new(None),
            failing: watch::Sender::new(None),
            lock_file: watch::Sender::new(None),
            book: Arc::default(),
            stop: stop.clone(),
        });
        let address = server::serve(Arc::clone(&door), stop, work.clone()).await?;
        Ok(Self { door, address, work })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that was made up for the run: identifier and secret.
    #[must_use]
    pub fn key(&self) -> (&str, &str) {
        (&self.door.key.id, &self.door.key.secret)
    }

    /// The environment of the run's Pulumi: its backend, and the made-up key. It holds a secret.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let (bucket, key) = (&self.door.bucket, &self.door.key);
        let prefix = bucket.prefix().trim_end_matches('/');
        let path = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        let backend = format!(
            "s3://{}{path}?region={}&endpoint=http://{}&s3ForcePathStyle=true",
            bucket.name(),
            bucket.region(),
            self.address
        );
        vec![
            ("PULUMI_BACKEND_URL", backend),
            ("AWS_ACCESS_KEY_ID", key.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", key.secret.clone()),
            ("AWS_REGION", bucket.region().to_owned()),
            // Nothing but the above decides who asks, and how.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required".to_owned()),
            // Or the SDK warns of every answer without a checksum.
            ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required".to_owned()),
        ]
    }

    /// What must not be in the environment of the run's Pulumi, since it would win over [`Gateway::environment`].
    #[must_use]
    pub fn unwanted() -> &'static [&'static str] {
        &[
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_SESSION_TOKEN",
            "AWS_SECURITY_TOKEN",
            "AWS_CA_BUNDLE",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_S3",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_ROLE_ARN",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ]
    }

    /// Tells when somebody else wrote a checkpoint of this run's: then it may not write any more, and is to be ended.
    #[must_use]
    pub fn superseded(&self) -> watch::Receiver<Option<Superseded>> {
        self.door.superseded.subscribe()
    }

    /// Tells while the bucket does not take checkpoints.
    #[must_use]
    pub fn failing(&self) -> watch::Receiver<Option<Failing>> {
        self.door.failing.subscribe()
    }

    /// Which lock file the run's Pulumi has put into the bucket and not taken away again.
    #[must_use]
    pub fn lock_file(&self) -> watch::Receiver<Option<Uuid>> {
        self.door.lock_file.subscribe()
    }

    /// What went through so far.
    #[must_use]
    pub fn log(&self) -> Log {
        self.door.book.read()
    }

    /// Closes it: takes no more requests, waits for the writes that have begun (the lease bounds them), and tells
    /// what went through.
    pub async fn close(self) -> Log {
        self.door.stop.cancel();
        self.work.close();
        self.work.wait().await;
        let unanswered = self.door.fence.lock().await.unanswered();
        Log { unanswered, ..self.log() }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.door.stop.cancel();
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Gateway")
            .field("address", &self.address)
            .field("key", &self.door.key)
            .finish_non_exhaustive()
    }
}

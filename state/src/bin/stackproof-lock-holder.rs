//! For the lock's own tests: a process that takes the lock, writes a checkpoint to a bucket while its lease is good, and
//! gives the lock back, again and again; until it has done so often enough, or is killed.
//!
//! `stackproof-lock-holder ADDRESS CA STACK BUCKET_ENDPOINT ROUNDS TTL_MS`, with `STACKPROOF_LOCK_PASSWORD` and the bucket's
//! `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment. For each write it prints a line: the fencing number,
//! the lease's holder, when it had looked at its lease (nanoseconds of the monotonic clock), and `ok` or `refused`.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use serde_json::json;
use stackproof_state::{
    bucket::{self, Access, Addressing, Bucket, Condition, ETag, Key},
    checkpoint::{self, Compression, Stack},
    database::{Database, Trust},
    gateway::stamp,
    lock::{Lease, Lock, Owner, Refused, StackKey, Timing, Wait},
};

type Failure = Box<dyn Error>;

/// How often one lease writes.
const WRITES: u32 = 8;
/// For how long a database that is not there is asked again. On a busy machine a restart takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, authority, stack, endpoint, rounds, ttl] = arguments.as_slice() else {
        return Err("usage: stackproof-lock-holder ADDRESS CA STACK BUCKET_ENDPOINT ROUNDS TTL_MS".into());
    };
    let password = std::env::var("STACKPROOF_LOCK_PASSWORD")?;
    let trust = Trust::Authority(std::fs::read_to_string(authority)?);
    let database = Database::new(address, Some(&password), trust)?;
    let timing = Timing {
        ttl: Duration::from_millis(ttl.parse()?),
        patience: Duration::from_millis(1000),
        poll: Duration::from_millis(100),
    };
    let state = State::open(endpoint, stack)?;
    let key = StackKey::new("s3://histories?endpoint=s3.example.com", state.stack.project(), stack)?;
    let lock = Lock::new(&database, key).timing(timing);
    let (mut left, mut there) = (rounds.parse::<u32>()?, Instant::now());
    while left > 0 {
        let owner = Owner {
            who: "holder".to_owned(),
            host: "test".to_owned(),
            pid: std::process::id(),
            command: "write".to_owned(),
            ci: None,
        };
        match lock.acquire(owner, Wait::UpTo(Duration::from_secs(60)), None, |_| {}).await {
            Ok(lease) => {
                (left, there) = (left - 1, Instant::now());
                state.work(lease).await?;
            }
            Err(Refused::Database(error)) if there.elapsed() < PATIENCE => {
                tracing::debug!(%error, "again");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(refused) => return Err(refused.into()),
        }
    }
    Ok(())
}

/// The state that is written, by whoever has the bucket's key: what is refused, the bucket itself refuses.
struct State {
    bucket: Bucket,
    stack: Stack,
    key: String,
}

impl State {
    fn open(endpoint: &str, stack: &str) -> Result<Self, Failure> {
        rustls::crypto::ring::default_provider().install_default().map_err(|_| "TLS was set up before")?;
        let access = Access {
            endpoint: endpoint.parse()?,
            region: "fr-par".to_owned(),
            bucket: "state".to_owned(),
            prefix: String::new(),
            addressing: Addressing::Path,
            key: Key::new(std::env::var("AWS_ACCESS_KEY_ID")?, std::env::var("AWS_SECRET_ACCESS_KEY")?),
        };
        let bucket = Bucket::new(reqwest::Client::builder().no_proxy().build()?, access);
        let stack = Stack::new("histories", stack)?;
        let key = stack.checkpoint(Compression::None);
        Ok(Self { bucket, stack, key })
    }

    /// Writes while the lease is good, looking before each write and telling when that was.
    async fn work(&self, lease: Lease) -> Result<(), Failure> {
        let guard = lease.guard();
        let mut seen = match stamp(&self.bucket, &self.bucket, &self.stack).await {
            Ok(stamped) => stamped.into_iter().next().ok_or("there is no checkpoint")?.after,
            // The one before still writes: the next round stamps again.
            Err(checkpoint::Error::Bucket(bucket::Error::Changed { .. })) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for _ in 0..WRITES {
            let looked = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).as_nanos();
            if !guard.is_valid() {
                return Ok(());
            }
            // Between looking and writing anything may happen: this is where a process should be stopped.
            tokio::time::sleep(Duration::from_millis(15)).await;
            let write = format!("{} {} {looked}", guard.fence(), lease.grant().holder);
            match self.write(&write, &seen).await {
                Ok(etag) => {
                    println!("{write} ok");
                    seen = etag;
                }
                Err(bucket::Error::Changed { .. }) => {
                    println!("{write} refused");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        // Lost meanwhile, or the database is gone: it runs out.
        if let Err(error) = lease.release().await {
            tracing::debug!(%error, "not given back");
        }
        Ok(())
    }

    async fn write(&self, write: &str, seen: &ETag) -> Result<ETag, bucket::Error> {
        let state = json!({"version": 3, "checkpoint": {"stack": self.stack.name(), "latest": null}, "write": write});
        let written = self.bucket.put(&self.key, state.to_string().into(), &Condition::Is(seen.clone())).await?;
        Ok(written.etag)
    }
}

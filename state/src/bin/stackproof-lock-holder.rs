//! For the lock's own tests: a process that takes the lock, writes to a register while its lease is good, and gives the
//! lock back, again and again; until it has done so often enough, or is killed.
//!
//! `stackproof-lock-holder ADDRESS CA STACK REGISTER ROUNDS TTL_MS`, the password in `STACKPROOF_LOCK_PASSWORD`.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use stackproof_state::{
    database::{Database, Trust},
    lock::{Lease, Lock, Owner, Refused, StackKey, Timing, Wait},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

type Failure = Box<dyn Error>;

/// How often one lease writes.
const WRITES: u32 = 8;
/// For how long a database that is not there is asked again. On a busy machine a restart takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, authority, stack, register, rounds, ttl] = arguments.as_slice() else {
        return Err("usage: stackproof-lock-holder ADDRESS CA STACK REGISTER ROUNDS TTL_MS".into());
    };
    let password = std::env::var("STACKPROOF_LOCK_PASSWORD")?;
    let trust = Trust::Authority(std::fs::read_to_string(authority)?);
    let database = Database::new(address, Some(&password), trust)?;
    let timing = Timing {
        ttl: Duration::from_millis(ttl.parse()?),
        patience: Duration::from_millis(1000),
        poll: Duration::from_millis(100),
    };
    let lock =
        Lock::new(&database, StackKey::new("s3://histories?endpoint=s3.example.com", "p", stack)?).timing(timing);
    let mut stream = BufReader::new(TcpStream::connect(register).await?);
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
                work(lease, &mut stream).await?;
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

/// Writes while the lease is good, looking before each write and telling when that was.
async fn work(lease: Lease, register: &mut BufReader<TcpStream>) -> Result<(), Failure> {
    let guard = lease.guard();
    for _ in 0..WRITES {
        let looked = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        if !guard.is_valid() {
            return Ok(());
        }
        // Between looking and writing anything may happen: this is where a process should be stopped.
        tokio::time::sleep(Duration::from_millis(15)).await;
        let line = format!("{} {} {}\n", guard.fence(), lease.grant().holder, looked.as_nanos());
        register.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        register.read_line(&mut answer).await?;
        if answer != "ok\n" {
            return Ok(());
        }
    }
    // Lost meanwhile, or the database is gone: it runs out.
    if let Err(error) = lease.release().await {
        tracing::debug!(%error, "not given back");
    }
    Ok(())
}

//! Histories: processes that take the lock, write and give it back, while they are killed, stopped for longer than their
//! lease lasts, and the database is killed under them.
//!
//! They write a checkpoint to a bucket with its own key, under the condition that it is as they stamped or wrote it last:
//! nobody but the bucket refuses a late write. What got in is read from the bucket's versions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[allow(dead_code, unreachable_pub, reason = "one file of several test programs")]
#[path = "state/fixture.rs"]
mod fixture;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::Duration,
};

use common::{DEPLOYER, PATIENCE, Server, address, docker, owner, password_of};
use fixture::Ground;
use futures::{StreamExt, stream};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use stackproof_state::{
    bucket::{Bucket, Condition},
    checkpoint::{Compression, Stack},
    lock::{Lock, StackKey, Wait},
};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    time::{sleep, timeout},
};

/// A write: its lease's fencing number, the holder, and when that had looked at its lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Write {
    fence: u64,
    holder: String,
    looked: u128,
}

impl Write {
    fn read(text: &str) -> Self {
        let [fence, holder, looked] = text.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{text:?}") };
        Self { fence: fence.parse().unwrap(), holder: holder.to_owned(), looked: looked.parse().unwrap() }
    }
}

const HOLDERS: usize = 3;
const ROUNDS: u32 = 3;
const TTL: Duration = Duration::from_millis(500);
/// How many histories go on at once.
const ABREAST: usize = 6;

#[derive(Debug)]
enum Fault {
    Kill,
    /// For so long.
    Stop(Duration),
}

/// Everything that is done to a history, from its seed.
fn faults(seed: u64) -> Vec<(Duration, usize, Fault)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut faults: Vec<_> = (0..random.random_range(1..=4))
        .map(|_| {
            let at = Duration::from_millis(random.random_range(20..1500));
            let fault = if random.random_bool(0.4) {
                Fault::Kill
            } else {
                Fault::Stop(Duration::from_millis(random.random_range(100..1200)))
            };
            (at, random.random_range(0..HOLDERS), fault)
        })
        .collect();
    faults.sort_by_key(|(at, ..)| *at);
    faults
}

/// Where the histories happen.
struct Scene {
    server: Server,
    authority: std::path::PathBuf,
    ground: Ground,
}

impl Scene {
    fn start(&self, stack: &str) -> Child {
        let [rounds, ttl] = [ROUNDS.to_string(), TTL.as_millis().to_string()];
        Command::new(env!("CARGO_BIN_EXE_stackproof-lock-holder"))
            .arg(address(DEPLOYER, self.server.at))
            .arg(&self.authority)
            .args([stack, &self.ground.endpoint, &rounds, &ttl])
            .env("STACKPROOF_LOCK_PASSWORD", password_of(DEPLOYER))
            .env("AWS_ACCESS_KEY_ID", fixture::KEY.0)
            .env("AWS_SECRET_ACCESS_KEY", fixture::KEY.1)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

/// Waits for a holder's end, and gives what it told of its writes.
async fn told(mut holder: Child, seed: u64, killed: bool) -> String {
    let (mut output, mut told) = (holder.stdout.take().unwrap(), String::new());
    let ended = timeout(PATIENCE, async {
        output.read_to_string(&mut told).await.unwrap();
        holder.wait().await.unwrap()
    });
    let ended = ended.await.unwrap_or_else(|_| panic!("seed {seed}: a holder was never served"));
    assert!(ended.success() || killed, "seed {seed}: {ended}");
    told
}

fn signal(child: &Child, what: Signal) {
    // It may have ended, and was not waited for: then there is nobody to hear it.
    if let Some(pid) = child.id() {
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), what).unwrap();
    }
}

#[derive(Default, Debug)]
struct Seen {
    leases: usize,
    writes: usize,
    refused: usize,
    abandoned: usize,
}

async fn history(scene: &Scene, seed: u64) -> Seen {
    let name = format!("seed-{seed}");
    let (stack, bucket) = (Stack::new("histories", &name).unwrap(), &scene.ground.bucket);
    let checkpoint = stack.checkpoint(Compression::None);
    let empty = json!({"version": 3, "checkpoint": {"stack": name, "latest": null}});
    bucket.put(&checkpoint, empty.to_string().into(), &Condition::Absent).await.unwrap();
    let holders: Vec<Child> = (0..HOLDERS).map(|_| scene.start(&name)).collect();
    let mut killed = [false; HOLDERS];
    let mut past = Duration::ZERO;
    for (at, whom, fault) in faults(seed) {
        sleep(at.saturating_sub(past)).await;
        past = past.max(at);
        match fault {
            Fault::Kill => {
                killed[whom] = true;
                signal(&holders[whom], Signal::SIGKILL);
            }
            Fault::Stop(pause) => {
                signal(&holders[whom], Signal::SIGSTOP);
                sleep(pause).await;
                past += pause;
                signal(&holders[whom], Signal::SIGCONT);
            }
        }
    }
    let all = holders.into_iter().zip(killed).map(|(holder, killed)| told(holder, seed, killed));
    let told = futures::future::join_all(all).await.concat();

    // Whatever happened, the next one gets in, and hears of all who never said goodbye.
    let key = StackKey::new("s3://histories?endpoint=s3.example.com", stack.project(), &name).unwrap();
    let lock = Lock::new(&scene.server.deployer(), key);
    let last = loop {
        match lock.acquire(owner("last"), Wait::UpTo(PATIENCE), None, |_| {}).await {
            Ok(last) => break last,
            // The database may be restarting just now.
            Err(refused) => assert!(refused.to_string().contains("cannot be reached"), "seed {seed}: {refused}"),
        }
        sleep(Duration::from_millis(50)).await;
    };
    let written = written(bucket, &checkpoint).await;
    let refused = check(seed, &written, &told, last.fence());
    let leases: BTreeSet<u64> = written.iter().map(|write| write.fence).collect();
    Seen { leases: leases.len(), writes: written.len(), refused, abandoned: last.abandoned().len() }
}

/// What reached the bucket, from the first on.
async fn written(bucket: &Bucket, checkpoint: &str) -> Vec<Write> {
    let mut versions = bucket.versions(checkpoint).await.unwrap();
    versions.reverse();
    let contents = stream::iter(versions).map(async |version| {
        let object = bucket.get(checkpoint, Some(&version.id)).await.unwrap().unwrap();
        let state: Value = serde_json::from_slice(&object.content).unwrap();
        state["write"].as_str().map(Write::read)
    });
    let mut all: Vec<Write> = contents.buffered(8).filter_map(std::future::ready).collect().await;
    // Each new holder stamps the last one's.
    all.dedup();
    all
}

/// Gives how many writes were refused.
fn check(seed: u64, written: &[Write], told: &str, last: u64) -> usize {
    // A fencing number is one holder's.
    let mut holders = BTreeMap::new();
    for write in written {
        let known = holders.entry(write.fence).or_insert(&write.holder);
        assert_eq!(*known, &write.holder, "seed {seed}: two holders of lease {}", write.fence);
        assert!(write.fence < last, "seed {seed}: {} was given again", write.fence);
    }
    // What got in, got in in order, each write once.
    let order: Vec<u64> = written.iter().map(|write| write.fence).collect();
    assert!(order.is_sorted(), "seed {seed}: {order:?}");
    let there: BTreeSet<&Write> = written.iter().collect();
    assert_eq!(there.len(), written.len(), "seed {seed}: a write came back: {written:?}");
    // Who was told so has written, and who was refused has not. Who was killed may have been told half a line.
    let (mut looks, mut refused) = (written.to_vec(), 0);
    for line in told.lines() {
        let Some((write, result)) = line.rsplit_once(' ') else { continue };
        match result {
            "ok" => assert!(there.contains(&Write::read(write)), "seed {seed}: {write} was lost"),
            "refused" => {
                assert!(!there.contains(&Write::read(write)), "seed {seed}: {write} was refused");
                looks.push(Write::read(write));
                refused += 1;
            }
            _ => {}
        }
    }
    // No two ever found their leases good at the same time: all looks of one come before all looks of the next.
    looks.sort_unstable_by_key(|write| (write.looked, write.fence));
    let order = looks.iter().map(|write| write.fence);
    assert!(order.is_sorted(), "seed {seed}: two thought that they held the lock: {looks:?}");
    refused
}

/// After how long the database is killed. One that was killed so often within half a minute is taken for one that cannot
/// live, and started later and later.
fn next_kill(restarted: u32) -> Duration {
    Duration::from_millis(if restarted < 4 { 2500 } else { 31_000 })
}

async fn histories(seeds: std::ops::Range<u64>) {
    let server = Server::start().await;
    let authority = server.folder().join("ca.pem");
    std::fs::write(&authority, &common::AUTHORITY.root).unwrap();
    let scene = Scene { server, authority, ground: Ground::local().await };
    let (many, server) = (seeds.end - seeds.start, &scene.server);
    let all = stream::iter(seeds).map(|seed| history(&scene, seed)).buffer_unordered(ABREAST);
    let all = all.collect::<Vec<Seen>>();
    tokio::pin!(all);
    let mut restarted = 0;
    // The database is killed now and then, as long as they go on.
    let seen = loop {
        tokio::select! {
            seen = &mut all => break seen,
            () = sleep(next_kill(restarted)) => {
                server.kill().await;
                restarted += 1;
                server.restarted(restarted).await;
            }
        }
    };
    let sum = |what: fn(&Seen) -> usize| seen.iter().map(what).sum::<usize>();
    let (leases, writes) = (sum(|seen| seen.leases), sum(|seen| seen.writes));
    let (refused, abandoned) = (sum(|seen| seen.refused), sum(|seen| seen.abandoned));
    println!(
        "{many} histories: {leases} leases, {writes} writes in the bucket, {refused} more were too late and refused, \
         {abandoned} leases abandoned, {restarted} restarts of the database"
    );
    // Faults that never hit anything prove nothing.
    assert!(restarted > 0 && abandoned > 0 && refused > 0 && leases > seen.len(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_histories_have_one_holder_at_a_time() {
    histories(0..50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a long proof: accept --full"]
async fn a_thousand_histories_have_one_holder_at_a_time() {
    histories(1000..2000).await;
}

//! Histories: processes that take the lock, write and give it back, while they are killed, stopped for longer than their
//! lease lasts, and the database is killed under them.
//!
//! Each write goes to a register that knows the highest fencing number it has seen and refuses lower ones, as the bucket
//! does once a checkpoint is stamped. Each tells when its holder last found its lease good.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{DEPLOYER, PATIENCE, Server, address, owner, password_of};
use futures::{StreamExt, stream};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use stackproof_state::lock::{Lock, StackKey, Wait};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::{sleep, timeout},
};

/// What reached the register: fence, holder, when the holder had looked at its lease, and whether it was let in.
type Write = (u64, String, u128, bool);

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

struct Register {
    at: std::net::SocketAddr,
    writes: Arc<Mutex<Vec<Write>>>,
    _task: tokio_util::task::AbortOnDropHandle<()>,
}

impl Register {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let writes = Arc::new(Mutex::new(Vec::new()));
        let all = writes.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let writes = all.clone();
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut line = String::new();
                    // A holder that was killed breaks off.
                    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                        let answer = take(&line, &writes);
                        if stream.write_all(answer).await.is_err() {
                            break;
                        }
                        line.clear();
                    }
                });
            }
        });
        Self { at, writes, _task: tokio_util::task::AbortOnDropHandle::new(task) }
    }
}

fn take(line: &str, writes: &Mutex<Vec<Write>>) -> &'static [u8] {
    let [fence, holder, looked] = line.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line:?}") };
    let (fence, looked): (u64, u128) = (fence.parse().unwrap(), looked.parse().unwrap());
    let mut writes = writes.lock().unwrap();
    let highest = writes.iter().filter(|(.., good)| *good).map(|(fence, ..)| *fence).max().unwrap_or(0);
    let good = fence >= highest;
    writes.push((fence, holder.to_owned(), looked, good));
    if good { b"ok\n" } else { b"refused\n" }
}

fn start(server: &Server, authority: &std::path::Path, stack: &str, register: &Register) -> Child {
    let [register, rounds, ttl] = [register.at.to_string(), ROUNDS.to_string(), TTL.as_millis().to_string()];
    Command::new(env!("CARGO_BIN_EXE_stackproof-lock-holder"))
        .arg(address(DEPLOYER, server.at))
        .arg(authority)
        .args([stack, &register, &rounds, &ttl])
        .env("STACKPROOF_LOCK_PASSWORD", password_of(DEPLOYER))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
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

async fn history(server: &Server, authority: &std::path::Path, seed: u64) -> Seen {
    let register = Register::start().await;
    let stack = format!("seed-{seed}");
    let mut holders: Vec<Child> = (0..HOLDERS).map(|_| start(server, authority, &stack, &register)).collect();
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
    for (holder, killed) in holders.iter_mut().zip(killed) {
        let ended = timeout(PATIENCE, holder.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("seed {seed}: a holder was never served")).unwrap();
        assert!(ended.success() || killed, "seed {seed}: {ended}");
    }

    // Whatever happened, the next one gets in, and hears of all who never said goodbye.
    let key = StackKey::new("s3://histories?endpoint=s3.example.com", "p", &stack).unwrap();
    let lock = Lock::new(&server.deployer(), key);
    let last = loop {
        match lock.acquire(owner("last"), Wait::UpTo(PATIENCE), None, |_| {}).await {
            Ok(last) => break last,
            // The database may be restarting just now.
            Err(refused) => assert!(refused.to_string().contains("cannot be reached"), "seed {seed}: {refused}"),
        }
        sleep(Duration::from_millis(50)).await;
    };
    let abandoned = last.abandoned().len();
    let writes = register.writes.lock().unwrap().clone();
    check(seed, &writes, last.fence());
    drop(last);
    let leases: std::collections::BTreeSet<u64> = writes.iter().map(|(fence, ..)| *fence).collect();
    let refused = writes.iter().filter(|(.., good)| !good).count();
    Seen { leases: leases.len(), writes: writes.len(), refused, abandoned }
}

fn check(seed: u64, writes: &[Write], last: u64) {
    // A fencing number is one holder's.
    let mut holders = BTreeMap::new();
    for (fence, holder, ..) in writes {
        let known = holders.entry(*fence).or_insert(holder);
        assert_eq!(*known, holder, "seed {seed}: two holders of lease {fence}");
        assert!(*fence < last, "seed {seed}: {fence} was given again");
    }
    // What got in, got in in order.
    let good: Vec<u64> = writes.iter().filter(|(.., good)| *good).map(|(fence, ..)| *fence).collect();
    assert!(good.is_sorted(), "seed {seed}: {good:?}");
    // No two ever found their leases good at the same time: all looks of one come before all looks of the next.
    let mut looks: Vec<(u128, u64)> = writes.iter().map(|(fence, _, looked, _)| (*looked, *fence)).collect();
    looks.sort_unstable();
    let order: Vec<u64> = looks.iter().map(|(_, fence)| *fence).collect();
    assert!(order.is_sorted(), "seed {seed}: two thought that they held the lock: {looks:?}");
}

async fn histories(seeds: std::ops::Range<u64>, restarts: u32) {
    let server = Server::start().await;
    let authority = server.folder().join("ca.pem");
    std::fs::write(&authority, &common::AUTHORITY.root).unwrap();
    let many = seeds.end - seeds.start;
    let all = stream::iter(seeds).map(|seed| history(&server, &authority, seed)).buffer_unordered(ABREAST);
    let all = all.collect::<Vec<Seen>>();
    tokio::pin!(all);
    let mut restarted = 0;
    // The database is killed now and then, as long as they go on.
    let seen = loop {
        tokio::select! {
            seen = &mut all => break seen,
            () = sleep(Duration::from_millis(2500)) => {
                if restarted < restarts {
                    server.kill();
                    restarted += 1;
                    server.restarted(restarted).await;
                }
            }
        }
    };
    let sum = |what: fn(&Seen) -> usize| seen.iter().map(what).sum::<usize>();
    let (leases, writes) = (sum(|seen| seen.leases), sum(|seen| seen.writes));
    let (refused, abandoned) = (sum(|seen| seen.refused), sum(|seen| seen.abandoned));
    println!(
        "{many} histories: {leases} leases, {writes} writes of which {refused} were too late and refused, \
         {abandoned} leases abandoned, {restarted} restarts of the database"
    );
    // Faults that never hit anything prove nothing.
    assert!(restarted > 0 && abandoned > 0 && refused > 0 && leases > seen.len(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_histories_have_one_holder_at_a_time() {
    histories(0..50, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a long proof: accept --full"]
async fn a_thousand_histories_have_one_holder_at_a_time() {
    histories(1000..2000, 60).await;
}

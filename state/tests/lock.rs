//! The lock on a real database, as those who want to change stacks meet it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, QUICK, Server, key, lock, owner};
use stackproof_state::{
    database::{Database, Error, Trust},
    lock::{Kind, LeaseError, Lock, Refused, Timing, Wait, record::Break},
};
use tokio::sync::mpsc;
use uuid::Uuid;

const LONG: Wait = Wait::UpTo(PATIENCE);

fn locked(refused: Result<stackproof_state::lock::Lease, Refused>) -> String {
    let refused = refused.expect_err("somebody has it");
    assert!(matches!(refused, Refused::Locked { .. }), "{refused}");
    refused.to_string()
}

#[tokio::test]
async fn one_at_a_time_and_whoever_waits_is_served_in_order() {
    let server = Server::start().await;
    let lock = lock(&server.deployer(), "prod");
    let first = lock.acquire(owner("ada"), Wait::No, None, |_| {}).await.unwrap();
    assert!(first.guard().is_valid() && first.abandoned().is_empty());

    let refused = locked(lock.acquire(owner("bob"), Wait::No, None, |_| {}).await);
    assert!(refused.starts_with("the stack is currently locked by ada@laptop"), "{refused}");
    assert!(refused.contains(&first.grant().holder.to_string()), "{refused}");
    let short = Wait::UpTo(Duration::from_millis(300));
    assert!(locked(lock.acquire(owner("bob"), short, None, |_| {}).await).contains("did not become free"));
    assert!(lock.status().await.unwrap().queue.is_empty(), "who gave up is gone");

    // Given three in the queue, of whom each began to wait after the one before,
    let (told, mut served) = mpsc::unbounded_channel();
    let mut waiting = Vec::new();
    for who in ["bob", "eve", "joe"] {
        let (lock, told) = (lock.clone(), told.clone());
        let (queued, mut in_queue) = mpsc::unbounded_channel();
        waiting.push(tokio::spawn(async move {
            let lease = lock.acquire(owner(who), LONG, None, |place| _ = queued.send(place.position)).await.unwrap();
            told.send((who, lease.fence())).unwrap();
            lease.release().await.unwrap();
        }));
        assert_eq!(in_queue.recv().await, Some(waiting.len() as u64), "{who}");
    }
    let status = lock.status().await.unwrap();
    let queue: Vec<&str> = status.queue.iter().map(|waiter| waiter.owner.who.as_str()).collect();
    assert_eq!(queue, ["bob", "eve", "joe"]);
    // then nobody gets past them,
    first.release().await.unwrap();
    // and they are served in order.
    for expected in [("bob", 2), ("eve", 3), ("joe", 4)] {
        assert_eq!(served.recv().await, Some(expected));
    }
    for waiting in waiting {
        waiting.await.unwrap();
    }
    let status = lock.status().await.unwrap();
    assert!(status.run.is_none() && status.queue.is_empty() && status.abandoned.is_empty(), "{status:?}");
    assert!(serde_json::to_string(&status).unwrap().contains("\"fence\":4"));
}

#[tokio::test]
async fn a_lease_that_is_renewed_outlives_its_duration_and_stacks_do_not_disturb_each_other() {
    let server = Server::start().await;
    let database = server.deployer();
    let quick = Timing { ttl: Duration::from_millis(500), ..QUICK };
    let lease = lock(&database, "prod").timing(quick).acquire(owner("ada"), Wait::No, None, |_| {}).await.unwrap();
    let mut renewals = 0;
    let mut until = lease.guard().valid_until().unwrap();
    while renewals < 6 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = lease.guard().valid_until().unwrap();
        renewals += usize::from(now > until);
        until = now;
    }
    assert!(lease.guard().is_valid());
    assert!(until <= Instant::now() + Duration::from_millis(450), "less than the lease's duration");
    let other = lock(&database, "staging").acquire(owner("bob"), Wait::No, None, |_| {}).await.unwrap();
    assert_eq!((lease.fence(), other.fence()), (1, 1));
    lease.release().await.unwrap();
    other.release().await.unwrap();
}

#[tokio::test]
async fn who_takes_over_hears_of_the_dead_and_what_they_left() {
    let server = Server::start().await;
    let lock = lock(&server.deployer(), "prod");
    let file = Uuid::new_v4();
    // Given a holder that ends without a word,
    let quick = lock.clone().timing(Timing { ttl: Duration::from_millis(500), ..QUICK });
    let dead = quick.acquire(owner("ada"), Wait::No, None, |_| {}).await.unwrap();
    dead.note_lock_file(file).await.unwrap();
    let guard = dead.guard();
    drop(dead);
    // when the next one waits for it,
    let next = lock.acquire(owner("bob"), LONG, None, |_| {}).await.unwrap();
    // then the first could not write any more by then, and its lock file is known.
    assert!(!guard.is_valid());
    let [left] = next.abandoned() else { panic!("{:?}", next.abandoned()) };
    assert_eq!((left.grant.owner.who.as_str(), left.grant.fence, left.grant.lock_file), ("ada", 1, Some(file)));
    assert!(left.broken.is_none());
    // It stays known until it is cleaned up.
    next.release().await.unwrap();
    let third = lock.acquire(owner("eve"), Wait::No, None, |_| {}).await.unwrap();
    assert_eq!(third.abandoned().len(), 1);
    third.clean(1).await.unwrap();
    third.clean(1).await.unwrap();
    assert!(lock.status().await.unwrap().abandoned.is_empty());
    third.release().await.unwrap();
}

#[tokio::test]
async fn maintenance_lets_only_its_own_commands_in() {
    let server = Server::start().await;
    let lock = lock(&server.deployer(), "prod");
    let hold = lock.hold(owner("ada"), "moving the network", PATIENCE, Wait::No, None, |_| {}).await.unwrap();
    assert_eq!(hold.grant.kind, Kind::Hold);
    let refused = locked(lock.acquire(owner("bob"), Wait::No, None, |_| {}).await);
    assert!(refused.contains("maintenance until") && refused.contains("because: moving the network"), "{refused}");

    // A waiter outside does not keep those within out.
    let (queued, mut in_queue) = mpsc::unbounded_channel();
    let outside = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire(owner("bob"), LONG, None, |place| _ = queued.send(place.position)).await }
    });
    in_queue.recv().await.unwrap();
    let token = Some(hold.token());
    let within = lock.acquire(owner("ada"), Wait::No, token, |_| {}).await.unwrap();
    locked(lock.acquire(owner("ada"), Wait::No, token, |_| {}).await);
    within.release().await.unwrap();
    let again = lock.hold(owner("ada"), "more", PATIENCE * 2, Wait::No, token, |_| {}).await.unwrap();
    assert_eq!(again.token(), hold.token());
    assert!(again.grant.expires > hold.grant.expires);

    // When it ends, who waited outside gets in, and the token opens nothing any more.
    assert!(lock.end_hold(hold.token()).await.unwrap());
    assert!(!lock.end_hold(hold.token()).await.unwrap());
    let lease = outside.await.unwrap().unwrap();
    let over = lock.acquire(owner("ada"), Wait::No, token, |_| {}).await.unwrap_err();
    assert!(matches!(over, Refused::HoldOver), "{over}");
    lease.release().await.unwrap();
}

#[tokio::test]
async fn a_hold_ends_by_itself() {
    let server = Server::start().await;
    let lock = lock(&server.deployer(), "prod");
    lock.hold(owner("ada"), "lunch", Duration::from_millis(400), Wait::No, None, |_| {}).await.unwrap();
    let lease = lock.acquire(owner("bob"), LONG, None, |_| {}).await.unwrap();
    assert!(lease.abandoned().is_empty(), "an end that was told before is nothing unexpected");
    lease.release().await.unwrap();
}

#[tokio::test]
async fn a_lease_that_is_broken_is_lost_at_once() {
    let server = Server::start().await;
    let database = server.deployer();
    // Given a lease that is not due for renewal for half a minute,
    let slow = lock(&database, "prod").timing(Timing::default());
    let lease = slow.acquire(owner("ada"), Wait::No, None, |_| {}).await.unwrap();
    let mut guard = lease.guard();
    let wrong = slow.break_lease(Uuid::new_v4(), "bob@laptop", "?").await.unwrap();
    assert!(matches!(wrong, Break::NotFound { standing } if standing.run.is_some()));
    assert!(guard.is_valid());
    // when it is taken away,
    let began = Instant::now();
    let broken = slow.break_lease(lease.grant().holder, "bob@laptop", "the laptop is in the lake").await.unwrap();
    assert!(matches!(broken, Break::Broken { grant } if grant.fence == 1));
    // then its holder hears of it without asking,
    let why = guard.lost().await.expect("it was not given back");
    println!("a broken lease is lost after {:?}: {why}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10) && !guard.is_valid());
    let error = lease.note_lock_file(Uuid::new_v4()).await.unwrap_err();
    assert!(matches!(error, LeaseError::Lost(_)), "{error}");
    assert!(lease.release().await.is_err());
    // and whoever is next hears of both.
    let next = slow.acquire(owner("eve"), Wait::No, None, |_| {}).await.unwrap();
    let broken = next.abandoned()[0].broken.clone().unwrap();
    assert_eq!((broken.by.as_str(), broken.reason.as_str()), ("bob@laptop", "the laptop is in the lake"));
    next.release().await.unwrap();
}

#[tokio::test]
async fn a_database_that_restarts_loses_no_lease_and_no_place_in_the_queue() {
    let server = Server::start().await;
    let database = server.deployer();
    let patient = Timing { ttl: Duration::from_secs(30), patience: Duration::from_secs(30), ..QUICK };
    let lock = lock(&database, "prod").timing(patient);
    let lease = lock.acquire(owner("ada"), Wait::No, None, |_| {}).await.unwrap();
    let (queued, mut in_queue) = mpsc::unbounded_channel();
    let waiting = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire(owner("bob"), LONG, None, |place| _ = queued.send(place.position)).await }
    });
    in_queue.recv().await.unwrap();
    server.kill().await;
    server.restarted(1).await;
    lease.note_lock_file(Uuid::new_v4()).await.unwrap();
    assert!(lease.guard().is_valid());
    lease.release().await.unwrap();
    let lease = waiting.await.unwrap().unwrap();
    assert_eq!(lease.fence(), 2);
    assert!(lease.abandoned().is_empty());
    lease.release().await.unwrap();
}

#[tokio::test]
async fn without_a_database_there_is_no_lease() {
    // Nothing listens there.
    let nowhere = Database::new("postgres://ada@127.0.0.1:1/locks", Some("hunter2"), Trust::PlainLoopback).unwrap();
    let began = Instant::now();
    let refused = lock(&nowhere, "prod").acquire(owner("ada"), LONG, None, |_| {}).await.unwrap_err();
    let told = refused.to_string();
    assert!(told.contains("ada@127.0.0.1:1/locks cannot be reached") && told.contains("nothing is changed"), "{told}");
    assert!(!format!("{refused:?} {told}").contains("hunter2"));
    assert!(began.elapsed() < Duration::from_secs(20), "nobody waits for what is not there");

    let server = Server::empty().await;
    let unprepared = lock(&server.owner(), "prod").acquire(owner("ada"), LONG, None, |_| {}).await.unwrap_err();
    assert!(matches!(unprepared, Refused::Database(Error::Unprepared { .. })), "{unprepared}");
    server.owner().prepare(&[]).await.unwrap();
    let stranger = lock(&server.deployer(), "prod").acquire(owner("ada"), LONG, None, |_| {}).await.unwrap_err();
    assert!(matches!(stranger, Refused::Database(Error::Rights { .. })), "{stranger}");
    let nobody = server.owner().prepare(&["nobody at all"]).await.unwrap_err();
    assert!(nobody.to_string().contains("nobody at all"), "{nobody}");

    // Somebody who calls itself the database is not told anything.
    let untrusted = server.as_user("owner", Trust::System);
    let refused = lock(&untrusted, "prod").acquire(owner("ada"), LONG, None, |_| {}).await.unwrap_err();
    assert!(matches!(refused, Refused::Database(Error::Unreachable { .. })), "{refused}");
    let wrong = format!("postgres://owner@{}/locks", server.at);
    let wrong = Database::new(&wrong, Some("hunter2"), Trust::Authority(common::AUTHORITY.root.clone())).unwrap();
    let refused = lock(&wrong, "prod").acquire(owner("ada"), LONG, None, |_| {}).await.unwrap_err();
    assert!(matches!(refused, Refused::Database(Error::Credentials { .. })), "{refused}");
}

#[tokio::test]
async fn a_holder_cut_off_from_the_database_stops_before_anybody_else_may_begin() {
    let server = Server::start().await;
    let quick = Timing { ttl: Duration::from_millis(700), ..QUICK };
    let lease =
        lock(&server.deployer(), "prod").timing(quick).acquire(owner("ada"), Wait::No, None, |_| {}).await.unwrap();
    let mut guard = lease.guard();
    server.stop().await;
    let until = guard.valid_until().unwrap();
    let why = guard.lost().await.expect("it was not given back");
    assert!(why.contains("could not be renewed"), "{why}");
    assert!(Instant::now() >= until && !guard.is_valid());
}

#[tokio::test]
async fn two_prepare_at_once_and_again() {
    let server = Server::empty().await;
    let database = server.owner();
    let (one, other) = tokio::join!(database.prepare(&[common::DEPLOYER]), database.prepare(&[common::DEPLOYER]));
    one.unwrap();
    other.unwrap();
    database.prepare(&[common::DEPLOYER]).await.unwrap();
    let lease = lock(&server.deployer(), "prod").acquire(owner("ada"), Wait::No, None, |_| {}).await.unwrap();
    lease.release().await.unwrap();
}

#[tokio::test]
async fn fifty_at_once_are_all_served_in_order() {
    let server = Server::start().await;
    let database = server.deployer();
    let lock = Lock::new(&database, key("prod")).timing(Timing { patience: PATIENCE, ..QUICK });
    let first = lock.acquire(owner("first"), Wait::No, None, |_| {}).await.unwrap();
    let (told, mut served) = mpsc::unbounded_channel();
    for number in 0..50 {
        let (lock, told) = (lock.clone(), told.clone());
        tokio::spawn(async move {
            let who = format!("{number}");
            let lease = lock.acquire(owner(&who), LONG, None, |_| {}).await.unwrap();
            told.send((lease.grant().owner.who.clone(), lease.fence())).unwrap();
            lease.release().await.unwrap();
        });
    }
    // All stand in the queue.
    let queue = loop {
        let status = lock.status().await.unwrap();
        if status.queue.len() == 50 {
            break status.queue;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let began = Instant::now();
    first.release().await.unwrap();
    for (fence, waiter) in (2..).zip(queue) {
        assert_eq!(served.recv().await, Some((waiter.owner.who, fence)));
    }
    println!("fifty served in {:?}", began.elapsed());
}

//! Real servers, asked as their users do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/database.rs"]
mod database;

use std::time::{Duration, Instant};

use database::{Folder, config, connect, connect_from, instance, privilege, user, words};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stackproof_planes::{
    databases::{Databases, Permission, Phase, Secret, Status},
    network::Place,
};
use tokio::sync::watch;

/// How long anything awaited here may take.
const PATIENCE: Duration = Duration::from_secs(60);

async fn until(watched: &mut watch::Receiver<Status>, what: impl FnMut(&Status) -> bool) -> Status {
    tokio::time::timeout(PATIENCE, watched.wait_for(what)).await.expect("in time").unwrap().clone()
}

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn an_instance_is_ready_quickly_and_takes_only_who_it_should() {
    let folder = Folder::new();
    let began = Instant::now();
    let databases = folder.open().await;
    let opened = began.elapsed();
    let first = databases.apply(instance("first"), Place::Host).await.unwrap();
    println!("opened in {opened:?}, first instance ready after {:?}", began.elapsed());
    let again = Instant::now();
    databases.apply(instance("second"), Place::Host).await.unwrap();
    let took = again.elapsed();
    println!("a further instance is ready after {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!((first.phase.clone(), first.problems.len()), (Phase::Ready, 0), "{first:?}");

    let again = Instant::now();
    assert_eq!(databases.apply(instance("first"), Place::Host).await.unwrap(), first, "the same again changes nothing");
    println!("the same again: {:?}", again.elapsed());

    let at = first.public.unwrap();
    let client = connect(at, "ada", "shop").await.unwrap();
    let row = client.query_one("SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await;
    assert!(row.unwrap().get::<_, &str>(0).starts_with("TLSv1."));
    let super_user = client.query_one("SELECT rolsuper FROM pg_roles WHERE rolname = 'ada'", &[]).await.unwrap();
    assert!(!super_user.get::<_, bool>(0));

    let plain = config("ada", "shop").ssl_mode(tokio_postgres::config::SslMode::Disable).connect_raw(
        Place::Host.connect(at).await.unwrap(),
        tokio_postgres::NoTls,
    );
    let refused = words(&plain.await.err().expect("no TLS, no way in"));
    assert!(refused.contains("no encryption"), "{refused}");
    let stranger = connect_from(&Place::Host, at, &mut config("ada", "shop"), "localhost", false).await;
    assert!(stranger.err().unwrap().contains("certificate"), "an authority nobody trusts");
    let elsewhere = connect_from(&Place::Host, at, &mut config("ada", "shop"), "example.org", true).await;
    assert!(elsewhere.err().unwrap().contains("certificate"), "another name");
    let wrong = connect_from(&Place::Host, at, config("ada", "shop").password("wrong"), "localhost", true).await;
    assert!(wrong.err().unwrap().contains("password authentication failed"));
    let inner = connect(at, "_plane", "shop").await.err().unwrap();
    assert!(inner.contains("rejects"), "{inner}");

    let mut other = instance("first");
    other.users[0].password = Secret("another".to_owned());
    databases.apply(other, Place::Host).await.unwrap();
    assert!(connect(at, "ada", "shop").await.is_err(), "the old password");
    let new = connect_from(&Place::Host, at, config("ada", "shop").password("another"), "localhost", true).await;
    new.unwrap();
    let logs = databases.logs("first", 1 << 20).unwrap();
    assert!(logs.contains("ready to accept connections"));
    assert!(!logs.contains("secret") && !logs.contains("another") && !logs.contains("SCRAM"), "{logs}");
    assert!(databases.usage("first").await.unwrap() > 1 << 20);
    assert_eq!(databases.databases("first").await.unwrap()[0].owner.as_deref(), Some("ada"));

    let began = Instant::now();
    databases.stop().await;
    println!("two instances stopped in {:?}", began.elapsed());
    assert_eq!(folder.servers(), []);
}

#[tokio::test]
async fn the_acl_decides_from_where() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let mut wanted = instance("closed");
    wanted.acl.clear();
    let at = databases.apply(wanted.clone(), Place::Host).await.unwrap().public.unwrap();
    let refused = connect(at, "ada", "shop").await.err().unwrap();
    assert!(refused.contains("pg_hba.conf rejects"), "{refused}");
    wanted.acl = vec!["127.0.0.0/8".parse().unwrap()];
    databases.apply(wanted.clone(), Place::Host).await.unwrap();
    connect(at, "ada", "shop").await.unwrap();
    wanted.acl = vec!["192.0.2.0/24".parse().unwrap()];
    databases.apply(wanted.clone(), Place::Host).await.unwrap();
    assert!(connect(at, "ada", "shop").await.is_err());
    wanted.public = None;
    assert_eq!(databases.apply(wanted, Place::Host).await.unwrap().public, None);
    assert!(Place::Host.connect(at).await.is_err(), "no public endpoint");
    databases.stop().await;
}

#[tokio::test]
async fn users_may_do_what_they_were_given() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let mut wanted = instance("rights");
    let names = [
        ("reader", Permission::Readonly),
        ("writer", Permission::Readwrite),
        ("maker", Permission::All),
        ("nobody", Permission::None),
    ];
    wanted.users.extend(names.map(|(name, _)| user(name, false)));
    wanted.privileges.extend(names.map(|(name, permission)| privilege(name, permission)));
    let status = databases.apply(wanted.clone(), Place::Host).await.unwrap();
    assert_eq!(status.problems.len(), 1, "`nobody` is fine, but {:?}", status.problems);
    databases.stop().await;
}

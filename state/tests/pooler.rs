//! How fast the lock changes hands: directly, and through PgBouncer in transaction mode.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    net::SocketAddr,
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
    time::{Duration, Instant},
};

use common::{AUTHORITY, DEPLOYER, PATIENCE, Server, address, lock, owner, password_of};
use stackproof_state::{
    database::{Database, Trust},
    lock::{Timing, Wait},
};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    time::sleep,
};

/// How long each hand-over takes, from when the lock is given back to when the next one has it.
async fn hand_overs(database: &Database, times: u32) -> Vec<Duration> {
    // No lease runs out meanwhile, nor patience.
    let lock = lock(database, "prod").timing(Timing::default());
    let mut took = Vec::new();
    for _ in 0..times {
        let lease = lock.acquire(owner("ada"), Wait::No, None, |_| {}).await.unwrap();
        let (queued, mut in_queue) = mpsc::unbounded_channel();
        let waiting = tokio::spawn({
            let lock = lock.clone();
            async move {
                let progress = |place: &stackproof_state::lock::Place| queued.send(place.position).unwrap();
                let lease = lock.acquire(owner("bob"), Wait::UpTo(PATIENCE), None, progress).await.unwrap();
                (Instant::now(), lease)
            }
        });
        assert_eq!(in_queue.recv().await, Some(1));
        // So long that whoever waits asks as seldom as it ever does.
        sleep(Duration::from_millis(1200)).await;
        let began = Instant::now();
        lease.release().await.unwrap();
        let (served, lease) = waiting.await.unwrap();
        took.push(served.saturating_duration_since(began));
        lease.release().await.unwrap();
    }
    took.sort_unstable();
    took
}

#[tokio::test]
async fn it_changes_hands_at_once_on_a_direct_connection() {
    let server = Server::start().await;
    let took = hand_overs(&server.deployer(), 5).await;
    println!("hand-over on a direct connection: {took:?}");
    // The middle one: others may use the machine.
    assert!(took[took.len() / 2] < Duration::from_millis(100), "{took:?}");
}

struct Pooler {
    at: SocketAddr,
    _process: Child,
}

/// A pooler in transaction mode before the server.
async fn pooler(program: PathBuf, server: &Server) -> Pooler {
    let folder = server.folder().join("pooler");
    std::fs::create_dir(&folder).unwrap();
    let at = {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        free.local_addr().unwrap()
    };
    let config = format!(
        "[databases]\nlocks = host=127.0.0.1 port={} dbname=locks\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
         auth_type = trust\nauth_file = {folder}/users\npool_mode = transaction\ndefault_pool_size = 2\n\
         server_tls_sslmode = verify-full\nserver_tls_ca_file = {folder}/ca.pem\nlogfile = {folder}/log\n",
        server.at.port(),
        at.port(),
        folder = folder.display(),
    );
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let users = format!("{} {}\n", quoted(DEPLOYER), quoted(&password_of(DEPLOYER)));
    let files = [("pgbouncer.ini", config.as_str()), ("users", &users), ("ca.pem", &AUTHORITY.root)];
    for (name, content) in files {
        let file = folder.join(name);
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut command = Command::new(program);
    command.arg("-q").arg(folder.join("pgbouncer.ini")).kill_on_drop(true);
    // It refuses to be root.
    if nix::unistd::geteuid().is_root() {
        let nobody = nix::unistd::User::from_name("nobody").unwrap().expect("a user without rights");
        let (user, group) = (nobody.uid.as_raw(), nobody.gid.as_raw());
        for file in std::iter::once(folder.clone()).chain(files.iter().map(|(name, _)| folder.join(name))) {
            chown(file, Some(user), Some(group)).unwrap();
        }
        command.uid(user).gid(group);
    }
    let process = command.spawn().unwrap();
    tokio::time::timeout(PATIENCE, async {
        while tokio::net::TcpStream::connect(at).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the pooler listens");
    Pooler { at, _process: process }
}

#[tokio::test]
async fn it_changes_hands_within_a_second_through_a_pooler() {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
    let found = folders.iter().map(|folder| PathBuf::from(folder).join("pgbouncer")).find(|path| path.exists());
    let Some(program) = found else {
        println!("skipped: this machine has no PgBouncer (Debian's package `pgbouncer`)");
        return;
    };
    let server = Server::start().await;
    let pooler = pooler(program, &server).await;
    let database = Database::new(&address(DEPLOYER, pooler.at), None, Trust::PlainLoopback).unwrap();
    let took = hand_overs(&database, 5).await;
    println!("hand-over through PgBouncer in transaction mode: {took:?}");
    assert!(took.iter().all(|took| *took < Duration::from_secs(1)), "{took:?}");
    // More clients than the pool has connections: each question is whole in itself.
    let lock = lock(&database, "prod").timing(Timing { patience: PATIENCE, ..Timing::default() });
    let many = (0..10).map(|number| {
        let lock = lock.clone();
        async move {
            let lease = lock.acquire(owner(&number.to_string()), Wait::UpTo(PATIENCE), None, |_| {}).await.unwrap();
            let fence = lease.fence();
            lease.release().await.unwrap();
            fence
        }
    });
    let mut fences = futures::future::join_all(many).await;
    fences.sort_unstable();
    assert_eq!(fences, (11..=20).collect::<Vec<u64>>());
}

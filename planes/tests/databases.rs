//! Real servers, asked as their users do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/database.rs"]
mod database;

use std::time::{Duration, Instant};

use common::{namespaces, network, vpc};
use database::{Folder, config, connect, connect_from, instance, privilege, user, words};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stackproof_planes::{
    databases::{Databases, Permission, Phase, Private, Secret, Status},
    network::{Attachment, Driver, Fabric, MemberSpec, Place},
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
    // Far more than it takes: machines that run tests are busy.
    assert!(took < Duration::from_secs(15), "{took:?}");
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

    let mut plain = config("ada", "shop");
    plain.ssl_mode(tokio_postgres::config::SslMode::Disable);
    let plain = plain.connect_raw(Place::Host.connect(at).await.unwrap(), tokio_postgres::NoTls).await;
    let refused = words(&plain.err().expect("no TLS, no way in"));
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
    // No other test's, so that its port stays free when it is closed.
    wanted.public = Some("127.0.0.77:0".parse().unwrap());
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
    assert!(status.problems.is_empty(), "{:?}", status.problems);
    let at = status.public.unwrap();
    let ada = connect(at, "ada", "shop").await.unwrap();
    ada.batch_execute(
        "CREATE TABLE orders (id serial PRIMARY KEY, what text); INSERT INTO orders (what) VALUES ('tea')",
    )
    .await
    .unwrap();

    assert!(connect(at, "nobody", "shop").await.err().unwrap().contains("permission denied"));
    let [reader, writer, maker] = ["reader", "writer", "maker"];
    let may = async |user: &str, statement: &str| {
        connect(at, user, "shop").await.unwrap().batch_execute(statement).await.map_err(|error| words(&error))
    };
    let (read, insert, create) =
        ("SELECT * FROM orders", "INSERT INTO orders (what) VALUES ('milk')", "CREATE TABLE more (id int)");
    may(reader, read).await.unwrap();
    assert!(may(reader, insert).await.unwrap_err().contains("permission denied"));
    may(writer, read).await.unwrap();
    may(writer, insert).await.unwrap();
    assert!(may(writer, create).await.unwrap_err().contains("permission denied"));
    may(maker, create).await.unwrap();
    may(maker, insert).await.unwrap();
    may(reader, "SELECT * FROM more").await.unwrap();

    wanted.privileges.retain(|privilege| privilege.user != "writer");
    wanted.users.retain(|user| user.name != "maker");
    wanted.privileges.retain(|privilege| privilege.user != "maker");
    let status = databases.apply(wanted, Place::Host).await.unwrap();
    assert!(status.problems.is_empty(), "{:?}", status.problems);
    assert!(connect(at, "writer", "shop").await.is_err(), "taken back");
    assert!(connect(at, "maker", "shop").await.is_err(), "gone");
    may(reader, read).await.unwrap();
    databases.stop().await;
}

#[tokio::test]
async fn settings_are_applied_and_bad_ones_named() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let mut wanted = instance("tuned");
    let mut set = |name: &str, value: &str| wanted.settings.insert(name.to_owned(), value.to_owned());
    set("work_mem", "7MB");
    set("max_connections", "33");
    set("statement_timeout", "banana");
    set("no_such_thing", "1");
    set("listen_addresses", "*");
    let status = databases.apply(wanted.clone(), Place::Host).await.unwrap();
    let named: Vec<&str> = status.problems.keys().map(String::as_str).collect();
    assert_eq!(named, ["listen_addresses", "no_such_thing", "statement_timeout"], "{:?}", status.problems);
    let at = status.public.unwrap();
    let show = async |name: &str| {
        let client = connect(at, "ada", "shop").await.unwrap();
        client.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get::<_, String>(0)
    };
    assert_eq!((show("work_mem").await.as_str(), show("max_connections").await.as_str()), ("7MB", "33"));
    let server = folder.server("tuned", "a");
    wanted.settings.insert("work_mem".to_owned(), "9MB".to_owned());
    databases.apply(wanted.clone(), Place::Host).await.unwrap();
    assert_eq!((show("work_mem").await.as_str(), folder.server("tuned", "a")), ("9MB", server), "without a restart");
    wanted.settings.insert("max_connections".to_owned(), "44".to_owned());
    wanted.version = 3;
    let status = databases.apply(wanted, Place::Host).await.unwrap();
    assert_eq!(show("max_connections").await, "44");
    assert_ne!(folder.server("tuned", "a"), server, "with one");
    assert!(status.problems.contains_key("version") && status.problems.contains_key("no_such_thing"), "{status:?}");
    databases.stop().await;
}

#[tokio::test]
async fn backups_and_snapshots_hold_what_was_there() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let mut wanted = instance("kept");
    wanted.users.push(user("reader", false));
    wanted.privileges.push(privilege("reader", Permission::Readonly));
    let at = databases.apply(wanted.clone(), Place::Host).await.unwrap().public.unwrap();
    let ada = connect(at, "ada", "shop").await.unwrap();
    ada.batch_execute("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id").await.unwrap();
    let (file, began) = (folder.path("shop.dump"), Instant::now());
    databases.backup("kept", "shop", &file).await.unwrap();
    println!("backup: {:?}", began.elapsed());
    let began = Instant::now();
    databases.snapshot("kept", "monday").await.unwrap();
    println!("snapshot: {:?}", began.elapsed());
    assert!(databases.snapshots()["monday"] > 1 << 20);
    ada.batch_execute("DELETE FROM orders WHERE id > 10; CREATE TABLE later (id int)").await.unwrap();
    let began = Instant::now();
    databases.restore("kept", "shop", &file).await.unwrap();
    println!("restore: {:?}", began.elapsed());
    databases.apply(wanted.clone(), Place::Host).await.unwrap();
    let count = "SELECT count(*) FROM orders";
    assert_eq!(ada.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1000);
    let reader = connect(at, "reader", "shop").await.unwrap();
    assert_eq!(reader.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1000);
    assert!(databases.backup("kept", "nothing", &folder.path("no.dump")).await.is_err());
    assert!(!folder.path("no.dump").exists());

    let mut copy = instance("copy");
    copy.snapshot = Some("monday".to_owned());
    let began = Instant::now();
    let status = databases.apply(copy.clone(), Place::Host).await.unwrap();
    println!("ready from a snapshot: {:?}", began.elapsed());
    let ada = connect(status.public.unwrap(), "ada", "shop").await.unwrap();
    assert_eq!(ada.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 1000);
    databases.remove("copy").await.unwrap();
    assert_eq!(databases.kept(), ["kept"]);
    databases.remove_snapshot("monday").await.unwrap();
    copy.id = "late".to_owned();
    assert!(databases.apply(copy, Place::Host).await.unwrap_err().to_string().contains("monday"));
    databases.stop().await;
}

#[tokio::test]
async fn a_server_starts_anew_is_measured_and_goes_on_under_another_name() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let at = databases.apply(instance("first"), Place::Host).await.unwrap().public.unwrap();
    let ada = connect(at, "ada", "shop").await.unwrap();
    ada.batch_execute("CREATE TABLE orders AS SELECT generate_series(1, 7) AS id").await.unwrap();
    let before = folder.server("first", "a");
    let status = databases.restart("first").await.unwrap();
    assert_eq!((status.phase, status.public), (Phase::Ready, Some(at)));
    assert_ne!(folder.server("first", "a"), before);
    let _ada = connect(at, "ada", "shop").await.unwrap();
    let measure = databases.measure("first").await.unwrap();
    assert_eq!((measure.node, measure.connections), (0, Some(1)), "{measure:?}");
    assert!(measure.bytes > 1 << 20, "{measure:?}");
    let [log, none] = databases.node_logs("first").unwrap();
    assert_eq!((log.len(), none.len()), (1, 0));
    assert!(databases.restart("nobody").await.is_err());

    databases.apply(instance("other"), Place::Host).await.unwrap();
    let taken = databases.rename("first", "other").await.unwrap_err();
    assert!(taken.to_string().contains("other"), "{taken}");
    databases.rename("first", "second").await.unwrap();
    assert_eq!(databases.kept(), ["other", "second"]);
    assert!(databases.has_data("second") && !databases.has_data("first"));
    let at = databases.apply(instance("second"), Place::Host).await.unwrap().public.unwrap();
    let ada = connect(at, "ada", "shop").await.unwrap();
    assert_eq!(ada.query_one("SELECT count(*) FROM orders", &[]).await.unwrap().get::<_, i64>(0), 7);
    databases.stop().await;
    let gone = databases.measure("second").await.unwrap();
    assert_eq!((gone.connections, gone.busy, gone.memory), (None, None, None));
}

#[tokio::test]
async fn a_server_that_dies_comes_back_with_what_was_committed() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let status = databases.apply(instance("tough"), Place::Host).await.unwrap();
    let at = status.public.unwrap();
    let ada = connect(at, "ada", "shop").await.unwrap();
    ada.batch_execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2)").await.unwrap();
    let mut watched = databases.watch("tough").unwrap();
    let began = Instant::now();
    end(folder.server("tough", "a"));
    let status = until(&mut watched, |status| status.restarts == 1 && status.phase == Phase::Ready).await;
    println!("back after {:?}", began.elapsed());
    assert_eq!(status.public, Some(at));
    let ada = connect(at, "ada", "shop").await.unwrap();
    assert_eq!(ada.query_one("SELECT count(*) FROM orders", &[]).await.unwrap().get::<_, i64>(0), 2);
    databases.stop().await;
}

#[tokio::test]
async fn a_standby_takes_over_with_every_acknowledged_commit() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let mut wanted = instance("pair");
    wanted.standby = true;
    let began = Instant::now();
    let status = databases.apply(wanted, Place::Host).await.unwrap();
    println!("with a standby: ready after {:?}", began.elapsed());
    assert!(status.standby);
    let at = status.public.unwrap();
    let ada = connect(at, "ada", "shop").await.unwrap();
    ada.batch_execute("CREATE TABLE orders (id int)").await.unwrap();
    for (round, slot) in ["a", "b"].into_iter().enumerate() {
        let mut watched = databases.watch("pair").unwrap();
        until(&mut watched, |status| status.standby).await;
        let ada = connect(at, "ada", "shop").await.unwrap();
        let (told, mut heard) = watch::channel(0_i32);
        let first = i32::try_from(round).unwrap() * 1_000_000;
        let writing = tokio::spawn(async move {
            let mut id = first;
            while ada.execute("INSERT INTO orders VALUES ($1)", &[&(id + 1)]).await.is_ok() {
                id += 1;
                told.send_replace(id);
            }
            id
        });
        heard.wait_for(|id| *id > first + 50).await.unwrap();
        let began = Instant::now();
        end(folder.server("pair", slot));
        let last = writing.await.unwrap();
        let failovers = u32::try_from(round).unwrap() + 1;
        until(&mut watched, |status| status.failovers == failovers && status.phase == Phase::Ready).await;
        println!("the standby took over in {:?}, {} commits", began.elapsed(), last - first);
        let ada = connect(at, "ada", "shop").await.unwrap();
        let query = "SELECT count(*) FROM orders WHERE id > $1 AND id <= $2";
        let there: i64 = ada.query_one(query, &[&first, &last]).await.unwrap().get(0);
        assert_eq!(there, i64::from(last - first), "every acknowledged commit");
        until(&mut watched, |status| status.standby).await;
        println!("a new standby after {:?}", began.elapsed());
    }
    // The standby dies: commits go on, and there is another one.
    let mut watched = databases.watch("pair").unwrap();
    until(&mut watched, |status| status.standby).await;
    watched.mark_unchanged();
    end(folder.server("pair", "b"));
    until(&mut watched, |status| !status.standby).await;
    connect(at, "ada", "shop").await.unwrap().batch_execute("INSERT INTO orders VALUES (-1)").await.unwrap();
    until(&mut watched, |status| status.standby && status.phase == Phase::Ready).await;
    databases.stop().await;
    assert_eq!(folder.servers(), []);
}

#[tokio::test]
async fn a_replica_follows_and_can_go_on_by_itself() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let mut leader = instance("leader");
    leader.max_connections = 50;
    leader.standby = true;
    let at = databases.apply(leader, Place::Host).await.unwrap().public.unwrap();
    let mut wanted = instance("follower");
    wanted.replica_of = Some("leader".to_owned());
    let status = databases.apply(wanted.clone(), Place::Host).await.unwrap();
    let ada = connect(at, "ada", "shop").await.unwrap();
    ada.batch_execute("CREATE TABLE orders (id int)").await.unwrap();
    let copy = connect(status.public.unwrap(), "ada", "shop").await.unwrap();
    let count = async |copy: &database::Connected, wanted: i64| {
        let mut again = tokio::time::interval(Duration::from_millis(10));
        let asked = async {
            loop {
                again.tick().await;
                if copy
                    .query_one("SELECT count(*) FROM orders", &[])
                    .await
                    .is_ok_and(|row| row.get::<_, i64>(0) == wanted)
                {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("the rows in time");
    };
    ada.batch_execute("INSERT INTO orders VALUES (1)").await.unwrap();
    count(&copy, 1).await;
    let refused = copy.batch_execute("INSERT INTO orders VALUES (2)").await.unwrap_err();
    assert!(words(&refused).contains("read-only"), "{}", words(&refused));

    let mut watched = databases.watch("leader").unwrap();
    end(folder.server("leader", "a"));
    until(&mut watched, |status| status.failovers == 1 && status.standby).await;
    let ada = connect(at, "ada", "shop").await.unwrap();
    ada.batch_execute("INSERT INTO orders VALUES (2)").await.unwrap();
    let mut watched = databases.watch("follower").unwrap();
    until(&mut watched, |status| status.phase == Phase::Ready).await;
    let copy = connect(status.public.unwrap(), "ada", "shop").await.unwrap();
    count(&copy, 2).await;

    wanted.replica_of = None;
    databases.apply(wanted, Place::Host).await.unwrap();
    let copy = connect(status.public.unwrap(), "ada", "shop").await.unwrap();
    copy.batch_execute("INSERT INTO orders VALUES (3)").await.unwrap();
    databases.stop().await;
}

#[tokio::test]
async fn what_an_unclean_end_left_is_ended_and_the_data_is_there() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let at = databases.apply(instance("left"), Place::Host).await.unwrap().public.unwrap();
    connect(at, "ada", "shop").await.unwrap().batch_execute("CREATE TABLE orders (id int)").await.unwrap();
    databases.stop().await;
    // Started by nobody who is still there, as if its owner and the watcher had been killed.
    let data = folder.path("databases").join("instances/left/a");
    let pg_ctl = |arguments: &[&str]| {
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&data).unwrap());
        let mut command = std::process::Command::new("/usr/lib/postgresql/15/bin/pg_ctl");
        command.args(arguments).arg("-D").arg(&data).current_dir("/").stdout(std::process::Stdio::null());
        if owner != nix::unistd::geteuid().as_raw() {
            std::os::unix::process::CommandExt::uid(&mut command, owner);
        }
        command.status().unwrap()
    };
    let options = format!("-c unix_socket_directories={} -c listen_addresses=", data.display());
    assert!(pg_ctl(&["start", "-W", "-l", "/dev/null", "-o", &options]).success());
    let mut again = tokio::time::interval(Duration::from_millis(10));
    let began = Instant::now();
    while !std::fs::read_to_string(data.join("postmaster.pid")).is_ok_and(|told| told.lines().count() >= 3) {
        assert!(began.elapsed() < PATIENCE, "the server does not start");
        again.tick().await;
    }
    assert_ne!(folder.servers(), []);
    let databases = folder.open().await;
    assert_eq!(folder.servers(), [], "swept");
    assert_eq!(databases.kept(), ["left"]);
    let at = databases.apply(instance("left"), Place::Host).await.unwrap().public.unwrap();
    connect(at, "ada", "shop").await.unwrap().batch_execute("INSERT INTO orders VALUES (1)").await.unwrap();

    // Dropped without a stop and taken at once: who ended the old servers left the new ones alone.
    drop(databases);
    let databases = folder.open().await;
    let at = databases.apply(instance("left"), Place::Host).await.unwrap().public.unwrap();
    connect(at, "ada", "shop").await.unwrap().batch_execute("INSERT INTO orders VALUES (2)").await.unwrap();
    drop(databases);
    while !folder.servers().is_empty() {
        again.tick().await;
    }
}

#[tokio::test]
async fn many_start_at_once_and_none_is_left() {
    let folder = Folder::new();
    let databases = folder.open().await;
    let began = Instant::now();
    let all = (0..5).map(|number| databases.apply(instance(&format!("many-{number}")), Place::Host));
    let all: Result<Vec<Status>, _> = futures::future::join_all(all).await.into_iter().collect();
    println!("five are ready after {:?}", began.elapsed());
    for status in all.unwrap() {
        connect(status.public.unwrap(), "ada", "shop").await.unwrap();
    }
    let began = Instant::now();
    databases.stop().await;
    println!("five stopped in {:?}", began.elapsed());
    assert_eq!(folder.servers(), []);
    assert!(databases.apply(instance("late"), Place::Host).await.is_err(), "stopped is stopped");
}

#[tokio::test]
async fn the_first_instance_of_a_machine_makes_the_template() {
    let folder = Folder::new();
    let templates = folder.path("templates");
    let began = Instant::now();
    let databases = Databases::open(&folder.path("databases"), &templates).await.unwrap();
    databases.apply(instance("cold"), Place::Host).await.unwrap();
    println!("cold: ready after {:?}", began.elapsed());
    databases.stop().await;
}

/// What the next test kills.
#[tokio::test]
#[ignore = "runs within the test of an owner that is killed"]
async fn owner() {
    let Some(folder) = std::env::var_os("DATABASES_TEST_FOLDER") else { return };
    let databases = Databases::open(std::path::Path::new(&folder), &database::templates()).await.unwrap();
    let mut wanted = instance("orphan");
    wanted.standby = true;
    databases.apply(wanted, Place::Host).await.unwrap();
    println!("\nOWNER READY");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn an_owner_that_is_killed_takes_its_servers_along() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let folder = Folder::new();
    let mut owner = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner", "--ignored", "--nocapture"])
        .env("DATABASES_TEST_FOLDER", folder.path("databases"))
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("it gets ready") != "OWNER READY" {}
    assert_ne!(folder.servers(), []);
    owner.kill().await.unwrap();
    let began = Instant::now();
    let mut again = tokio::time::interval(Duration::from_millis(5));
    let gone = async {
        while !folder.servers().is_empty() {
            again.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("its servers end");
    println!("gone {:?} after their owner", began.elapsed());
    let databases = folder.open().await;
    databases.apply(instance("orphan"), Place::Host).await.unwrap();
    databases.stop().await;
}

#[tokio::test]
async fn a_private_address_is_kept_and_tells_who_asks() {
    namespaces!();
    let member = |id: &str, address: &str| MemberSpec {
        id: id.to_owned(),
        attachments: vec![Attachment { network: "left".to_owned(), addresses: vec![address.parse().unwrap()] }],
        doors: false,
    };
    let fabric = Fabric::new(Driver::Namespaces);
    fabric.set_vpc(vpc("one", false)).await.unwrap();
    fabric.set_network(network("left", "one", &[("10.0.0.0/24", "10.0.0.1")])).await.unwrap();
    for (id, address) in [("db", "10.0.0.2"), ("friend", "10.0.0.3"), ("stranger", "10.0.0.4")] {
        fabric.set_member(member(id, address)).await.unwrap();
    }
    let [db, friend, stranger] = ["db", "friend", "stranger"].map(|id| fabric.member(id));
    let (db, friend, stranger) =
        (db.await.unwrap().place.clone(), friend.await.unwrap().place.clone(), stranger.await.unwrap().place.clone());

    let folder = Folder::new();
    let databases = folder.open().await;
    let mut wanted = instance("inside");
    wanted.standby = true;
    wanted.acl = ["10.0.0.3/32", "127.0.0.1/32"].map(|range| range.parse().unwrap()).into();
    wanted.private = Some(Private { addresses: vec!["10.0.0.2".parse().unwrap()], port: 5432 });
    let status = databases.apply(wanted.clone(), db.clone()).await.unwrap();
    let at = "10.0.0.2:5432".parse().unwrap();
    let ada = connect_from(&friend, at, &mut config("ada", "shop"), "10.0.0.2", true).await.unwrap();
    let seen = ada.query_one("SELECT host(inet_client_addr())", &[]).await.unwrap();
    assert_eq!(seen.get::<_, &str>(0), "10.0.0.3");
    let refused = connect_from(&stranger, at, &mut config("ada", "shop"), "10.0.0.2", true).await.err().unwrap();
    assert!(refused.contains("rejects"), "{refused}");
    connect(status.public.unwrap(), "ada", "shop").await.unwrap();

    let mut watched = databases.watch("inside").unwrap();
    end(folder.server("inside", "a"));
    until(&mut watched, |status| status.failovers == 1 && status.phase == Phase::Ready).await;
    connect_from(&friend, at, &mut config("ada", "shop"), "10.0.0.2", true).await.unwrap();
    connect(status.public.unwrap(), "ada", "shop").await.unwrap();

    let status = databases.apply(wanted, Place::Host).await;
    assert!(status.is_err(), "the address is not this machine's");
    databases.stop().await;
}

#[tokio::test]
async fn a_server_lives_where_it_is_put() {
    use stackproof_planes::network::Namespace;
    let space = match Namespace::create("databases").await {
        Ok(space) => Place::Within(space),
        Err(error) => return println!("SKIPPED: {}: {error}", module_path!()),
    };
    let folder = Folder::new();
    let databases = folder.open().await;
    let mut wanted = instance("put");
    wanted.standby = true;
    wanted.acl = vec!["127.0.0.1/32".parse().unwrap()];
    wanted.private = Some(Private { addresses: vec!["127.0.0.9".parse().unwrap()], port: 6543 });
    let public = databases.apply(wanted.clone(), space.clone()).await.unwrap().public.unwrap();
    let at = "127.0.0.9:6543".parse().unwrap();
    assert!(Place::Host.connect(at).await.is_err(), "not of this machine");
    let within = async || connect_from(&space, at, &mut config("ada", "shop"), "localhost", true).await;
    within().await.unwrap().batch_execute("CREATE TABLE orders (id int)").await.unwrap();
    connect(public, "ada", "shop").await.unwrap();

    let mut watched = databases.watch("put").unwrap();
    end(folder.server("put", "a"));
    until(&mut watched, |status| status.failovers == 1 && status.phase == Phase::Ready).await;
    within().await.unwrap().batch_execute("INSERT INTO orders VALUES (1)").await.unwrap();
    connect(public, "ada", "shop").await.unwrap();

    // Elsewhere from now on, with the same data.
    let status = databases.apply(wanted, Place::Host).await.unwrap();
    assert_eq!(status.public, Some(public));
    let ada = connect(at, "ada", "shop").await.unwrap();
    assert_eq!(ada.query_one("SELECT count(*) FROM orders", &[]).await.unwrap().get::<_, i64>(0), 1);
    databases.stop().await;
}

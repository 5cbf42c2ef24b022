//! Databases, run for real and used as their clients do.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

mod common;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Instant};

use common::{network, vpc};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use stackproof_planes::{
    databases::{Databases, Endpoints, Engine, InstanceSpec, Permission, Privilege, State, User},
    network::{Attachment, Driver, Fabric, MemberSpec, Place},
};
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

struct Rig {
    folder: tempfile::TempDir,
    fabric: Arc<Fabric>,
    databases: Databases,
}

fn engine() -> Engine {
    Engine::find(Path::new("/var/tmp/stackproof-test-clusters")).unwrap()
}

async fn rig() -> Rig {
    let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let fabric = Arc::new(Fabric::new(Driver::detect().await));
    let databases = Databases::open(&folder.path().join("db"), engine(), Arc::clone(&fabric)).await.unwrap();
    Rig { folder, fabric, databases }
}

fn verifier(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}

fn user(name: &str, password: &str, admin: bool) -> User {
    User { name: name.to_owned(), verifier: verifier(password), admin }
}

fn may(user: &str, permission: Permission) -> Privilege {
    Privilege { database: "rdb".to_owned(), user: user.to_owned(), permission }
}

fn spec(id: &str) -> InstanceSpec {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "172.16.4.2".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    InstanceSpec {
        id: id.to_owned(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        settings: Default::default(),
        users: vec![user("admin", "first", true)],
        databases: vec!["rdb".to_owned()],
        privileges: Vec::new(),
        allowed: vec!["0.0.0.0/0".parse().unwrap()],
        public: Some(0),
        private: Vec::new(),
        port: 5432,
        max_connections: 20,
        restarts: 0,
        made_of: None,
    }
}

/// TLS that believes this certificate only, and looks at the name.
fn tls(spec: &InstanceSpec) -> MakeRustlsConnect {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(spec.certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth())
}

async fn login(place: &Place, at: SocketAddr, spec: &InstanceSpec, who: (&str, &str)) -> Result<Client, String> {
    use tokio_postgres::tls::MakeTlsConnect;
    let mut config = tokio_postgres::Config::new();
    config.user(who.0).password(who.1).dbname("rdb").ssl_mode(tokio_postgres::config::SslMode::Require);
    let stream = place.connect(at).await.map_err(|error| error.to_string())?;
    let mut tls = tls(spec);
    let name = at.ip().to_string();
    let tls = MakeTlsConnect::<tokio::net::TcpStream>::make_tls_connect(&mut tls, &name).unwrap();
    let told = |error: tokio_postgres::Error| {
        error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
    };
    let (client, connection) = config.connect_raw(stream, tls).await.map_err(told)?;
    tokio::spawn(connection);
    Ok(client)
}

impl Rig {
    async fn ready(&self, spec: &InstanceSpec) -> Endpoints {
        self.databases.apply(spec.clone()).await.unwrap()
    }

    async fn client(&self, endpoints: &Endpoints, spec: &InstanceSpec, who: (&str, &str)) -> Result<Client, String> {
        login(&Place::Host, endpoints.public.unwrap(), spec, who).await
    }
}

async fn count(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM notes", &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_over_tls_to_who_knows_the_password_from_where_it_may() {
    let rig = rig().await;
    let mut spec = spec("one");
    let began = Instant::now();
    let endpoints = rig.ready(&spec).await;
    println!("ready after {:?}", began.elapsed());
    let client = rig.client(&endpoints, &spec, ("admin", "first")).await.unwrap();
    client.batch_execute("CREATE TABLE notes (text text)").await.unwrap();
    let version: String =
        client.query_one("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await.unwrap().get(0);
    assert_eq!(version, "TLSv1.3");

    let wrong = rig.client(&endpoints, &spec, ("admin", "other")).await.unwrap_err();
    assert_eq!(wrong, "password authentication failed for user \"admin\"");
    let superuser = rig.client(&endpoints, &spec, ("_rdb_superadmin", "x")).await.unwrap_err();
    assert!(superuser.contains("pg_hba.conf rejects connection"), "{superuser}");
    let port = endpoints.public.unwrap().port();
    let plain = format!("host=127.0.0.1 port={port} user=admin password=first dbname=rdb sslmode=disable");
    assert!(
        tokio_postgres::connect(&plain, tokio_postgres::NoTls).await.is_err(),
        "a connection without TLS was taken"
    );

    spec.allowed = vec!["192.0.2.0/24".parse().unwrap()];
    assert_eq!(rig.ready(&spec).await, endpoints);
    let closed = rig.client(&endpoints, &spec, ("admin", "first")).await.unwrap_err();
    assert!(closed.contains("pg_hba.conf rejects connection"), "{closed}");
    assert!(!rig.databases.logs("one").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn users_may_do_what_their_privileges_say() {
    let rig = rig().await;
    let mut spec = spec("one");
    spec.users.extend([
        user("reader", "r", false),
        user("writer", "w", false),
        user("owner", "o", false),
        user("nobody", "n", false),
    ]);
    spec.privileges =
        vec![may("owner", Permission::All), may("reader", Permission::ReadOnly), may("writer", Permission::ReadWrite)];
    let endpoints = rig.ready(&spec).await;
    let owner = rig.client(&endpoints, &spec, ("owner", "o")).await.unwrap();
    owner.batch_execute("CREATE TABLE notes (id serial, text text)").await.unwrap();
    let reader = rig.client(&endpoints, &spec, ("reader", "r")).await.unwrap();
    assert_eq!(count(&reader).await, 0);
    assert!(reader.execute("INSERT INTO notes (text) VALUES ('x')", &[]).await.is_err());
    let writer = rig.client(&endpoints, &spec, ("writer", "w")).await.unwrap();
    writer.execute("INSERT INTO notes (text) VALUES ('x')", &[]).await.unwrap();
    assert!(writer.batch_execute("CREATE TABLE mine ()").await.is_err());
    let refused = rig.client(&endpoints, &spec, ("nobody", "n")).await.unwrap_err();
    assert!(refused.contains("permission denied for database"), "{refused}");

    spec.privileges[1].permission = Permission::None;
    spec.users.retain(|user| user.name != "writer");
    spec.databases.push("second".to_owned());
    rig.ready(&spec).await;
    assert!(reader.query("SELECT * FROM notes", &[]).await.is_err());
    assert!(rig.client(&endpoints, &spec, ("writer", "w")).await.is_err());
    spec.users[0] = user("admin", "second", true);
    spec.databases.pop();
    rig.ready(&spec).await;
    rig.client(&endpoints, &spec, ("admin", "second")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_take_effect_with_a_restart_where_they_need_one() {
    let rig = rig().await;
    let mut spec = spec("one");
    let endpoints = rig.ready(&spec).await;
    let before = rig.databases.process("one").await;
    spec.settings.insert("work_mem".to_owned(), "8MB".to_owned());
    rig.ready(&spec).await;
    assert_eq!(rig.databases.process("one").await, before);
    spec.settings.insert("max_locks_per_transaction".to_owned(), "80".to_owned());
    assert_eq!(rig.ready(&spec).await, endpoints);
    assert_ne!(rig.databases.process("one").await, before);
    let client = rig.client(&endpoints, &spec, ("admin", "first")).await.unwrap();
    for (setting, value) in &spec.settings {
        let is: String = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap().get(0);
        assert_eq!(is, *value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_with_every_acknowledged_row() {
    let rig = rig().await;
    let spec = spec("one");
    let endpoints = rig.ready(&spec).await;
    let client = rig.client(&endpoints, &spec, ("admin", "first")).await.unwrap();
    client.batch_execute("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('kept')").await.unwrap();
    let mut state = rig.databases.state("one").await.unwrap();
    let process = rig.databases.process("one").await.unwrap();
    kill(Pid::from_raw(process.try_into().unwrap()), Signal::SIGKILL).unwrap();
    state.wait_for(|state| matches!(state, State::Recovering { .. })).await.unwrap();
    state.wait_for(|state| *state == State::Ready).await.unwrap();
    let client = rig.client(&endpoints, &spec, ("admin", "first")).await.unwrap();
    assert_eq!(count(&client).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_bring_back_what_was_there() {
    let rig = rig().await;
    let first = spec("one");
    let endpoints = rig.ready(&first).await;
    let client = rig.client(&endpoints, &first, ("admin", "first")).await.unwrap();
    client.batch_execute("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('kept')").await.unwrap();
    let (dump, snapshot) = (rig.folder.path().join("dump"), rig.folder.path().join("snapshots/one"));
    assert!(rig.databases.backup("one", "rdb", &dump).await.unwrap() > 0);
    assert!(rig.databases.snapshot("one", &snapshot).await.unwrap() > 0);
    client.batch_execute("DELETE FROM notes").await.unwrap();
    rig.databases.restore("one", "rdb", &dump).await.unwrap();
    assert_eq!(count(&client).await, 1);
    assert!(rig.databases.size("one", "rdb").await.unwrap() > 1_000_000);

    let second = InstanceSpec { made_of: Some(snapshot), ..spec("two") };
    let endpoints = rig.ready(&second).await;
    let client = rig.client(&endpoints, &second, ("admin", "first")).await.unwrap();
    assert_eq!(count(&client).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_private_endpoint_is_reached_from_its_network_only() {
    common::namespaces!();
    let rig = rig().await;
    rig.fabric.set_vpc(vpc("v", true)).await.unwrap();
    for (id, range, router) in [("a", "172.16.4.0/24", "172.16.4.1"), ("b", "172.16.8.0/24", "172.16.8.1")] {
        rig.fabric.set_network(network(id, "v", &[(range, router)])).await.unwrap();
    }
    rig.fabric.set_vpc(vpc("other", true)).await.unwrap();
    rig.fabric.set_network(network("c", "other", &[("172.16.4.0/24", "172.16.4.1")])).await.unwrap();
    let at = |network: &str, address: &str| Attachment {
        network: network.into(),
        addresses: vec![address.parse().unwrap()],
    };
    let spec = InstanceSpec { public: None, private: vec![at("a", "172.16.4.2")], ..spec("db") };
    let endpoints = rig.ready(&spec).await;
    assert_eq!(endpoints.public, None);
    let private = endpoints.private[0].at;
    let member = |id: &str, place: Attachment| {
        rig.fabric.set_member(MemberSpec { id: id.to_owned(), attachments: vec![place], doors: true })
    };
    let friend = member("friend", at("a", "172.16.4.3")).await.unwrap();
    login(&friend.place, private, &spec, ("admin", "first")).await.unwrap();
    let routed = member("routed", at("b", "172.16.8.3")).await.unwrap();
    login(&routed.place, private, &spec, ("admin", "first")).await.unwrap();
    let foreign = member("foreign", at("c", "172.16.4.3")).await.unwrap();
    let patience = std::time::Duration::from_millis(300);
    let probe = foreign.place.probe(private, patience).await;
    assert_ne!(probe.reached, stackproof_planes::network::Reached::Connected, "{probe:?}");
    // A machine's way out may take any connection and lead it nowhere: what counts is who answers.
    let host = tokio::time::timeout(patience, login(&Place::Host, private, &spec, ("admin", "first"))).await;
    assert!(!matches!(host, Ok(Ok(_))), "the host logs in at a private address");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_start_at_once_and_none_is_left() {
    let rig = rig().await;
    let specs: Vec<InstanceSpec> = (0..5).map(|number| spec(&format!("many{number}"))).collect();
    futures::future::join_all(specs.iter().map(|spec| rig.ready(spec))).await;
    let folder = rig.folder.path().display().to_string();
    let running = || {
        let processes = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| std::fs::read(entry.unwrap().path().join("cmdline")).ok());
        processes.filter(|line| String::from_utf8_lossy(line).contains(&folder)).count()
    };
    assert_eq!(running(), 5);
    rig.databases.remove("many0").await.unwrap();
    rig.databases.stop().await;
    assert_eq!(running(), 0);
    let again = Databases::open(&rig.folder.path().join("db"), engine(), Arc::clone(&rig.fabric)).await.unwrap();
    again.apply(specs[1].clone()).await.unwrap();
    assert_eq!(running(), 1);
}

/// Run by the next test: a process that is killed while its database runs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by another test"]
async fn owner() {
    let Some(folder) = std::env::var_os("FOLDER") else { return };
    let fabric = Arc::new(Fabric::new(Driver::detect().await));
    let databases = Databases::open(Path::new(&folder), engine(), fabric).await.unwrap();
    databases.apply(spec("one")).await.unwrap();
    println!("ready {}", databases.process("one").await.unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_owner_takes_its_servers_with_it() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let rig = rig().await;
    let folder = rig.folder.path().join("owned");
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["owner", "--exact", "--ignored", "--nocapture"])
        .env("FOLDER", &folder)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let server = loop {
        let line = lines.next_line().await.unwrap().expect("it said that it was ready");
        if let Some((_, number)) = line.split_once("ready ") {
            break number.trim().to_owned();
        }
    };
    child.kill().await.unwrap();
    let opened = Databases::open(&folder, engine(), Arc::clone(&rig.fabric)).await.unwrap();
    // What has ended and was not waited for yet has no command line.
    let line = std::fs::read(format!("/proc/{server}/cmdline")).unwrap_or_default();
    assert!(line.is_empty(), "the server outlived its owner and the next opening");
    opened.apply(spec("one")).await.unwrap();
}

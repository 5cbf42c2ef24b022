//! Serverless databases, before real servers and used as their clients do.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

use std::{
    io,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, chown, geteuid},
};
use stackproof_planes::{
    network::Place,
    serverless::{Backend, Certificate, Listener, Logins, State, Verdict},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Child,
    sync::Mutex,
};
use tokio_postgres::{
    CancelToken, Client, NoTls,
    config::{SslMode, SslNegotiation},
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::{
    self,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The principal everybody logs in as, and its key.
const WRITER: (&str, &str) = ("5a7b1a3e-6f0a-4f9e-8b4e-0c2f5d1a9b11", "a secret: it's 'quoted' \\ ünd lang");
const READER: (&str, &str) = ("reader", "r");
/// How long a server is awake for nobody.
const IDLE: Duration = Duration::from_millis(300);
/// How long to wait for what has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of the machine's PostgreSQL.
struct Postgres {
    home: tempfile::TempDir,
    programs: PathBuf,
    running: Mutex<Option<Child>>,
    woken: AtomicUsize,
    broken: std::sync::atomic::AtomicBool,
}

fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("STACKPROOF_POSTGRES_BIN") {
        return folder.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let on_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let folders = versions.map(|version| version.unwrap().path().join("bin")).chain(on_path);
    folders.into_iter().find(|folder| folder.join("initdb").is_file()).expect("the tests need PostgreSQL")
}

impl Postgres {
    /// A cluster with the roles `writer` and `reader`, and the database `db`. No server runs on it yet.
    async fn new() -> Arc<Self> {
        let home = tempfile::Builder::new().prefix("sp-").permissions(PermissionsExt::from_mode(0o700)).tempdir();
        let home = home.unwrap();
        if let Some(user) = unprivileged() {
            chown(home.path(), Some(user.uid), Some(user.gid)).unwrap();
        }
        let made = Self {
            programs: programs(),
            home,
            running: Mutex::default(),
            woken: AtomicUsize::new(0),
            broken: false.into(),
        };
        let mut initdb = made.program("initdb");
        initdb.arg("-D").arg(made.data()).args(["-U", "plane", "--auth", "trust", "--no-sync", "--locale", "C.UTF-8"]);
        let output = tokio::process::Command::from(initdb).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        made.start().await.unwrap();
        made.run("postgres", "CREATE ROLE writer LOGIN; CREATE ROLE reader LOGIN").await;
        made.run("postgres", "CREATE DATABASE db OWNER writer").await;
        made.run(
            "db",
            "CREATE TABLE notes (text text); ALTER TABLE notes OWNER TO writer; GRANT SELECT ON notes TO reader",
        )
        .await;
        made.sleep().await.unwrap();
        Arc::new(made)
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(user) = unprivileged() {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    async fn connect(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        let (client, connection) =
            config.host_path(self.home.path()).user("plane").dbname(database).connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn run(&self, database: &str, statements: &str) {
        let client = self.connect(database).await.unwrap();
        for statement in statements.split("; ") {
            client.batch_execute(statement).await.unwrap();
        }
    }

    async fn start(&self) -> io::Result<()> {
        let mut running = self.running.lock().await;
        let spawn = || {
            let mut command = self.program("postgres");
            command.arg("-D").arg(self.data()).arg("-k").arg(self.home.path());
            command.args(["-c", "listen_addresses=", "-c", "fsync=off"]).stderr(Stdio::null());
            tokio::process::Command::from(command).kill_on_drop(true).spawn()
        };
        // One that was killed may be looked at before it is dead, so only its socket tells.
        let child = match running.take() {
            Some(child) => running.insert(child),
            None => running.insert(spawn()?),
        };
        let (began, mut looks) = (Instant::now(), tokio::time::interval(Duration::from_millis(10)));
        while self.connect("postgres").await.is_err() {
            looks.tick().await;
            if let Some(status) = child.try_wait()? {
                // The processes of one that was killed end by themselves, and no other starts before they have.
                if began.elapsed() < Duration::from_secs(20) {
                    *child = spawn()?;
                    continue;
                }
                return Err(io::Error::other(format!("the server ended: {status}")));
            }
        }
        Ok(())
    }

    async fn process(&self) -> Option<Pid> {
        let running = self.running.lock().await;
        let id = running.as_ref()?.id()?;
        Some(Pid::from_raw(i32::try_from(id).unwrap()))
    }
}

fn unprivileged() -> Option<User> {
    let named = |name| User::from_name(name).unwrap();
    geteuid().is_root().then(|| named("postgres").or_else(|| named("nobody")).unwrap())
}

#[async_trait::async_trait]
impl Backend for Postgres {
    async fn wake(&self) -> io::Result<PathBuf> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("broken on purpose"));
        }
        self.woken.fetch_add(1, Ordering::SeqCst);
        self.start().await?;
        Ok(self.home.path().join(".s.PGSQL.5432"))
    }

    async fn sleep(&self) -> io::Result<()> {
        if let Some(mut child) = self.running.lock().await.take() {
            if let Some(id) = child.id() {
                kill(Pid::from_raw(i32::try_from(id).unwrap()), Signal::SIGINT)?;
            }
            child.wait().await?;
        }
        Ok(())
    }
}

struct People;

#[async_trait::async_trait]
impl Logins for People {
    async fn check(&self, user: &str, password: &str, database: &str) -> Verdict {
        match (user, password) {
            WRITER if database == "closed" => Verdict::Denied { told: "not for you".to_owned() },
            WRITER if database == "hidden" => Verdict::NoDatabase,
            WRITER => Verdict::Admitted { role: "writer".to_owned() },
            READER => Verdict::Admitted { role: "reader".to_owned() },
            ("later", _) => Verdict::Unavailable { reason: "not before noon".to_owned() },
            ("lost", _) => Verdict::Admitted { role: "nobody of this server".to_owned() },
            _ => Verdict::WrongPassword,
        }
    }
}

struct Rig {
    postgres: Arc<Postgres>,
    listener: Listener,
    certificate: Certificate,
}

fn certificate() -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    Certificate { chain: made.pem(), key: key.serialize_pem() }
}

async fn rig() -> Rig {
    let (postgres, certificate) = (Postgres::new().await, certificate());
    let at = "127.0.0.1:0".parse().unwrap();
    let backend = Arc::clone(&postgres) as Arc<dyn Backend>;
    let listener =
        Listener::start(&Place::Host, at, &certificate, Arc::new(People), backend, Arc::new(IDLE)).await.unwrap();
    Rig { postgres, listener, certificate }
}

impl Rig {
    fn at(&self) -> SocketAddr {
        self.listener.listens()
    }

    /// TLS that believes this certificate only, and looks at the name.
    fn tls(&self) -> MakeRustlsConnect {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.chain.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    async fn login(&self, (user, password): (&str, &str), database: &str) -> Result<Client, String> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.at().port()).user(user).password(password).dbname(database);
        let connected = config.ssl_mode(SslMode::Require).application_name("test").connect(self.tls()).await;
        let (client, connection) = connected.map_err(told)?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn until(&self, what: impl FnMut(&State) -> bool) -> State {
        let mut state = self.listener.state();
        *tokio::time::timeout(PATIENCE, state.wait_for(what)).await.expect("not in time").unwrap()
    }

    fn woken(&self) -> usize {
        self.postgres.woken.load(Ordering::SeqCst)
    }
}

fn told(error: tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else { return error.to_string() };
    format!("{} {}: {}", said.severity(), said.code().code(), said.message())
}

async fn one(client: &Client, question: &str) -> String {
    client.query_one(question, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_connection_starts_the_server_and_acts_as_its_role() {
    let rig = rig().await;
    assert_eq!(*rig.listener.state().borrow(), State { awake: false, connections: 0 });
    let began = Instant::now();
    let client = rig.login(WRITER, "db").await.unwrap();
    println!("first connection after {:?}", began.elapsed());
    assert_eq!(one(&client, "SELECT current_user::text").await, "writer");
    assert_eq!(one(&client, "SHOW application_name").await, "test");
    client.batch_execute("INSERT INTO notes VALUES ('one')").await.unwrap();
    let began = Instant::now();
    let reader = rig.login(READER, "db").await.unwrap();
    println!("further connection after {:?}", began.elapsed());
    assert_eq!(one(&reader, "SELECT text FROM notes").await, "one");
    let refused = reader.batch_execute("INSERT INTO notes VALUES ('two')").await.unwrap_err();
    assert_eq!(told(refused), "ERROR 42501: permission denied for table notes");
    assert_eq!(rig.until(|state| state.connections == 2).await, State { awake: true, connections: 2 });
    rig.listener.stop().await.unwrap();
    assert_eq!(rig.postgres.process().await, None);
    assert!(client.simple_query("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_told_why_and_wakes_nothing() {
    let rig = rig().await;
    let refused = async |who, database| rig.login(who, database).await.err().unwrap();
    let (writer, _) = WRITER;
    let wrong = format!("FATAL 28P01: password authentication failed for user \"{writer}\"");
    assert_eq!(refused((writer, "wrong"), "db").await, wrong);
    assert_eq!(refused((writer, ""), "db").await, wrong);
    let unknown = "FATAL 28P01: password authentication failed for user \"plane\"";
    assert_eq!(refused(("plane", "x"), "db").await, unknown);
    assert_eq!(refused(WRITER, "closed").await, "FATAL 28000: not for you");
    assert_eq!(refused(WRITER, "hidden").await, "FATAL 3D000: database \"hidden\" does not exist");
    assert_eq!(refused(("later", "x"), "db").await, "FATAL 57P03: not before noon");
    assert_eq!((rig.woken(), rig.postgres.process().await), (0, None));

    // What the server itself refuses is in its own words.
    assert_eq!(refused(WRITER, "none").await, "FATAL 3D000: database \"none\" does not exist");
    assert_eq!(refused(("lost", ""), "db").await, "FATAL 28000: role \"nobody of this server\" does not exist");
    rig.until(|state| state.connections == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_tls_or_with_another_certificate() {
    let rig = rig().await;
    let (user, password) = WRITER;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(rig.at().port()).user(user).password(password).dbname("db");
    let plain = config.clone().ssl_mode(SslMode::Disable).connect(NoTls).await.err().unwrap();
    assert_eq!(told(plain), "FATAL 28000: SSL connection is required");
    let other = Rig { certificate: certificate(), ..rig };
    let error = config.ssl_mode(SslMode::Require).connect(other.tls()).await.err().unwrap();
    assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
    assert_eq!(other.woken(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_need_not_be_asked_for_first() {
    let rig = rig().await;
    let (user, password) = WRITER;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(rig.at().port()).user(user).password(password).dbname("db");
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let (client, connection) = config.connect(rig.tls()).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(one(&client, "SELECT current_user::text").await, "writer");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sleeps_when_nobody_is_there_and_keeps_what_it_was_told() {
    let rig = rig().await;
    let client = rig.login(WRITER, "db").await.unwrap();
    client.batch_execute("INSERT INTO notes VALUES ('kept')").await.unwrap();
    // Whoever is there keeps it awake, however long nothing is said.
    let mut state = rig.listener.state();
    let asleep = tokio::time::timeout(IDLE * 3, state.wait_for(|state| !state.awake)).await;
    assert!(asleep.is_err(), "it fell asleep under a connection");
    drop(client);
    assert_eq!(rig.until(|state| !state.awake).await.connections, 0);
    assert_eq!(rig.postgres.process().await, None);
    let client = rig.login(WRITER, "db").await.unwrap();
    assert_eq!(one(&client, "SELECT text FROM notes").await, "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_works_on_it_keeps_it_awake() {
    let rig = rig().await;
    let awake = rig.listener.awake().await.unwrap();
    assert_eq!(*rig.listener.state().borrow(), State { awake: true, connections: 1 });
    rig.listener.rest().await.unwrap();
    let process = rig.postgres.process().await;
    assert!(process.is_some(), "it was ended under whoever works on it");
    drop(awake);
    rig.listener.rest().await.unwrap();
    assert_eq!((*rig.listener.state().borrow(), rig.postgres.process().await), (State::default(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_one_start() {
    let rig = rig().await;
    let clients = futures::future::join_all((0..20).map(|_| rig.login(WRITER, "db"))).await;
    let clients: Vec<Client> = clients.into_iter().map(|client| client.unwrap()).collect();
    let began = one(&clients[0], "SELECT pg_postmaster_start_time()::text").await;
    for client in &clients {
        assert_eq!(one(client, "SELECT pg_postmaster_start_time()::text").await, began);
    }
    drop(clients);
    rig.until(|state| !state.awake).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_died_or_did_not_start_is_started_for_the_next() {
    let rig = rig().await;
    rig.postgres.broken.store(true, Ordering::SeqCst);
    let refused = rig.login(WRITER, "db").await.err().unwrap();
    assert_eq!(refused, "FATAL 57P03: the database could not be started");
    assert_eq!(rig.until(|state| state.connections == 0).await, State { awake: false, connections: 0 });
    rig.postgres.broken.store(false, Ordering::SeqCst);
    let client = rig.login(WRITER, "db").await.unwrap();
    client.batch_execute("INSERT INTO notes VALUES ('committed')").await.unwrap();
    kill(rig.postgres.process().await.unwrap(), Signal::SIGKILL).unwrap();
    while client.simple_query("SELECT 1").await.is_ok() {}
    let client = rig.login(WRITER, "db").await.unwrap();
    assert_eq!(one(&client, "SELECT text FROM notes").await, "committed");
}

async fn cancelled(client: Client, token: CancelToken, cancel: impl AsyncFn(CancelToken)) {
    let endless = tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(600)").await });
    // Sent again and again: the first may come before the statement.
    let mut again = tokio::time::interval(Duration::from_millis(20));
    while !endless.is_finished() {
        again.tick().await;
        cancel(token.clone()).await;
    }
    assert_eq!(told(endless.await.unwrap().unwrap_err()), "ERROR 57014: canceling statement due to user request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_can_be_cancelled() {
    let rig = rig().await;
    let client = rig.login(WRITER, "db").await.unwrap();
    let token = client.cancel_token();
    let tls = rig.tls();
    let encrypted = cancelled(client, token, async |token| token.cancel_query(tls.clone()).await.unwrap());
    tokio::time::timeout(PATIENCE, encrypted).await.expect("not cancelled in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_ends_a_connection_and_nothing_else() {
    let rig = rig().await;
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 8, 0, 2, 0, 0], &[255; 64], &[22; 64], &[0; 3]] {
        let mut stream = TcpStream::connect(rig.at()).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        // Closed in order or not: it is closed.
        let _closed = read.expect("a connection is left open");
    }
    assert_eq!(rig.woken(), 0);
    rig.login(WRITER, "db").await.unwrap();
}

impl Rig {
    /// PostgreSQL's own client.
    fn psql(&self, sslmode: &str, statement: &str) -> tokio::process::Command {
        let roots = self.postgres.home.path().join("roots.pem");
        std::fs::write(&roots, &self.certificate.chain).unwrap();
        let (user, password) = WRITER;
        let mut command = tokio::process::Command::new(self.postgres.programs.join("psql"));
        command.env_clear().env("PGPASSWORD", password).env("PGSSLROOTCERT", &roots).env("PGSSLMODE", sslmode);
        command.args(["-X", "-At", "-h", "127.0.0.1", "-p", &self.at().port().to_string(), "-U", user, "-d", "db"]);
        command.args(["-c", statement]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_gets_in_with_verify_full() {
    let rig = rig().await;
    let answer = rig.psql("verify-full", "SELECT current_user").output().await.unwrap();
    let said = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "writer\n", "{said}");
    let refused = rig.psql("disable", "SELECT 1").output().await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("FATAL:  SSL connection is required"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_can_cancel_in_the_clear() {
    let rig = rig().await;
    let psql = rig.psql("verify-full", "SELECT pg_sleep(600)").spawn().unwrap();
    let process = Pid::from_raw(i32::try_from(psql.id().unwrap()).unwrap());
    let client = rig.login(WRITER, "db").await.unwrap();
    let sleeps = "SELECT (count(*) > 0)::text FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'";
    let asleep = async { while one(&client, sleeps).await != "true" {} };
    tokio::time::timeout(PATIENCE, asleep).await.expect("the statement did not begin");
    kill(process, Signal::SIGINT).unwrap();
    let output = tokio::time::timeout(PATIENCE, psql.wait_with_output()).await.expect("not cancelled").unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("canceling statement due to user request"), "{said}");
}

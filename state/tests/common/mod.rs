//! What the tests share: a PostgreSQL server with an owner and a deployer, and people who want to change stacks. The
//! server is a process of this machine, or in a container (see [`docker`]).

// Not every test uses all of it.
#![allow(dead_code)]

pub(crate) mod docker;

use std::{net::SocketAddr, os::unix::fs::PermissionsExt, path::PathBuf, sync::LazyLock, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use stackproof_planes::{
    databases::{self, Databases, Instance, Phase, Secret, User},
    network::Place,
};
use stackproof_state::{
    database::{Database, Trust},
    lock::{Lock, Owner, StackKey, Timing},
};
use tempfile::TempDir;
use tokio_postgres::Client;

/// How long anything awaited may take. Far more than it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Of people in a hurry.
pub(crate) const QUICK: Timing =
    Timing { ttl: Duration::from_secs(3), patience: Duration::from_secs(3), poll: Duration::from_millis(500) };

/// An authority, and a certificate of this machine.
pub(crate) struct Authority {
    pub(crate) root: String,
    certificate: String,
    key: String,
}

pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    // Another name than the certificate's, or that looks self-signed to OpenSSL.
    params.distinguished_name.push(DnType::CommonName, "the tests' authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    Authority { root, certificate: leaf.pem(), key: key.serialize_pem() }
});

/// A server with a prepared database.
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    runs: Runs,
    folder: TempDir,
}

/// How it runs.
enum Runs {
    Here(Box<Databases>),
    InDocker(docker::Container),
}

const OWNER: &str = "owner";
/// Who made everything, where a container runs it.
const MAKER: &str = "maker";
/// Who may change stacks. Has a name that needs care in SQL.
pub(crate) const DEPLOYER: &str = "the \"deployer's\"";

fn password(user: &str) -> String {
    format!("{user} \\ secret")
}

impl Server {
    /// With the tables and functions, and one deployer.
    pub(crate) async fn start() -> Self {
        let server = Self::empty().await;
        server.owner().prepare(&[DEPLOYER]).await.unwrap();
        server
    }

    /// Without them.
    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        if docker::is_asked_for() {
            return Self::in_docker(folder).await;
        }
        let templates = std::env::temp_dir().join("stackproof-test-templates");
        std::fs::create_dir_all(&templates).unwrap();
        let databases = Databases::open(&folder.path().join("databases"), &templates).await.unwrap();
        let status = databases.apply(instance(), Place::Host).await.unwrap();
        assert!(status.problems.is_empty(), "{status:?}");
        Self { at: status.public.unwrap(), runs: Runs::Here(Box::new(databases)), folder }
    }

    /// The same from this machine's PostgreSQL in a container.
    async fn in_docker(folder: TempDir) -> Self {
        let bin = postgres();
        let [postgres, initdb] = ["postgres", "initdb"].map(|program| bin.join(program));
        let prefix = bin.parent().unwrap();
        let share = std::path::Path::new("/usr/share/postgresql").join(prefix.file_name().unwrap());
        let script = format!(
            "set -e; [ -f /data/db/PG_VERSION ] || {} -D /data/db -U {MAKER} --pwfile /conf/password -A scram-sha-256 \
             -E UTF8 --locale C --no-sync; exec {} -D /data/db -k /tmp -h '*' -c ssl=on -c fsync=off -c jit=off \
             -c ssl_cert_file=/conf/cert.pem -c ssl_key_file=/conf/key.pem -c hba_file=/conf/hba.conf",
            initdb.display(),
            postgres.display(),
        );
        let container = docker::Container::start(&docker::Server {
            programs: &[&postgres, &initdb],
            folders: &[prefix, &share, "/usr/share/zoneinfo".as_ref()],
            command: &["/bin/sh", "-c", &script],
            variables: &[("TZ", "UTC"), ("LC_ALL", "C")],
            files: &[
                ("password", &password(MAKER)),
                ("cert.pem", &AUTHORITY.certificate),
                ("key.pem", &AUTHORITY.key),
                ("hba.conf", "hostssl all all all scram-sha-256\n"),
            ],
            port: 5432,
        })
        .await;
        let server = Self { at: container.at, runs: Runs::InDocker(container), folder };
        let maker = server.ready("postgres").await;
        let (owner, deployer) = (quoted(OWNER), quoted(DEPLOYER));
        for statement in [
            format!("CREATE ROLE {owner} LOGIN CREATEROLE CREATEDB PASSWORD '{}'", password(OWNER)),
            format!("CREATE ROLE {deployer} LOGIN PASSWORD '{}'", password(DEPLOYER).replace('\'', "''")),
            format!("CREATE DATABASE locks OWNER {owner}"),
        ] {
            maker.batch_execute(&statement).await.unwrap();
        }
        // As a managed database gives them: a deployer may change all rows it finds, until the lock's owner takes that
        // back.
        let rights = format!(
            "GRANT CONNECT, TEMPORARY ON DATABASE locks TO {deployer}; GRANT USAGE ON SCHEMA public TO {deployer}; \
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {deployer}; \
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT, USAGE, UPDATE ON SEQUENCES TO {deployer}"
        );
        server.ready("locks").await.batch_execute(&rights).await.unwrap();
        server
    }

    /// Waits until it takes connections of whoever made it.
    async fn ready(&self, database: &str) -> Client {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        let connected = async {
            loop {
                again.tick().await;
                if let Ok(client) = self.connect(MAKER, database).await {
                    return client;
                }
            }
        };
        tokio::time::timeout(PATIENCE, connected).await.expect("in time")
    }

    pub(crate) fn owner(&self) -> Database {
        self.as_user(OWNER, Trust::Authority(AUTHORITY.root.clone()))
    }

    pub(crate) fn deployer(&self) -> Database {
        self.as_user(DEPLOYER, Trust::Authority(AUTHORITY.root.clone()))
    }

    pub(crate) fn as_user(&self, user: &str, trust: Trust) -> Database {
        Database::new(&address(user, self.at), Some(&password(user)), trust).unwrap()
    }

    /// For SQL by hand.
    pub(crate) async fn client(&self, user: &str) -> Client {
        self.connect(user, "locks").await.unwrap()
    }

    async fn connect(&self, user: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config: tokio_postgres::Config = address(user, self.at).parse().unwrap();
        config.password(password(user)).dbname(database);
        let mut roots = rustls::RootCertStore::empty();
        use rustls_pki_types::{CertificateDer, pem::PemObject};
        roots.add(CertificateDer::from_pem_slice(AUTHORITY.root.as_bytes()).unwrap()).unwrap();
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (client, connection) = config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls)).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub(crate) async fn owners_client(&self) -> Client {
        self.client(OWNER).await
    }

    /// Kills the server. It is started again by whoever looks after it.
    pub(crate) async fn kill(&self) {
        let databases = match &self.runs {
            Runs::Here(databases) => databases,
            Runs::InDocker(container) => return container.kill().await,
        };
        let pid = databases.process("locks").unwrap().expect("it runs");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
    }

    /// Waits until it has been started again so many times.
    pub(crate) async fn restarted(&self, times: u32) {
        let databases = match &self.runs {
            Runs::Here(databases) => databases,
            // Nobody else looks after a container.
            Runs::InDocker(container) => {
                container.again().await;
                self.ready("locks").await;
                return;
            }
        };
        let mut watched = databases.watch("locks").unwrap();
        let ready = |status: &databases::Status| status.restarts >= times && status.phase == Phase::Ready;
        tokio::time::timeout(PATIENCE, watched.wait_for(ready)).await.expect("in time").unwrap();
    }

    /// Ends it for good.
    pub(crate) async fn stop(&self) {
        match &self.runs {
            Runs::Here(databases) => databases.stop().await,
            Runs::InDocker(container) => container.kill().await,
        }
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// The password of a user, for who stands in between.
pub(crate) fn password_of(user: &str) -> String {
    password(user)
}

pub(crate) fn address(user: &str, at: SocketAddr) -> String {
    let mut url = url::Url::parse(&format!("postgres://{at}/locks")).unwrap();
    url.set_username(user).unwrap();
    url.into()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Where this machine's PostgreSQL has its programs.
fn postgres() -> PathBuf {
    if let Some(folder) = std::env::var_os("STACKPROOF_POSTGRES_BIN") {
        return folder.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let on_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let mut folders = versions.map(|version| version.unwrap().path().join("bin")).chain(on_path);
    folders.find(|folder| folder.join("initdb").is_file()).expect("the tests need PostgreSQL")
}

fn instance() -> Instance {
    let user = |name: &str, admin| User { name: name.to_owned(), password: Secret(password(name)), admin };
    // As a managed database gives them: a deployer may change all rows it finds, until the lock's owner takes that back.
    let privilege = databases::Privilege {
        database: "locks".to_owned(),
        user: DEPLOYER.to_owned(),
        permission: databases::Permission::Readwrite,
    };
    Instance {
        local_roles: Vec::new(),
        id: "locks".to_owned(),
        version: 15,
        certificate: AUTHORITY.certificate.clone(),
        key: Secret(AUTHORITY.key.clone()),
        settings: Default::default(),
        users: vec![user(OWNER, true), user(DEPLOYER, false)],
        databases: vec![databases::Database { name: "locks".to_owned(), owner: Some(OWNER.to_owned()) }],
        privileges: vec![privilege],
        acl: vec!["0.0.0.0/0".parse().unwrap()],
        public: Some("127.0.0.1:0".parse().unwrap()),
        private: None,
        max_connections: 100,
        standby: false,
        replica_of: None,
        snapshot: None,
    }
}

pub(crate) fn key(stack: &str) -> StackKey {
    StackKey::new("s3://state?endpoint=s3.example.com", "shop", stack).unwrap()
}

pub(crate) fn lock(database: &Database, stack: &str) -> Lock {
    Lock::new(database, key(stack)).timing(QUICK)
}

pub(crate) fn owner(who: &str) -> Owner {
    Owner {
        who: who.to_owned(),
        host: "laptop".to_owned(),
        pid: std::process::id(),
        command: "up".to_owned(),
        ci: None,
    }
}

//! What the tests share: a PostgreSQL server with an owner and a deployer, and people who want to change stacks.

// Not every test uses all of it.
#![allow(dead_code)]

use std::{net::SocketAddr, os::unix::fs::PermissionsExt, sync::LazyLock, time::Duration};

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
    databases: Databases,
    folder: TempDir,
}

const OWNER: &str = "owner";
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
        let templates = std::env::temp_dir().join("stackproof-test-templates");
        std::fs::create_dir_all(&templates).unwrap();
        let databases = Databases::open(&folder.path().join("databases"), &templates).await.unwrap();
        let status = databases.apply(instance(), Place::Host).await.unwrap();
        assert!(status.problems.is_empty(), "{status:?}");
        Self { at: status.public.unwrap(), databases, folder }
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
        let mut config: tokio_postgres::Config = address(user, self.at).parse().unwrap();
        config.password(password(user));
        let mut roots = rustls::RootCertStore::empty();
        use rustls_pki_types::{CertificateDer, pem::PemObject};
        roots.add(CertificateDer::from_pem_slice(AUTHORITY.root.as_bytes()).unwrap()).unwrap();
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (client, connection) = config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls)).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn owners_client(&self) -> Client {
        self.client(OWNER).await
    }

    /// Kills the server. It is started again by whoever looks after it.
    pub(crate) fn kill(&self) {
        let pid = self.databases.process("locks").unwrap().expect("it runs");
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
    }

    /// Waits until it has been started again so many times.
    pub(crate) async fn restarted(&self, times: u32) {
        let mut watched = self.databases.watch("locks").unwrap();
        let ready = |status: &databases::Status| status.restarts >= times && status.phase == Phase::Ready;
        tokio::time::timeout(PATIENCE, watched.wait_for(ready)).await.expect("in time").unwrap();
    }

    /// Ends it for good.
    pub(crate) async fn stop(&self) {
        self.databases.stop().await;
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

fn instance() -> Instance {
    let user = |name: &str, admin| User { name: name.to_owned(), password: Secret(password(name)), admin };
    // As a managed database gives them: a deployer may change all rows it finds, until the lock's owner takes that back.
    let privilege = databases::Privilege {
        database: "locks".to_owned(),
        user: DEPLOYER.to_owned(),
        permission: databases::Permission::Readwrite,
    };
    Instance {
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

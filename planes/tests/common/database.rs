//! What the tests of databases share: an authority, instances, and clients that check whom they talk to.

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use stackproof_planes::{
    databases::{Database, Databases, Instance, Permission, Privilege, Secret, User},
    network::Place,
};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

/// The authority of these tests, and a certificate of 127.0.0.1 and localhost.
pub(crate) struct Authority {
    pub(crate) root: rustls_pki_types::CertificateDer<'static>,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names = ["localhost", "127.0.0.1", "10.0.0.2"].map(str::to_owned);
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    Authority { root: root.der().clone(), certificate: leaf.pem(), key: key.serialize_pem() }
});

/// A folder for one test, and fresh data folders shared by all.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) async fn open(&self) -> Databases {
        Databases::open(&self.path("databases"), &templates()).await.unwrap()
    }

    /// The servers that work in it, by their data folder.
    pub(crate) fn servers(&self) -> Vec<(i32, PathBuf)> {
        let within = self.path("databases").canonicalize().unwrap();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let at = |entry: std::fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let works = std::fs::read_link(entry.path().join("cwd")).ok()?;
            works.starts_with(&within).then_some((pid, works))
        };
        processes.filter_map(at).collect()
    }

    /// The first process of an instance's server.
    pub(crate) fn server(&self, id: &str, slot: &str) -> i32 {
        let file = self.path("databases").join("instances").join(id).join(slot).join("postmaster.pid");
        std::fs::read_to_string(file).unwrap().lines().next().unwrap().parse().unwrap()
    }
}

pub(crate) fn templates() -> PathBuf {
    let folder = std::env::temp_dir().join("stackproof-test-templates");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// An instance with an administrator `ada`, who owns the database `shop`, reachable on this machine.
pub(crate) fn instance(id: &str) -> Instance {
    Instance {
        id: id.to_owned(),
        version: 15,
        certificate: AUTHORITY.certificate.clone(),
        key: Secret(AUTHORITY.key.clone()),
        settings: Default::default(),
        users: vec![user("ada", true)],
        databases: vec![Database { name: "shop".to_owned(), owner: Some("ada".to_owned()) }],
        privileges: Vec::new(),
        local_roles: vec![],
        acl: vec!["0.0.0.0/0".parse().unwrap()],
        public: Some("127.0.0.1:0".parse().unwrap()),
        private: None,
        max_connections: 20,
        standby: false,
        replica_of: None,
        snapshot: None,
    }
}

pub(crate) fn user(name: &str, admin: bool) -> User {
    User { name: name.to_owned(), password: Secret(format!("{name}'s own \\ secret")), admin }
}

pub(crate) fn privilege(user: &str, permission: Permission) -> Privilege {
    Privilege { database: "shop".to_owned(), user: user.to_owned(), permission }
}

/// A client, for as long as it is held.
pub(crate) struct Connected {
    pub(crate) client: Client,
    _task: AbortOnDropHandle<()>,
}

impl std::ops::Deref for Connected {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

pub(crate) fn config(user: &str, database: &str) -> Config {
    let mut config = Config::new();
    config.user(user).password(format!("{user}'s own \\ secret")).dbname(database);
    config.connect_timeout(std::time::Duration::from_secs(10));
    config
}

/// Connects from a place; the server's certificate is checked against the authority and the name.
pub(crate) async fn connect_from(
    place: &Place,
    at: SocketAddr,
    config: &mut Config,
    host: &str,
    roots: bool,
) -> Result<Connected, String> {
    use tokio_postgres::tls::MakeTlsConnect;
    let mut store = rustls::RootCertStore::empty();
    if roots {
        store.add(AUTHORITY.root.clone()).unwrap();
    } else {
        let stranger = CertificateParams::new(Vec::<String>::new()).unwrap();
        let stranger = stranger.self_signed(&KeyPair::generate().unwrap()).unwrap();
        store.add(stranger.der().clone()).unwrap();
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let stream = place.connect(at).await.map_err(|error| error.to_string())?;
    config.ssl_mode(SslMode::Require);
    let mut tls = MakeRustlsConnect::new(tls);
    let tls = MakeTlsConnect::<tokio::net::TcpStream>::make_tls_connect(&mut tls, host).unwrap();
    let (client, connection) = config.connect_raw(stream, tls).await.map_err(|error| words(&error))?;
    let task = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
    Ok(Connected { client, _task: task })
}

/// All an error says.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut all = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        all = format!("{all}: {error}");
        source = error.source();
    }
    all
}

pub(crate) async fn connect(at: SocketAddr, user: &str, database: &str) -> Result<Connected, String> {
    connect_from(&Place::Host, at, &mut config(user, database), "localhost", true).await
}

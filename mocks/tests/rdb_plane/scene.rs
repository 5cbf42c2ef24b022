//! A running cloud with its databases, and clients of both.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use stackproof_cloud::{
    gateway::{Authority, Foreign},
    kernel::{Durability, Profile},
    planes,
    server::{Config, Server},
    services::Organization,
};
use tempfile::TempDir;
use tokio_postgres::{Client, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::AbortOnDropHandle;

pub const RDB: &str = "/rdb/v1/regions/fr-par";
pub const PASSWORD: &str = "Str0ng-enough!";

/// How long anything awaited here may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// A cloud with its databases, or the end of the test where this machine has no PostgreSQL.
macro_rules! scene {
    () => {
        scene!(stackproof_cloud::kernel::Profile::Instant)
    };
    ($profile:expr) => {
        match crate::scene::Scene::start($profile).await {
            Ok(scene) => scene,
            Err(missing) => {
                assert!(
                    std::env::var_os("STACKPROOF_NEEDS_POSTGRES").is_none(),
                    "STACKPROOF_NEEDS_POSTGRES is set, and this machine cannot run databases: {missing}"
                );
                eprintln!("SKIPPED: {}: {missing}", module_path!());
                return;
            }
        }
    };
}
pub(crate) use scene;

pub struct Scene {
    pub server: Server,
    organization: Organization,
    http: reqwest::Client,
    profile: Profile,
    pub folder: TempDir,
}

impl Scene {
    /// A new cloud. The error: what this machine cannot run.
    pub async fn start(profile: Profile) -> Result<Self, String> {
        let folder = TempDir::new().unwrap();
        // The servers run as somebody else where we are root.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        Self::at(folder, profile).await
    }

    async fn at(folder: TempDir, profile: Profile) -> Result<Self, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cache = std::env::temp_dir().join("stackproof-test-templates");
        std::fs::create_dir_all(&cache).unwrap();
        let organization = Organization::from_seed(1);
        let config = Config {
            state_dir: Some(folder.path().join("state")),
            durability: Durability::Process,
            profile,
            seed: None,
            organization: organization.clone(),
            authority_dir: folder.path().join("authority"),
            ports: [0; 4],
            control: true,
            enforcement: stackproof_cloud::kernel::Enforcement::Enforce,
            foreign: Foreign::Refuse,
            planes: planes::Config::Everything {
                folder: folder.path().join("planes"),
                cache,
                helper: "no-containers-here".into(),
                driver: planes::Choice::Native,
            },
        };
        let server = Server::start(config).await.unwrap();
        let missing: Vec<&String> =
            server.planes().unwrap().missing().iter().filter(|missing| missing.starts_with("databases")).collect();
        if let Some(missing) = missing.first() {
            return Err((*missing).clone());
        }
        let root = Authority::open(&folder.path().join("authority")).unwrap().certificate_pem().to_owned();
        let http = reqwest::Client::builder()
            .proxy(reqwest::Proxy::custom({
                let gateway = server.ready().gateway_url.clone();
                move |url| url.host_str().filter(|host| *host != "127.0.0.1").map(|_| gateway.clone())
            }))
            .tls_certs_only([reqwest::Certificate::from_pem(root.as_bytes()).unwrap()])
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Ok(Self { server, organization, http, profile, folder })
    }

    /// Stops the cloud and starts it again on what it left.
    pub async fn restart(self) -> Self {
        let Self { server, folder, profile, http, organization: _ } = self;
        // Its connections keep the cloud.
        drop(http);
        server.stop().await;
        let state = folder.path().join("state/lock");
        let mut again = tokio::time::interval(Duration::from_millis(20));
        let free = async {
            while !is_free(&state) {
                again.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, free).await.expect("the cloud lets go of its state");
        Self::at(folder, profile).await.unwrap()
    }

    /// Where what runs is kept.
    pub fn planes(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join("planes").join(path)
    }

    /// A request to the API: status and body. The path is below RDB's, or begins with a slash.
    pub async fn send(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{RDB}/{path}") };
        let request = self.http.request(method, format!("https://api.scaleway.com{path}"));
        let request = request.header("x-auth-token", &self.organization.secret_key);
        let response = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.send(Method::POST, path, body).await;
        assert!([200, 204].contains(&status), "POST {path}: {status} {body}");
        body
    }

    pub async fn put(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.send(Method::PUT, path, body).await;
        assert_eq!(status, 200, "PUT {path}: {body}");
        body
    }

    pub async fn delete(&self, path: &str) {
        let (status, body) = self.send(Method::DELETE, path, Value::Null).await;
        assert!([200, 204].contains(&status), "DELETE {path}: {status} {body}");
    }

    /// The answer of a path, once it is so: asked for after each change of the cloud.
    pub async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut committed = self.server.front().cloud().store().committed();
        let awaited = async {
            loop {
                committed.mark_unchanged();
                let (_, body) = self.send(Method::GET, path, Value::Null).await;
                if is_so(&body) {
                    return body;
                }
                committed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, awaited).await.unwrap_or_else(|_| panic!("{path} is not so in time"))
    }

    /// Until something has this status.
    pub async fn reaches(&self, path: &str, status: &str) -> Value {
        self.until(path, |body| body["status"] == status).await
    }

    /// From now on, for [`Scene::went_through`].
    pub fn now(&self) -> u64 {
        *self.server.front().cloud().store().committed().borrow() + 1
    }

    /// Until something has been in these states since then, one after the other. What is over in a moment is seen, too.
    pub async fn went_through(&self, id: &str, states: &[&str], since: u64) {
        let store = self.server.front().cloud().store();
        let mut committed = store.committed();
        let seen = || {
            let mut left = states.iter().peekable();
            for event in store.events_since(since).iter().filter(|event| event.id == id) {
                left.next_if(|state| event.state.as_deref() == Some(**state));
            }
            left.peek().is_none()
        };
        let awaited = committed.wait_for(|_| seen());
        if tokio::time::timeout(PATIENCE, awaited).await.is_err() {
            panic!("{id} did not go through {states:?}: {:?}", store.events_since(since));
        }
    }

    /// Turns the clock.
    pub async fn pass(&self, seconds: u64) {
        let url = format!("{}/clock/advance", self.server.ready().control_url.as_ref().unwrap());
        let done = self.http.post(url).json(&json!({"seconds": seconds})).send().await.unwrap();
        assert!(done.status().is_success(), "{}", done.text().await.unwrap());
    }

    /// What an address that the API told gives: its status, and the bytes.
    pub async fn download(&self, url: &Value) -> (u16, Vec<u8>) {
        let response = self.http.get(url.as_str().expect("an address")).send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
    }

    /// An instance whose administrator `app` may do everything in the database `rdb`. What is said takes the place of
    /// what is usual.
    pub async fn instance(&self, different: Value) -> String {
        let mut body = json!({
            "name": "main", "engine": "PostgreSQL-15", "node_type": "db-dev-s", "user_name": "app",
            "password": PASSWORD, "volume_type": "sbs_5k", "volume_size": 10_000_000_000_u64, "disable_backup": true,
        });
        body.as_object_mut().unwrap().extend(different.as_object().unwrap().clone());
        let id = self.post("instances", body).await["id"].as_str().unwrap().to_owned();
        self.reaches(&format!("instances/{id}"), "ready").await;
        self.permit(&id, "rdb").await;
        id
    }

    pub async fn permit(&self, instance: &str, database: &str) {
        let all = json!({"database_name": database, "user_name": "app", "permission": "all"});
        self.put(&format!("instances/{instance}/privileges"), all).await;
    }

    /// A client of the database `rdb` of an instance, by its public endpoint.
    pub async fn connect(&self, instance: &str) -> Connected {
        self.connect_to(instance, "rdb", PASSWORD).await.unwrap()
    }

    /// The same, once the server lets it in.
    pub async fn connects(&self, instance: &str) -> Connected {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        let awaited = async {
            loop {
                again.tick().await;
                if let Ok(client) = self.connect_to(instance, "rdb", PASSWORD).await {
                    return client;
                }
            }
        };
        tokio::time::timeout(PATIENCE, awaited).await.expect("the server lets us in")
    }

    pub async fn connect_to(&self, instance: &str, database: &str, password: &str) -> Result<Connected, String> {
        let endpoint = self.get(&format!("instances/{instance}")).await["endpoint"].clone();
        self.connect_at(&endpoint, instance, database, password).await
    }

    /// A client that checks the server by its instance's certificate.
    pub async fn connect_at(
        &self,
        endpoint: &Value,
        instance: &str,
        database: &str,
        password: &str,
    ) -> Result<Connected, String> {
        let file = self.get(&format!("instances/{instance}/certificate")).await["content"].clone();
        let pem = BASE64_STANDARD.decode(file.as_str().unwrap()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let address = endpoint["ip"].as_str().unwrap().parse().unwrap();
        let address = SocketAddr::new(address, endpoint["port"].as_u64().unwrap().try_into().unwrap());
        let mut config = tokio_postgres::Config::new();
        config.host(address.ip().to_string()).port(address.port()).user("app").password(password).dbname(database);
        config.ssl_mode(SslMode::Require).connect_timeout(Duration::from_secs(20));
        let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await.map_err(|error| words(&error))?;
        let task = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        Ok(Connected { client: Arc::new(client), _task: Arc::new(task) })
    }

    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// Whether nobody holds a lock.
fn is_free(lock: &Path) -> bool {
    std::fs::File::open(lock).unwrap().try_lock().is_ok()
}

/// A client, for as long as it is held.
#[derive(Clone)]
pub struct Connected {
    client: Arc<Client>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl Connected {
    pub async fn run(&self, statements: &str) {
        self.attempt(statements).await.unwrap();
    }

    pub async fn attempt(&self, statements: &str) -> Result<(), String> {
        self.client.batch_execute(statements).await.map_err(|error| words(&error))
    }

    /// A number.
    pub async fn number(&self, query: &str) -> i64 {
        self.client.query_one(query, &[]).await.unwrap().get(0)
    }

    /// A text.
    pub async fn text(&self, query: &str) -> String {
        self.client.query_one(query, &[]).await.unwrap().get(0)
    }
}

/// All an error says.
fn words(error: &dyn std::error::Error) -> String {
    let mut all = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        all = format!("{all}: {error}");
        source = error.source();
    }
    all
}

/// The names of what is in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

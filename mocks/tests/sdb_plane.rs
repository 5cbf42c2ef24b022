//! Serverless databases that answer, as their clients use them: by host name, the certificate verified.

#![allow(clippy::unwrap_used, reason = "a test's own helpers")]

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use stackproof_cloud::{
    gateway::Foreign,
    kernel::{Durability, Profile},
    planes,
    server::{self, Server},
    services::Organization,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_postgres::{
    Client,
    config::{Config, SslMode},
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;

const DATABASES: &str = "/serverless-sqldb/v1alpha1/regions/fr-par/databases";
const BACKUPS: &str = "/serverless-sqldb/v1alpha1/regions/fr-par/backups";
/// How long to wait for what has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folders of a cloud; it can run there more than once.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The databases that have files here.
    fn kept(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("planes/databases/instances")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn cloud(&self, state: Option<&str>) -> Cloud {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let organization = Organization::from_seed(1);
        let cache = std::env::temp_dir().join("stackproof-test-templates");
        std::fs::create_dir_all(&cache).unwrap();
        let config = server::Config {
            state_dir: state.map(|state| self.path(state)),
            durability: Durability::Process,
            profile: Profile::Instant,
            seed: Some(1),
            organization: organization.clone(),
            authority_dir: self.path("authority"),
            ports: [0; 4],
            control: true,
            enforcement: stackproof_cloud::kernel::Enforcement::Enforce,
            foreign: Foreign::Refuse,
            planes: planes::Config::Everything {
                folder: self.path("planes"),
                cache,
                helper: std::env::current_exe().unwrap(),
                driver: planes::Choice::Native,
            },
        };
        let server = Server::start(config).await.unwrap();
        let roots = std::fs::read(self.path("authority/ca.pem")).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Cloud { server, organization, http, roots }
    }
}

struct Cloud {
    server: Server,
    organization: Organization,
    http: reqwest::Client,
    roots: Vec<u8>,
}

/// Who logs in.
#[derive(Clone)]
struct Principal {
    id: String,
    access_key: String,
    secret_key: String,
}

/// A database of the cloud.
#[derive(Clone)]
struct Database {
    id: String,
    host: String,
    name: String,
}

impl Cloud {
    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.server.ready().api_url);
        let request =
            self.http.request(method.parse().unwrap(), url).header("x-auth-token", &self.organization.secret_key);
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn make(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.send("POST", path, body).await;
        assert_eq!(status, 200, "POST {path}: {made}");
        made
    }

    /// Ends it, and leaves what it knew in another state directory: its own is held as long as this process lives.
    async fn end(self, state: &Path) {
        let front = Arc::clone(self.server.front());
        self.server.stop().await;
        front.fork(state).unwrap();
    }

    async fn get(&self, path: &str) -> Value {
        let (status, told) = self.send("GET", path, Value::Null).await;
        assert_eq!(status, 200, "GET {path}: {told}");
        told
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.server.ready().control_url.as_ref().unwrap());
        let response = self.http.request(method.parse().unwrap(), url).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{method} {path}: {}", response.status());
        response.json().await.unwrap()
    }

    async fn advance(&self, seconds: u64) {
        self.control("POST", "/clock/advance", json!({"seconds": seconds})).await;
    }

    async fn database(&self, body: Value) -> Database {
        let made = self.make(DATABASES, body).await;
        assert_eq!(made["status"], "ready", "{made}");
        let id = made["id"].as_str().unwrap().to_owned();
        let host = format!("{id}.pg.sdb.fr-par.scw.cloud");
        Database { host, name: made["name"].as_str().unwrap().to_owned(), id }
    }

    /// An application that holds these permission sets, and the policy that says so.
    async fn application(&self, sets: &[&str]) -> (Principal, String) {
        let application =
            self.make("/iam/v1alpha1/applications", json!({"name": format!("app{}", sets.concat())})).await;
        let id = application["id"].as_str().unwrap().to_owned();
        let mut policy = String::new();
        if !sets.is_empty() {
            let rule = json!({"permission_set_names": sets, "project_ids": [self.organization.id]});
            let body = json!({"name": format!("of-{id}"), "application_id": id, "rules": [rule]});
            policy = self.make("/iam/v1alpha1/policies", body).await["id"].as_str().unwrap().to_owned();
        }
        (self.key(json!({"application_id": id})).await, policy)
    }

    async fn key(&self, body: Value) -> Principal {
        let key = self.make("/iam/v1alpha1/api-keys", body.clone()).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let id = body["application_id"].as_str().or(body["user_id"].as_str()).unwrap().to_owned();
        Principal { id, access_key: text(&key["access_key"]), secret_key: text(&key["secret_key"]) }
    }

    fn owner(&self) -> Principal {
        Principal {
            id: self.organization.owner_id.clone(),
            access_key: self.organization.access_key.clone(),
            secret_key: self.organization.secret_key.clone(),
        }
    }

    /// TLS that believes the local authority only, and looks at the name: `sslmode=verify-full`.
    fn tls(&self) -> MakeRustlsConnect {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.roots).unwrap()).unwrap();
        MakeRustlsConnect::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }

    fn at(&self, database: &Database) -> Option<SocketAddr> {
        self.server.planes().unwrap().listener(&database.host, 5432)
    }

    fn config(&self, database: &Database, who: &Principal) -> Config {
        let mut config = Config::new();
        config.host(&database.host).user(&who.id).password(&who.secret_key).dbname(&database.name);
        config.ssl_mode(SslMode::Require).connect_timeout(PATIENCE);
        config
    }

    async fn login(&self, database: &Database, who: &Principal) -> Result<Client, String> {
        let mut config = self.config(database, who);
        let at = self.at(database).expect("nobody listens");
        let connected = config.hostaddr(at.ip()).port(at.port()).connect(self.tls()).await;
        let (client, connection) = connected.map_err(told)?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn refused(&self, database: &Database, who: &Principal) -> String {
        match self.login(database, who).await {
            Err(refused) => refused,
            Ok(_) => panic!("the login was let in"),
        }
    }

    /// Asks the API about the database until it is so.
    async fn until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut committed = self.server.front().cloud().store().committed();
        let waited = async {
            loop {
                committed.mark_unchanged();
                let told = self.get(path).await;
                if is(&told) {
                    return told;
                }
                committed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.expect("not in time")
    }
}

fn told(error: tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else { return format!("{error:?}") };
    format!("{} {}: {}", said.severity(), said.code().code(), said.message())
}

async fn one(client: &Client, question: &str) -> String {
    client.query_one(question, &[]).await.unwrap().get(0)
}

async fn refusal(client: &Client, statement: &str) -> String {
    told(client.batch_execute(statement).await.expect_err("it was allowed"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_iam_grants_decides_about_the_role() {
    let home = Home::new();
    let cloud = home.cloud(None).await;
    let began = Instant::now();
    let database = cloud.database(json!({"name": "app"})).await;
    println!("created in {:?}", began.elapsed());
    let (admin, _) = cloud.application(&["ServerlessSQLDatabaseReadWrite"]).await;
    let (writer, _) = cloud.application(&["ServerlessSQLDatabaseDataReadWrite"]).await;
    let (reader, _) = cloud.application(&["ServerlessSQLDatabaseReadOnly"]).await;

    let began = Instant::now();
    let client = cloud.login(&database, &admin).await.unwrap();
    println!("cold start in {:?}", began.elapsed());
    assert_eq!(one(&client, "SELECT current_user::text").await, "role_admin");
    client.batch_execute("CREATE SCHEMA later; CREATE TABLE notes (text text)").await.unwrap();
    client.batch_execute("CREATE TABLE later.notes AS SELECT 'later' AS text").await.unwrap();
    let temporary = refusal(&client, "CREATE TEMPORARY TABLE t (a int)").await;
    assert_eq!(temporary, "ERROR 42501: permission denied to create temporary tables in database \"app\"");
    assert!(refusal(&client, "CREATE DATABASE other").await.contains("permission denied to create database"));
    assert!(refusal(&client, "CREATE ROLE other").await.contains("permission denied to create role"));

    let began = Instant::now();
    let rows = cloud.login(&database, &writer).await.unwrap();
    println!("further login in {:?}", began.elapsed());
    assert_eq!(one(&rows, "SELECT current_user::text").await, "role_readwrite");
    rows.batch_execute("INSERT INTO notes VALUES ('one'); UPDATE notes SET text = 'two'").await.unwrap();
    rows.batch_execute("INSERT INTO later.notes VALUES ('more')").await.unwrap();
    assert!(refusal(&rows, "CREATE TABLE mine (a int)").await.starts_with("ERROR 42501"));
    assert!(refusal(&rows, "DROP TABLE notes").await.starts_with("ERROR 42501"));

    let only = cloud.login(&database, &reader).await.unwrap();
    assert_eq!(one(&only, "SELECT text FROM notes").await, "two");
    assert_eq!(one(&only, "SELECT max(text) FROM later.notes").await, "more");
    assert_eq!(refusal(&only, "DELETE FROM notes").await, "ERROR 42501: permission denied for table notes");
    assert!(refusal(&only, "CREATE TABLE mine (a int)").await.starts_with("ERROR 42501"));

    let owner = cloud.login(&database, &cloud.owner()).await.unwrap();
    assert_eq!(one(&owner, "SELECT current_user::text").await, "role_admin");
    cloud.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_iam_does_not_know_any_more_is_shut_out() {
    let home = Home::new();
    let cloud = home.cloud(None).await;
    let database = cloud.database(json!({"name": "app"})).await;
    let (known, policy) = cloud.application(&["ServerlessSQLDatabaseReadWrite"]).await;
    let (stranger, _) = cloud.application(&[]).await;
    let (other_product, _) = cloud.application(&["RelationalDatabasesFullAccess"]).await;
    let denied = |who: &Principal| {
        format!("FATAL 28000: principal {} does not have permission to access database {}", who.id, database.id)
    };
    let wrong = |who: &Principal| format!("FATAL 28P01: password authentication failed for user \"{}\"", who.id);
    assert_eq!(cloud.refused(&database, &stranger).await, denied(&stranger));
    assert_eq!(cloud.refused(&database, &other_product).await, denied(&other_product));
    let mixed = Principal { secret_key: stranger.secret_key.clone(), ..known.clone() };
    assert_eq!(cloud.refused(&database, &mixed).await, wrong(&mixed));
    let by_access_key = Principal { id: known.access_key.clone(), ..known.clone() };
    assert_eq!(cloud.refused(&database, &by_access_key).await, wrong(&by_access_key));
    let nowhere = Database { name: "postgres".to_owned(), ..database.clone() };
    assert_eq!(cloud.refused(&nowhere, &known).await, "FATAL 3D000: database \"postgres\" does not exist");
    // None of them has woken it.
    let path = format!("{DATABASES}/{}", database.id);
    assert_eq!(cloud.get(&path).await["started"], false);

    cloud.login(&database, &known).await.unwrap();
    let soon = cloud.control("GET", "/clock", Value::Null).await["now"].as_str().unwrap().to_owned();
    let soon = stackproof_cloud::kernel::moment(&soon).unwrap() + Duration::from_secs(3600);
    let expires = stackproof_cloud::kernel::rfc3339(soon);
    let passing = cloud.key(json!({"application_id": known.id, "expires_at": expires})).await;
    cloud.login(&database, &passing).await.unwrap();
    cloud.advance(3601).await;
    assert_eq!(cloud.refused(&database, &passing).await, wrong(&passing));
    cloud.login(&database, &known).await.unwrap();

    cloud.send("DELETE", &format!("/iam/v1alpha1/policies/{policy}"), Value::Null).await;
    assert_eq!(cloud.refused(&database, &known).await, denied(&known));
    cloud.send("DELETE", &format!("/iam/v1alpha1/api-keys/{}", known.access_key), Value::Null).await;
    assert_eq!(cloud.refused(&database, &known).await, wrong(&known));
    cloud.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_while_it_is_used_and_five_minutes_longer() {
    let home = Home::new();
    let cloud = home.cloud(None).await;
    let owner = cloud.owner();
    let database = cloud.database(json!({"name": "app", "cpu_max": 4})).await;
    let path = format!("{DATABASES}/{}", database.id);
    let runs = |told: &Value| (told["started"].clone(), told["cpu_current"].clone());
    assert_eq!(runs(&cloud.get(&path).await), (json!(false), json!(0)));

    let client = cloud.login(&database, &owner).await.unwrap();
    client.batch_execute("CREATE TABLE notes AS SELECT 'kept' AS text").await.unwrap();
    let told = cloud.until(&path, |told| told["started"] == true).await;
    assert_eq!((runs(&told), &told["status"]), ((json!(true), json!(1)), &json!("ready")));
    drop(client);
    cloud.advance(299).await;
    assert_eq!(cloud.get(&path).await["started"], true);
    // How soon the end of a connection is seen nobody says; from then on it is five minutes.
    let mut again = tokio::time::interval(Duration::from_millis(50));
    let asleep = async {
        while cloud.get(&path).await["started"] == true {
            again.tick().await;
            cloud.advance(300).await;
        }
    };
    tokio::time::timeout(PATIENCE, asleep).await.expect("it does not fall asleep");
    assert_eq!(cloud.get(&path).await["cpu_current"], 0);
    let client = cloud.login(&database, &owner).await.unwrap();
    assert_eq!(one(&client, "SELECT text FROM notes").await, "kept");

    // With processors at the least it never sleeps.
    assert_eq!(cloud.send("PATCH", &path, json!({"cpu_min": 2})).await.0, 200);
    assert_eq!(runs(&cloud.get(&path).await), (json!(true), json!(2)));
    drop(client);
    cloud.advance(3600).await;
    assert_eq!(cloud.send("PATCH", &path, json!({"cpu_max": 8})).await.0, 200);
    let told = cloud.get(&path).await;
    assert_eq!((runs(&told), &told["cpu_max"]), ((json!(true), json!(2)), &json!(8)));

    // What dies is started again for whoever comes.
    cloud.control("POST", &format!("/planes/databases/{}/kill", database.id), Value::Null).await;
    let client = cloud.login(&database, &owner).await.unwrap();
    assert_eq!(one(&client, "SELECT text FROM notes").await, "kept");
    cloud.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_every_day_and_brings_back_what_was_there() {
    let home = Home::new();
    let cloud = home.cloud(Some("state")).await;
    let owner = cloud.owner();
    let database = cloud.database(json!({"name": "app"})).await;
    let list = format!("{BACKUPS}?database_id={}", database.id);
    assert_eq!(cloud.get(&list).await["total_count"], 0);
    let client = cloud.login(&database, &owner).await.unwrap();
    client.batch_execute("CREATE TABLE notes AS SELECT 'before' AS text").await.unwrap();
    cloud.advance(86_400).await;
    let backup = cloud.until(&list, |told| told["total_count"] == 1).await["backups"][0].clone();
    assert_eq!((&backup["status"], &backup["database_id"]), (&json!("ready"), &json!(database.id)));
    assert!(backup["size"].as_u64().unwrap() > 500 && backup["db_size"].as_u64().unwrap() > 1_000_000, "{backup}");
    let id = backup["id"].as_str().unwrap();
    assert_eq!(cloud.get(&format!("{BACKUPS}/{id}")).await, backup);

    client.batch_execute("UPDATE notes SET text = 'after'; CREATE TABLE newer (a int)").await.unwrap();
    let path = format!("{DATABASES}/{}", database.id);
    let restored = cloud.make(&format!("{path}/restore"), json!({"backup_id": id})).await;
    assert_eq!(restored["status"], "ready", "{restored}");
    assert!(client.simple_query("SELECT 1").await.is_err(), "a session outlives what it looked at");
    let client = cloud.login(&database, &owner).await.unwrap();
    assert_eq!(one(&client, "SELECT text FROM notes").await, "before");
    assert!(refusal(&client, "SELECT * FROM newer").await.contains("does not exist"));
    let (reader, _) = cloud.application(&["ServerlessSQLDatabaseReadOnly"]).await;
    assert_eq!(one(&cloud.login(&database, &reader).await.unwrap(), "SELECT text FROM notes").await, "before");

    let copy = cloud.database(json!({"name": "copy", "from_backup_id": id})).await;
    assert_eq!(one(&cloud.login(&copy, &owner).await.unwrap(), "SELECT text FROM notes").await, "before");

    let exported = cloud.make(&format!("{BACKUPS}/{id}/export"), json!({})).await;
    let url = exported["download_url"].as_str().unwrap();
    let proxy = reqwest::Proxy::all(&cloud.server.ready().gateway_url).unwrap();
    let trusted = reqwest::Certificate::from_pem(&cloud.roots).unwrap();
    let http = reqwest::Client::builder().proxy(proxy).tls_certs_only([trusted]).build().unwrap();
    let dump = http.get(url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!((&dump[..5], json!(dump.len())), (&b"PGDMP"[..], exported["size"].clone()));

    // Seven days later there are seven of them, and the first is gone.
    for _ in 0..7 {
        let made = cloud.get(&list).await["backups"][0]["id"].clone();
        cloud.advance(86_400).await;
        cloud.until(&list, |told| told["backups"][0]["id"] != made).await;
    }
    assert_eq!(cloud.get(&list).await["total_count"], 7);
    assert_eq!(cloud.send("GET", &format!("{BACKUPS}/{id}"), Value::Null).await.0, 404);
    let refused = cloud.send("POST", &format!("{path}/restore"), json!({"backup_id": id})).await;
    assert_eq!(refused.0, 404);
    cloud.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_database_is_gone_with_its_files() {
    let home = Home::new();
    let cloud = home.cloud(None).await;
    let database = cloud.database(json!({"name": "app"})).await;
    let client = cloud.login(&database, &cloud.owner()).await.unwrap();
    let at = cloud.at(&database).unwrap();
    assert_eq!(home.kept(), std::slice::from_ref(&database.id));
    let listed = cloud.control("GET", "/planes/endpoints", Value::Null).await;
    assert_eq!(listed, json!([{"host": database.host, "port": 5432, "address": at.to_string()}]));

    let path = format!("{DATABASES}/{}", database.id);
    assert_eq!(cloud.send("DELETE", &path, Value::Null).await.0, 200);
    assert_eq!(cloud.send("GET", &path, Value::Null).await.0, 403);
    assert_eq!((home.kept(), cloud.at(&database)), (Vec::<String>::new(), None));
    assert!(client.simple_query("SELECT 1").await.is_err());
    assert!(TcpStream::connect(at).await.is_err(), "somebody listens still");
    cloud.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_comes_back_has_its_databases_and_no_others() {
    let home = Home::new();
    let cloud = home.cloud(Some("state")).await;
    let owner = cloud.owner();
    let database = cloud.database(json!({"name": "app"})).await;
    let client = cloud.login(&database, &owner).await.unwrap();
    client.batch_execute("CREATE TABLE notes AS SELECT 'kept' AS text").await.unwrap();
    let at = cloud.at(&database);
    drop(client);
    cloud.end(&home.path("later")).await;

    let cloud = home.cloud(Some("later")).await;
    let path = format!("{DATABASES}/{}", database.id);
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let open = async {
        while cloud.at(&database).is_none() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, open).await.expect("nobody listens");
    assert_eq!(cloud.at(&database), at, "its address is another");
    assert_eq!(cloud.get(&path).await["started"], false);
    let client = cloud.login(&database, &owner).await.unwrap();
    assert_eq!(one(&client, "SELECT text FROM notes").await, "kept");
    drop(client);
    cloud.server.stop().await;

    let cloud = home.cloud(None).await;
    assert_eq!(home.kept(), Vec::<String>::new(), "a database that nobody knows is left");
    cloud.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_s_tunnel_leads_to_the_real_host_and_port() {
    let home = Home::new();
    let cloud = home.cloud(None).await;
    let database = cloud.database(json!({"name": "app"})).await;
    let answer = async |host: &str| {
        let gateway = cloud.server.ready().gateway_url.trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(gateway).await.unwrap();
        stream
            .write_all(format!("CONNECT {host}:5432 HTTP/1.1\r\nHost: {host}:5432\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap().lines().next().unwrap().to_owned(), stream)
    };
    let (status, stream) = answer(&database.host).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut cloud.tls(), &database.host).unwrap();
    let (client, connection) = cloud.config(&database, &cloud.owner()).connect_raw(stream, tls).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(one(&client, "SELECT current_user::text").await, "role_admin");
    let (status, _) = answer("00000000-0000-4000-8000-000000000000.pg.sdb.fr-par.scw.cloud").await;
    assert_eq!(status, "HTTP/1.1 501 Not Implemented");
    cloud.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_have_nothing_to_do_with_each_other() {
    let home = Home::new();
    let cloud = home.cloud(None).await;
    let owner = cloud.owner();
    let (one_, other) = tokio::join!(cloud.database(json!({"name": "one"})), cloud.database(json!({"name": "other"})));
    let client = cloud.login(&one_, &owner).await.unwrap();
    client.batch_execute("CREATE TABLE notes AS SELECT 'of one' AS text").await.unwrap();
    let client = cloud.login(&other, &owner).await.unwrap();
    assert!(refusal(&client, "SELECT * FROM notes").await.contains("does not exist"));
    // Each shows a certificate of its own name only.
    let mistaken = Database { host: other.host.clone(), ..one_.clone() };
    let at = cloud.at(&one_).unwrap();
    let mut config = cloud.config(&mistaken, &owner);
    let error = config.hostaddr(at.ip()).port(at.port()).connect(cloud.tls()).await.err().unwrap();
    assert!(format!("{error:?}").contains("NotValidForName"), "{error:?}");
}

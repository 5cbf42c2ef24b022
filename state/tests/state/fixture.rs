//! Buckets to keep state in: of the local cloud, or of MinIO where this machine has it.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{BucketVersioningStatus, VersioningConfiguration},
};
use bytes::Bytes;
use futures::FutureExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stackproof_cloud::{
    front::Unheard,
    kernel::{Blobs, Clock, Options, Profile, Store},
    listener::listen,
    object::{Errand, Identity, Key as CloudKey, ObjectStorage, Principal},
};
use stackproof_state::{
    bucket::{Access, Addressing, Bucket, Condition, Key},
    checkpoint::{Compression, Stack},
    gateway::{Gateway, Permission},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::docker;

/// The key of whoever owns the buckets.
pub const KEY: (&str, &str) = ("SCWOWNER000000000000", "owner-secret");

/// How many ports are tried: another process may take one before it is used.
const PORTS: usize = 5;

/// Where buckets are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    Local,
    Minio,
}

struct Owner;

impl Identity for Owner {
    fn access_key(&self, access_key: &str) -> Option<CloudKey> {
        (access_key == KEY.0).then(|| CloudKey {
            secret_key: KEY.1.to_owned(),
            principal: Principal::User("44444444-4444-4444-8444-444444444444".to_owned()),
            organization_id: "33333333-3333-4333-8333-333333333333".to_owned(),
            default_project_id: "11111111-1111-4111-8111-111111111111".to_owned(),
        })
    }

    fn may(&self, _: &Errand<'_>) -> bool {
        true
    }
}

/// What happens to the next writes of a checkpoint at the local cloud.
#[derive(Default)]
pub struct Faults {
    /// How many are carried out without an answer.
    pub lose_answers: AtomicUsize,
    /// How many are never carried out nor answered.
    pub swallow: AtomicUsize,
    /// Tells of each that was swallowed.
    pub swallowed: tokio::sync::Notify,
}

fn counted_down(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// A state bucket and a backup bucket, both with versioning.
pub struct Ground {
    pub bucket: Bucket,
    pub backups: Bucket,
    pub endpoint: String,
    pub faults: Arc<Faults>,
    _behind: Behind,
}

/// What goes with a ground.
enum Behind {
    Cloud { _stop: DropGuard },
    Process { _minio: Child, _folder: tempfile::TempDir },
    Container { _minio: docker::Container },
}

impl Ground {
    /// None where this machine has no MinIO.
    pub async fn at(place: Place) -> Option<Self> {
        match place {
            Place::Local => Some(Self::local().await),
            Place::Minio => Self::minio().await,
        }
    }

    pub async fn local() -> Self {
        let options = Options { seed: Some(1), ..Options::default() };
        let store = Arc::new(Store::open(&options, Clock::new(Profile::Instant)).unwrap());
        let storage = Arc::new(ObjectStorage::new(store, Blobs::in_memory(), Arc::new(Owner)));
        let stop = CancellationToken::new();
        let faults = Arc::new(Faults::default());
        let seen = Arc::clone(&faults);
        let answer = move |request: http::Request<_>| {
            let (storage, faults) = (Arc::clone(&storage), Arc::clone(&seen));
            async move {
                let write = request.method() == "PUT" && request.uri().path().contains("/.pulumi/stacks/");
                if write && counted_down(&faults.swallow) {
                    faults.swallowed.notify_one();
                    return std::future::pending().await;
                }
                let unheard = write && counted_down(&faults.lose_answers);
                let mut response = storage.handle(request).await;
                if unheard {
                    response.extensions_mut().insert(Unheard);
                }
                response
            }
            .boxed()
        };
        let address = listen(([127, 0, 0, 1], 0).into(), stop.clone(), answer).await.unwrap();
        let behind = Behind::Cloud { _stop: stop.drop_guard() };
        Self::with_buckets(format!("http://{address}"), faults, behind).await
    }

    async fn minio() -> Option<Self> {
        let binary = std::env::var_os("STACKPROOF_TEST_MINIO").unwrap_or_else(|| "minio".into());
        if docker::is_asked_for() && Path::new(&binary).is_file() {
            return Some(Self::minio_in_docker(binary.as_ref()).await);
        }
        for _ in 0..PORTS {
            let folder = tempfile::tempdir().unwrap();
            let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            match minio_at(binary.as_ref(), port, folder.path()).await {
                Ok(Some(minio)) => {
                    let endpoint = format!("http://127.0.0.1:{port}");
                    let behind = Behind::Process { _minio: minio, _folder: folder };
                    return Some(Self::with_buckets(endpoint, Arc::default(), behind).await);
                }
                Ok(None) => eprintln!("MinIO ended before it listened at port {port}"),
                Err(error) => {
                    assert!(std::env::var_os("CI").is_none(), "CI has MinIO: {error}");
                    eprintln!("not run on MinIO, which this machine does not have: {error}");
                    return None;
                }
            }
        }
        panic!("MinIO does not start");
    }

    /// The same program in a container.
    async fn minio_in_docker(program: &Path) -> Self {
        let name = program.to_str().unwrap();
        let server = docker::Server {
            programs: &[program],
            folders: &[],
            command: &[name, "server", "--address", ":9000", "/data/buckets"],
            variables: &[("MINIO_ROOT_USER", KEY.0), ("MINIO_ROOT_PASSWORD", KEY.1), ("MINIO_BROWSER", "off")],
            files: &[],
            port: 9000,
        };
        let container = docker::Container::start(&server).await;
        let endpoint = format!("http://{}", container.at);
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let live = async {
            let mut again = tokio::time::interval(Duration::from_millis(50));
            loop {
                again.tick().await;
                let answer = client.get(format!("{endpoint}/minio/health/cluster")).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), live).await.expect("MinIO does not answer");
        Self::with_buckets(endpoint, Arc::default(), Behind::Container { _minio: container }).await
    }

    async fn with_buckets(endpoint: String, faults: Arc<Faults>, behind: Behind) -> Self {
        let client = sdk(&endpoint, KEY.0, KEY.1);
        for name in ["state", "backups"] {
            client.create_bucket().bucket(name).send().await.unwrap();
            let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            client.put_bucket_versioning().bucket(name).versioning_configuration(enabled).send().await.unwrap();
        }
        let at = |name: &str| bucket(&endpoint, name, "", KEY.0, KEY.1);
        Self { bucket: at("state"), backups: at("backups"), faults, _behind: behind, endpoint }
    }

    /// An AWS SDK that knows the buckets themselves.
    pub fn sdk(&self) -> Client {
        sdk(&self.endpoint, KEY.0, KEY.1)
    }

    /// The state bucket under a prefix.
    pub fn under(&self, prefix: &str) -> Bucket {
        bucket(&self.endpoint, "state", prefix, KEY.0, KEY.1)
    }

    /// Writes a checkpoint past everything.
    pub async fn write(&self, form: Compression, state: &Value) {
        let content = form.pack(state.to_string().as_bytes()).unwrap();
        self.bucket.put(&stack().checkpoint(form), content, &Condition::Always).await.unwrap();
    }

    /// What the checkpoint is now.
    pub async fn content(&self) -> Option<Bytes> {
        self.bucket.get(&stack().checkpoint(Compression::None), None).await.unwrap().map(|object| object.content)
    }
}

/// MinIO once it listens; none where it ended before.
async fn minio_at(program: &Path, port: u16, folder: &Path) -> std::io::Result<Option<Child>> {
    let mut child = Command::new(program)
        .args(["server", "--address", &format!("127.0.0.1:{port}"), "--console-address", "127.0.0.1:0"])
        .arg(folder)
        .env("MINIO_ROOT_USER", KEY.0)
        .env("MINIO_ROOT_PASSWORD", KEY.1)
        .env("MINIO_BROWSER", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    // It says where it listens when it does.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let heard = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("API:") {
                return true;
            }
        }
        false
    };
    let heard = tokio::time::timeout(Duration::from_secs(60), heard).await.expect("MinIO did not say that it listens");
    if !heard {
        return Ok(None);
    }
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(Some(child))
}

/// The same client of buckets that the harness would make, on loopback.
pub fn bucket(endpoint: &str, name: &str, prefix: &str, id: &str, secret: &str) -> Bucket {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let access = Access {
        endpoint: endpoint.parse().unwrap(),
        region: "fr-par".to_owned(),
        bucket: name.to_owned(),
        prefix: prefix.to_owned(),
        addressing: Addressing::Path,
        key: Key::new(id, secret),
    };
    Bucket::new(client, access)
}

/// An AWS SDK.
pub fn sdk(endpoint: &str, id: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .region(Region::new("fr-par"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// An AWS SDK that knows a gateway only, as a run does.
pub fn run(gateway: &Gateway) -> Client {
    let (id, secret) = gateway.key();
    sdk(&format!("http://{}", gateway.address()), id, secret)
}

/// The bucket as it is seen through a gateway.
pub fn through(gateway: &Gateway) -> Bucket {
    let (id, secret) = gateway.key();
    bucket(&format!("http://{}", gateway.address()), "state", "", id, secret)
}

/// The stack of these tests.
pub fn stack() -> Stack {
    Stack::new("shop", "dev").unwrap()
}

/// The key of its checkpoint.
pub fn key() -> String {
    stack().checkpoint(Compression::None)
}

/// A lease that can be taken away.
pub fn lease() -> (watch::Sender<Option<Instant>>, impl Permission) {
    watch::channel(Some(Instant::now() + Duration::from_secs(3600)))
}

/// A state with these resources beside its stack.
pub fn state(names: &[&str]) -> Value {
    let parent = "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev";
    let mut resources = vec![json!({"urn": parent, "type": "pulumi:pulumi:Stack", "custom": false})];
    for name in names {
        let urn = format!("urn:pulumi:dev::shop::pulumi:pulumi:Stack$random:index:Pet::{name}");
        resources.push(json!({
            "urn": urn, "type": "random:index:Pet", "custom": false, "parent": parent, "inputs": {"name": name}
        }));
    }
    let magic = hex::encode(Sha256::digest("v3.259.0"));
    json!({"version": 3, "checkpoint": {"stack": "organization/shop/dev", "latest": {
        "manifest": {"time": "2026-01-01T00:00:00Z", "magic": magic, "version": "v3.259.0"},
        "resources": resources,
    }}})
}

/// The same state with something under way.
pub fn pending(names: &[&str], operation: &str) -> Value {
    let mut state = state(names);
    state["checkpoint"]["latest"]["pending_operations"] = json!([{"type": operation, "resource": {
        "urn": "urn:pulumi:dev::shop::scaleway:network/vpc:Vpc::main", "type": "scaleway:network/vpc:Vpc", "custom": true
    }}]);
    state
}

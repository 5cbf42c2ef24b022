//! An Object Storage on a loopback address, and who may use it.

use std::sync::Arc;

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    error::{ProvideErrorMetadata, SdkError},
};
use axum::body::Body;
use futures::FutureExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use stackproof_cloud::{
    kernel::{Blobs, Clock, DataKey, Options, Profile, Store},
    listener::listen,
    object::{Errand, Identity, Key, ObjectStorage, Permission, Principal},
};
use tokio_util::sync::CancellationToken;

pub const PROJECT: &str = "11111111-1111-4111-8111-111111111111";
pub const SECOND_PROJECT: &str = "22222222-2222-4222-8222-222222222222";
pub const ORGANIZATION: &str = "33333333-3333-4333-8333-333333333333";
pub const OWNER: (&str, &str) = ("SCWOWNER000000000000", "owner-secret");
pub const READER: (&str, &str) = ("SCWREADER00000000000", "reader-secret");
pub const STRANGER: (&str, &str) = ("SCWSTRANGER000000000", "stranger-secret");
pub const OWNER_ID: &str = "44444444-4444-4444-8444-444444444444";
pub const READER_ID: &str = "55555555-5555-4555-8555-555555555555";

/// The owner may do anything in both projects, the reader (an application) may read objects in the
/// first, and the stranger has an organisation and a project of its own.
struct People;

impl Identity for People {
    fn access_key(&self, access_key: &str) -> Option<Key> {
        let (secret, principal, organization, project) = match access_key {
            name if name == OWNER.0 => (OWNER.1, Principal::User(OWNER_ID.into()), ORGANIZATION, PROJECT),
            name if name == READER.0 => (READER.1, Principal::Application(READER_ID.into()), ORGANIZATION, PROJECT),
            name if name == STRANGER.0 => (STRANGER.1, Principal::User("stranger".into()), "elsewhere", "elsewhere"),
            _ => return None,
        };
        Some(Key {
            secret_key: secret.to_owned(),
            principal,
            organization_id: organization.to_owned(),
            default_project_id: project.to_owned(),
        })
    }

    fn may(&self, errand: &Errand<'_>) -> bool {
        let Errand { key, project_id, permission, .. } = *errand;
        match key.secret_key.as_str() {
            "owner-secret" => [PROJECT, SECOND_PROJECT].contains(&project_id),
            "reader-secret" => project_id == PROJECT && permission == Permission::ObjectsRead,
            _ => project_id == "elsewhere",
        }
    }

    fn owns_organization(&self, key: &Key) -> bool {
        key.secret_key == OWNER.1
    }
}

fn memory() -> Arc<Store> {
    let options = Options { seed: Some(1), ..Options::default() };
    Arc::new(Store::open(&options, Clock::new(Profile::Instant)).unwrap())
}

/// An Object Storage.
pub struct Fixture {
    pub store: Arc<Store>,
    pub storage: Arc<ObjectStorage>,
    pub address: String,
    stop: CancellationToken,
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Fixture {
    /// One that keeps everything in memory.
    pub async fn new() -> Self {
        Self::over(memory(), Blobs::in_memory()).await
    }

    /// One that keeps contents in files.
    pub async fn in_files() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut fixture =
            Self::over(memory(), Blobs::in_folder(folder.path(), &DataKey::random().unwrap()).unwrap()).await;
        fixture._folder = Some(folder);
        fixture
    }

    /// One over this store and these blobs.
    pub async fn over(store: Arc<Store>, blobs: Blobs) -> Self {
        let storage = Arc::new(ObjectStorage::new(Arc::clone(&store), blobs, Arc::new(People)));
        let stop = CancellationToken::new();
        let served = Arc::clone(&storage);
        let answer = move |request| {
            let storage = Arc::clone(&served);
            async move { storage.handle(request).await }.boxed()
        };
        let address = listen(([127, 0, 0, 1], 0).into(), stop.clone(), answer).await.unwrap().to_string();
        Self { store, storage, address, stop, _folder: None }
    }

    /// Stops, until nobody holds the store.
    pub async fn close(self) {
        let store = Arc::downgrade(&self.store);
        drop(self);
        while store.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// The owner's client in `fr-par`.
    pub fn client(&self) -> Client {
        self.client_of(OWNER.0, OWNER.1, "fr-par")
    }

    /// A client with this key and region.
    pub fn client_of(&self, access_key: &str, secret: &str, region: &'static str) -> Client {
        Client::from_conf(self.config(access_key, secret, region).build())
    }

    pub fn config(&self, access_key: &str, secret: &str, region: &'static str) -> aws_sdk_s3::config::Builder {
        aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(access_key, secret, None, None, "test"))
            .region(Region::new(region))
            .endpoint_url(format!("http://{}", self.address))
            .force_path_style(true)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
    }

    /// The owner's client and a bucket.
    pub async fn with_bucket(&self, name: &str) -> Client {
        let client = self.client();
        client.create_bucket().bucket(name).send().await.unwrap();
        client
    }

    /// Sends a request by hand, past the listener: so any host can be named.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.storage.handle(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8_lossy(&body).into() }
    }

    /// Sends a signed request of the owner's to a host.
    pub async fn signed(&self, method: &str, host: &str, target: &str, body: &str) -> Answer {
        self.send(Signed::new(method, host, target).body(body)).await
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Answer {
    /// The text of an element of the answer.
    pub fn element(&self, name: &str) -> Option<&str> {
        let from = self.body.find(&format!("<{name}>"))? + name.len() + 2;
        let to = self.body[from..].find(&format!("</{name}>"))? + from;
        Some(&self.body[from..to])
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A request signed by hand: what no SDK would send can be sent.
pub struct Signed {
    pub method: String,
    pub host: String,
    pub target: String,
    pub access_key: String,
    pub secret: String,
    pub at: time::OffsetDateTime,
    pub headers: Vec<(String, String)>,
    pub payload_hash: Option<String>,
    pub spoil: bool,
}

impl Signed {
    pub fn new(method: &str, host: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            host: host.into(),
            target: target.into(),
            access_key: OWNER.0.into(),
            secret: OWNER.1.into(),
            at: time::OffsetDateTime::now_utc(),
            headers: Vec::new(),
            payload_hash: None,
            spoil: false,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(self, body: &str) -> Request<Body> {
        self.bytes(body.as_bytes().to_vec())
    }

    pub fn bytes(self, body: Vec<u8>) -> Request<Body> {
        let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
        let stamp = self.at.format(&format).unwrap();
        let date = &stamp[..8];
        let hash = self.payload_hash.clone().unwrap_or_else(|| hex::encode(Sha256::digest(&body)));
        let mut headers = vec![
            ("host".to_owned(), self.host.clone()),
            ("x-amz-content-sha256".to_owned(), hash.clone()),
            ("x-amz-date".to_owned(), stamp.clone()),
        ];
        headers.extend(self.headers.iter().cloned());
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let mut query: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        query.sort_by_key(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("{}\n{path}\n{}\n{lines}\n{names}\n{hash}", self.method, query.join("&"));
        let scope = format!("{date}/fr-par/s3/aws4_request");
        let digest = hex::encode(Sha256::digest(canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}");
        let key = [date, "fr-par", "s3", "aws4_request"]
            .iter()
            .fold(format!("AWS4{}", self.secret).into_bytes(), |key, part| hmac(&key, part.as_bytes()));
        let mut signature = hex::encode(hmac(&key, to_sign.as_bytes()));
        if self.spoil {
            signature.replace_range(..4, "0000");
        }
        let credential = format!("{}/{scope}", self.access_key);
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.target).header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"),
        );
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.header("content-length", body.len()).body(Body::from(body)).unwrap()
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let with = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = Sha256::digest([with(0x36), text.to_vec()].concat());
    Sha256::digest([with(0x5c), inner.to_vec()].concat()).to_vec()
}

/// The code and status of a refusal.
pub fn refused<T: std::fmt::Debug, E>(
    outcome: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>,
) -> (String, u16)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let error = outcome.expect_err("it should be refused");
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (error.code().unwrap_or_default().to_owned(), status)
}

/// An answer to compare with a refusal.
pub fn code(code: &str, status: u16) -> (String, u16) {
    (code.to_owned(), status)
}

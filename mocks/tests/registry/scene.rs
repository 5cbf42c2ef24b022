//! A running cloud, and clients that reach it as docker would: by host name, through the gateway.

use std::{path::Path, sync::Arc, time::Duration};

use oci_client::{
    Client, Reference,
    client::{Certificate, CertificateEncoding, ClientConfig, Config as ImageConfig, ImageLayer},
    secrets::RegistryAuth,
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stackproof_cloud::{
    gateway::{Authority, Foreign},
    kernel::{Durability, Profile},
    server::{Config, Server},
    services::{self, Organization},
};
use tempfile::TempDir;

pub const HOST: &str = "rg.fr-par.scw.cloud";
pub const NAMESPACES: &str = "/registry/v1/regions/fr-par/namespaces";
pub const IMAGES: &str = "/registry/v1/regions/fr-par/images";
pub const TAGS: &str = "/registry/v1/regions/fr-par/tags";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub struct Scene {
    pub server: Server,
    pub organization: Organization,
    http: reqwest::Client,
    root: String,
    folder: Arc<TempDir>,
}

/// The digest of these bytes.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A manifest of one layer with this configuration.
pub fn manifest(config: &[u8], layer: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(layer), "size": layer.len(),
        }],
    })
}

/// The code in an answer of the registry, and its status.
pub async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["errors"][0]["code"].as_str().unwrap().to_owned())
}

/// A header of an answer.
pub fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

impl Scene {
    /// A cloud with the namespace `team`.
    pub async fn new() -> Self {
        let scene = Self::at(None).await;
        scene.make(NAMESPACES, json!({"name": "team"})).await;
        scene
    }

    /// A cloud on this state directory.
    pub async fn at(state: Option<&Path>) -> Self {
        Self::of(Arc::new(TempDir::new().unwrap()), state).await
    }

    /// A cloud of this installation, which alone can read its state directories.
    async fn of(folder: Arc<TempDir>, state: Option<&Path>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let organization = Organization::from_seed(1);
        let config = Config {
            state_dir: state.map(Path::to_owned),
            durability: Durability::Process,
            profile: Profile::Instant,
            seed: Some(1),
            organization: organization.clone(),
            authority_dir: folder.path().join("authority"),
            ports: [0; 4],
            control: false,
            enforcement: stackproof_cloud::kernel::Enforcement::Enforce,
            foreign: Foreign::Refuse,
            planes: stackproof_cloud::planes::Config::Nothing,
        };
        let server = Server::start(config).await.unwrap();
        let root = Authority::open(&folder.path().join("authority")).unwrap().certificate_pem().to_owned();
        let http = reqwest::Client::builder()
            .proxy(reqwest::Proxy::all(&server.ready().gateway_url).unwrap())
            .tls_certs_only([reqwest::Certificate::from_pem(root.as_bytes()).unwrap()])
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { server, organization, http, root, folder }
    }

    /// A copy of the cloud as it is now.
    pub async fn fork(&self) -> Self {
        let there = self.folder.path().join("fork");
        self.server.front().fork(&there).unwrap();
        Self::of(Arc::clone(&self.folder), Some(&there)).await
    }

    /// A request to the registry without login. The path is below `/v2/`, or one it answered.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        let path = if path.starts_with("/v2/") { path.to_owned() } else { format!("/v2/{path}") };
        self.http.request(method, format!("https://{HOST}{path}"))
    }

    /// The same with the owner's login.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).basic_auth("nologin", Some(&self.organization.secret_key))
    }

    /// A request to the JSON API: status and body.
    pub async fn api(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("https://api.scaleway.com{path}"));
        let request = request.header("x-auth-token", &self.organization.secret_key);
        let response = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.api(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Makes something in the JSON API and returns it.
    pub async fn make(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.api(Method::POST, path, body).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The secret key of an application with these permission sets in the default project.
    pub async fn key_with(&self, sets: &[&str]) -> String {
        let application = self.make("/iam/v1alpha1/applications", json!({"name": "ci"})).await["id"].clone();
        let rule = json!({"permission_set_names": sets, "project_ids": [self.organization.id]});
        let policy = json!({"name": "p", "application_id": application, "rules": [rule]});
        if !sets.is_empty() {
            self.make("/iam/v1alpha1/policies", policy).await;
        }
        let key = self.make("/iam/v1alpha1/api-keys", json!({"application_id": application})).await;
        key["secret_key"].as_str().unwrap().to_owned()
    }

    /// The secret key of the owner of another organisation.
    pub fn stranger(&self) -> String {
        let stranger = Organization::from_seed(77);
        services::seed(self.server.front().cloud().store(), &stranger).unwrap();
        stranger.secret_key
    }

    /// A client of the registry as other programs use it.
    pub fn client(&self) -> Client {
        let certificate = Certificate { encoding: CertificateEncoding::Pem, data: self.root.clone().into_bytes() };
        let config = ClientConfig {
            https_proxy: Some(self.server.ready().gateway_url.clone()),
            tls_certs_only: vec![certificate],
            ..ClientConfig::default()
        };
        Client::try_from(config).unwrap()
    }

    pub fn login(&self) -> RegistryAuth {
        RegistryAuth::Basic("nologin".into(), self.organization.secret_key.clone())
    }

    /// Pushes an image of one layer with that client; returns the manifest's digest.
    pub async fn push(&self, image: &str, layer: &[u8]) -> String {
        let reference: Reference = format!("{HOST}/{image}").parse().unwrap();
        let layers = [ImageLayer::oci_v1_gzip(layer.to_vec(), None)];
        let config = ImageConfig::oci_v1(b"{\"architecture\":\"amd64\",\"os\":\"linux\"}".to_vec(), None);
        let client = self.client();
        client.push(&reference, &layers, config, &self.login(), None).await.unwrap();
        client.fetch_manifest_digest(&reference, &self.login()).await.unwrap()
    }

    /// Uploads a blob at once.
    pub async fn blob(&self, image: &str, bytes: &[u8]) {
        let path = format!("{image}/blobs/uploads/?digest={}", digest(bytes));
        let response = self.request(Method::POST, &path).body(bytes.to_vec()).send().await.unwrap();
        assert_eq!(response.status(), 201);
    }

    /// Puts a manifest of this type; returns the answer.
    pub async fn put(&self, image: &str, reference: &str, kind: &str, manifest: &[u8]) -> Response {
        let request = self.request(Method::PUT, &format!("{image}/manifests/{reference}"));
        request.header("content-type", kind).body(manifest.to_vec()).send().await.unwrap()
    }
}

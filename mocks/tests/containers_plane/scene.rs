//! A running cloud with a registry, and clients of it.

use std::{path::Path, time::Duration};

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use stackproof_cloud::{
    gateway::{Authority, Foreign},
    kernel::{Durability, Profile},
    planes,
    server::{Config, Server},
    services::Organization,
};
use tempfile::TempDir;

use crate::image::{self, digest};

const NAMESPACES: &str = "/containers/v1/regions/fr-par/namespaces";
pub(crate) const CONTAINERS: &str = "/containers/v1/regions/fr-par/containers";
pub(crate) const TRIGGERS: &str = "/containers/v1/regions/fr-par/triggers";
const REGISTRY: &str = "rg.fr-par.scw.cloud";
/// Longer than anything here takes; reached only by a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Scene {
    server: Server,
    organization: Organization,
    root: reqwest::Certificate,
    client: Client,
    control: Client,
    namespace: String,
    _folder: TempDir,
}

impl Scene {
    /// A cloud with a namespace, and the image `app:1` in its registry.
    pub(crate) async fn new() -> Self {
        Self::with(Profile::Instant).await
    }

    pub(crate) async fn with(profile: Profile) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let organization = Organization::from_seed(1);
        let config = Config {
            state_dir: None,
            durability: Durability::Process,
            profile,
            seed: Some(1),
            organization: organization.clone(),
            authority_dir: folder.path().join("authority"),
            ports: [0; 4],
            control: true,
            enforcement: stackproof_cloud::kernel::Enforcement::Enforce,
            foreign: Foreign::Refuse,
            planes: planes::Config::Everything {
                folder: folder.path().join("planes"),
                cache: Path::new(env!("CARGO_TARGET_TMPDIR")).join("databases"),
                helper: std::env::current_exe().unwrap(),
                driver: planes::Choice::Native,
            },
        };
        let server = Server::start(config).await.unwrap();
        let root = Authority::open(&folder.path().join("authority")).unwrap().certificate_pem().to_owned();
        let root = reqwest::Certificate::from_pem(root.as_bytes()).unwrap();
        let control = Client::builder().no_proxy().build().unwrap();
        let client = Self::reach(&server, &root).build().unwrap();
        let namespace = String::new();
        let mut scene = Self { server, organization, root, client, control, namespace, _folder: folder };
        scene.make("/registry/v1/regions/fr-par/namespaces", json!({"name": "team"})).await;
        if profile == Profile::Manual {
            scene.advance(60).await;
        }
        scene.push("app:1", &json!({})).await;
        let namespace = scene.make(NAMESPACES, json!({"name": "shop"})).await;
        if profile == Profile::Manual {
            scene.advance(60).await;
        }
        scene.namespace = namespace["id"].as_str().unwrap().to_owned();
        scene
    }

    fn reach(server: &Server, root: &reqwest::Certificate) -> reqwest::ClientBuilder {
        let proxy = reqwest::Proxy::all(&server.ready().gateway_url).unwrap();
        let client = Client::builder().proxy(proxy).tls_certs_only([root.clone()]);
        client.timeout(PATIENCE).redirect(reqwest::redirect::Policy::none())
    }

    /// A client to be changed, that comes through the gateway.
    pub(crate) fn other_client(&self) -> reqwest::ClientBuilder {
        Self::reach(&self.server, &self.root)
    }

    /// A client as the cloud's environment would have it, with pools of its own.
    pub(crate) fn client_of_environment(&self) -> Client {
        let set = &self.server.ready().set;
        let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(&set["SSL_CERT_FILE"]).unwrap()).unwrap();
        let proxy = reqwest::Proxy::all(&set["HTTPS_PROXY"]).unwrap();
        Client::builder()
            .proxy(proxy)
            .tls_certs_only(roots)
            .timeout(PATIENCE)
            .pool_max_idle_per_host(0)
            .build()
            .unwrap()
    }

    pub(crate) async fn end(self) {
        self.server.stop().await;
    }

    /// A request to the API: status and body.
    pub(crate) async fn api(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.request(method, format!("https://api.scaleway.com{path}"));
        let request = request.header("x-auth-token", &self.organization.secret_key);
        let response = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    pub(crate) async fn read(&self, path: &str) -> Value {
        let (status, body) = self.api(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub(crate) async fn make(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.api(Method::POST, path, body).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub(crate) async fn change(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.api(Method::PATCH, path, body).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Pushes an image, `change` laid over its configuration.
    pub(crate) async fn push(&self, name: &str, change: &Value) {
        let image = image::serving(change);
        let (repository, tag) = name.split_once(':').unwrap();
        let at = format!("https://{REGISTRY}/v2/team/{repository}");
        for blob in image.blobs {
            let upload = self.client.post(format!("{at}/blobs/uploads/?digest={}", digest(&blob)));
            self.pushed(upload.body(blob)).await;
        }
        let put = self.client.put(format!("{at}/manifests/{tag}"));
        let put = put.header("content-type", "application/vnd.oci.image.manifest.v1+json");
        self.pushed(put.body(image.manifest)).await;
    }

    async fn pushed(&self, request: reqwest::RequestBuilder) {
        let answer = request.basic_auth("nologin", Some(&self.organization.secret_key)).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }

    /// A container of the image `app:1`, with these settings.
    pub(crate) async fn container(&self, settings: Value) -> Container<'_> {
        let image = format!("{REGISTRY}/team/app:1");
        let mut body = json!({"namespace_id": self.namespace, "name": "web", "image": image});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        Container::of(self, self.make(CONTAINERS, body).await)
    }

    /// What the control API tells.
    pub(crate) async fn told(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.server.ready().control_url.as_ref().unwrap());
        let answer = self.control.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let text = answer.text().await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// Turns the cloud's clock.
    pub(crate) async fn advance(&self, seconds: u64) {
        let url = format!("{}/clock/advance", self.server.ready().control_url.as_ref().unwrap());
        let answer = self.control.post(url).json(&json!({"seconds": seconds})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

/// A container, as it was made.
pub(crate) struct Container<'s> {
    scene: &'s Scene,
    pub(crate) made: Value,
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) url: String,
}

impl<'s> Container<'s> {
    fn of(scene: &'s Scene, made: Value) -> Self {
        let id = made["id"].as_str().unwrap().to_owned();
        let url = made["public_endpoint"].as_str().unwrap().to_owned();
        Self { scene, id: id.clone(), path: format!("{CONTAINERS}/{id}"), url, made }
    }

    /// Asks it by its host name.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.scene.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    /// What it answers: status and text.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        let answer = self.get(path).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn shown(&self) -> Value {
        self.scene.read(&self.path).await
    }

    pub(crate) async fn metrics(&self) -> Value {
        self.scene.told(&format!("/planes/{}/metrics", self.id)).await
    }

    pub(crate) async fn logs(&self) -> String {
        self.scene.told(&format!("/planes/{}/logs", self.id)).await.as_str().unwrap().to_owned()
    }

    /// Waits until it is as it is to be.
    pub(crate) async fn becomes(&self, what: impl Fn(&Value) -> bool) -> Value {
        eventually(async || self.shown().await, what).await
    }

    /// Waits until it has been in this state.
    pub(crate) async fn was(&self, state: &str) {
        let events = async || self.scene.told("/events").await;
        let was = |event: &Value| event["id"] == json!(self.id) && event["state"] == state;
        eventually(events, |events| events.as_array().unwrap().iter().any(was)).await;
    }

    /// Waits until its numbers are as they are to be.
    pub(crate) async fn measures(&self, what: impl Fn(&Value) -> bool) -> Value {
        eventually(async || self.metrics().await, what).await
    }

    /// Its numbers when every request is over: an answer is counted after it went out, which its reader may see first.
    pub(crate) async fn at_rest(&self) -> Value {
        self.measures(|metrics| metrics["requests"]["under_way"] == 0).await
    }
}

/// Looks until something is as it is to be.
pub(crate) async fn eventually(look: impl AsyncFn() -> Value, what: impl Fn(&Value) -> bool) -> Value {
    let mut looks = tokio::time::interval(Duration::from_millis(25));
    let began = std::time::Instant::now();
    loop {
        looks.tick().await;
        let seen = look().await;
        if what(&seen) {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "it stays {seen}");
    }
}

//! One request, from the door to the answer: fault, service, count.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::body::Body;
use futures::future::BoxFuture;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    api::{Api, Outcome},
    control::{Faults, Traffic, Verdict},
    kernel::{Blobs, Cloud, Denial, watched},
};

/// Up to this many bytes a body is small.
const SMALL: usize = 64 << 10;

/// Put into an answer's extensions when the caller is not to hear it: whoever holds the connection
/// closes it instead of sending the answer.
#[derive(Clone, Copy, Debug)]
pub struct Unheard;

/// Whoever answers the requests of a service.
pub type Answering = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// Which of the cloud's services a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The JSON API.
    Api,
    /// Object Storage.
    ObjectStorage,
    /// The container registry.
    ContainerRegistry,
    /// The containers, by their host names.
    Containers,
}

/// Everything behind the doors.
pub struct Front {
    cloud: Arc<Cloud>,
    api: Api,
    object: Answering,
    registry: Answering,
    containers: OnceLock<Answering>,
    blobs: Blobs,
    faults: Faults,
    traffic: Arc<Traffic>,
}

impl Front {
    /// The front of a cloud.
    ///
    /// # Errors
    /// Two routes that cannot be told apart.
    pub fn new(cloud: Arc<Cloud>, object: Answering, registry: Answering, blobs: Blobs) -> Result<Self, String> {
        let api = Api::new(Arc::clone(&cloud))?;
        let containers = OnceLock::new();
        Ok(Self { cloud, api, object, registry, containers, blobs, faults: Faults::default(), traffic: Arc::default() })
    }

    /// From now on this answers requests for containers. Set once; a second time changes nothing.
    pub fn serve_containers(&self, containers: Answering) {
        let _already = self.containers.set(containers);
    }

    /// The cloud.
    pub fn cloud(&self) -> &Arc<Cloud> {
        &self.cloud
    }

    /// Writes the cloud as it is now into another state directory: first the moment, then the
    /// contents it names, which never change.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn fork(&self, folder: &std::path::Path) -> std::io::Result<()> {
        self.cloud.store().fork(folder).map_err(std::io::Error::other)?;
        self.blobs.share_with(&folder.join("blobs"), self.cloud.store().key())
    }

    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What has been asked.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Answers a request that came through a door.
    pub async fn answer(&self, door: Door, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(Arc::clone(&self.traffic));
        let begun = self.traffic.begin();
        let method = request.method().to_string();
        let target = target(&request);
        let verdict = self.faults.judge(&method, &target);
        let faulted = verdict.is_some();
        let mut denied = None;
        let mut response = match verdict {
            Some(Verdict::Answer { status, headers, body }) => scripted(status, &headers, &body),
            Some(Verdict::Delay { milliseconds }) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                self.serve(door, request, &mut denied).await
            }
            Some(Verdict::LoseAnswer {}) => {
                let mut response = self.serve(door, request, &mut denied).await;
                response.extensions_mut().insert(Unheard);
                response
            }
            None => self.serve(door, request, &mut denied).await,
        };
        let outcome = response.extensions_mut().remove::<Outcome>().unwrap_or_default();
        let shown = target.split_once("X-Amz-Signature=").map_or(target.as_str(), |(before, _)| before).to_owned();
        self.traffic.end(&begun, &method, shown, response.status().as_u16(), &outcome, faulted, denied);
        response
    }

    /// Has the service answer; also tells what IAM denied.
    async fn serve(&self, door: Door, request: Request<Body>, denied: &mut Option<Denial>) -> Response<Body> {
        let (response, denial) = watched(self.serve_by(door, request)).await;
        *denied = denial;
        response
    }

    async fn serve_by(&self, door: Door, request: Request<Body>) -> Response<Body> {
        match door {
            Door::Api => self.api.handle(request).await,
            Door::ObjectStorage => (self.object)(read_if_small(request).await).await,
            Door::ContainerRegistry => (self.registry)(read_if_small(request).await).await,
            Door::Containers => match self.containers.get() {
                Some(containers) => {
                    let _waits = self.traffic.wait();
                    containers(request).await
                }
                None => scripted(501, &BTreeMap::new(), &json!({"message": "this local cloud runs no containers"})),
            },
        }
    }
}

/// A request whose body is small and has come: who answers without reading it leaves the connection fit for the next
/// request. Where a body has not been read the connection is closed after the answer, which a client may notice too late.
async fn read_if_small(request: Request<Body>) -> Request<Body> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if !length.is_some_and(|length: usize| (1..=SMALL).contains(&length)) {
        return request;
    }
    let (head, body) = request.into_parts();
    let body = match axum::body::to_bytes(body, SMALL).await {
        Ok(bytes) => Body::from(bytes),
        // Whoever reads it is told.
        Err(error) => Body::from_stream(futures::stream::once(std::future::ready(Err::<bytes::Bytes, _>(error)))),
    };
    Request::from_parts(head, body)
}

/// The path and query of a request; for a bucket's own host name, the bucket comes first.
fn target(request: &Request<Body>) -> String {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.split_once(".s3.") {
        Some((bucket, _)) => format!("/{bucket}{path}"),
        None => path.to_owned(),
    }
}

fn scripted(status: u16, headers: &BTreeMap<String, String>, body: &Value) -> Response<Body> {
    let body = match body {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

//! Where requests come in and answers go out.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::body::Body;
use futures::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use oci_spec::distribution::ErrorCode;

use super::{
    access::{self, Repository, Visitor},
    blobs, manifests,
    path::{self, Part, Target},
    refusal::{Answered, refuse},
    tags, uploads,
};
use crate::{
    api::origin,
    gateway::{Region, Service},
    kernel::{Access, Blobs, Caller, Guard, Store},
};

/// What says that this is a registry.
const VERSION: (HeaderName, &str) = (HeaderName::from_static("docker-distribution-api-version"), "registry/2.0");
/// The digest of what was asked for or sent.
pub(super) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The container registry.
pub struct ContainerRegistry {
    pub(super) store: Arc<Store>,
    pub(super) guard: Arc<Guard>,
    pub(super) blobs: Blobs,
}

/// A request that has been let in.
pub(super) struct Visit<'a> {
    pub(super) registry: &'a ContainerRegistry,
    pub(super) repository: Repository,
    pub(super) visitor: Visitor,
    pub(super) region: &'static str,
    pub(super) headers: HeaderMap,
    pub(super) query: Vec<(String, String)>,
}

impl Visit<'_> {
    /// A parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(param, _)| param == name).map(|(_, value)| value.as_str())
    }

    /// A header as text.
    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl ContainerRegistry {
    /// A registry that keeps its records in this store and bytes in these blobs, and lets in whom this guard lets in.
    pub fn new(store: Arc<Store>, blobs: Blobs, guard: Arc<Guard>) -> Self {
        Self { store, guard, blobs }
    }

    /// Answers a request. The region is that of the host name, else fr-par.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let answered = AssertUnwindSafe(self.answer(request)).catch_unwind().await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(refusal)) => refusal.render(),
            Err(_) => {
                tracing::error!("a request to the registry caused a panic");
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        response.headers_mut().insert(VERSION.0, HeaderValue::from_static(VERSION.1));
        response
    }

    async fn answer(&self, request: Request<Body>) -> Answered<Response<Body>> {
        let (head, body) = request.into_parts();
        let region = region(&head.uri, &head.headers).as_str();
        let visitor = access::visitor(&self.store, &head.headers, region)?;
        let origin = origin(&head.headers, &head.extensions);
        let visitor = visitor.map(|caller| Caller { origin, ..caller });
        let (name, part) = match path::read(head.uri.path())? {
            Target::Check if visitor.is_none() => {
                return Err(access::challenge(region, "authentication is required"));
            }
            Target::Check => return Ok(answer(StatusCode::OK, [], Body::from("{}"))),
            Target::Of(name, part) => (name, part),
        };
        let reads = matches!(head.method, Method::GET | Method::HEAD) && !matches!(part, Part::Upload(_));
        let access = if reads { Access::Read } else { Access::Write };
        let repository = self.store.read(|tables| access::enter(self, tables, region, &name, &visitor, access))?;
        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let visit = Visit { registry: self, repository, visitor, region, headers: head.headers, query };
        let head_only = head.method == Method::HEAD;
        match (head.method, part) {
            (Method::GET | Method::HEAD, Part::Blob(digest)) => blobs::get(&visit, &digest, head_only).await,
            (Method::GET | Method::HEAD, Part::Manifest(named)) => manifests::get(&visit, &named, head_only),
            (Method::PUT, Part::Manifest(named)) => manifests::put(&visit, &named, body).await,
            (Method::DELETE, Part::Manifest(named)) => manifests::delete(&visit, &named),
            (Method::GET, Part::Tags) => tags::list(&visit),
            (Method::POST, Part::Uploads) => uploads::begin(&visit, body).await,
            (Method::GET, Part::Upload(id)) => uploads::status(&visit, &id),
            (Method::PATCH, Part::Upload(id)) => uploads::append(&visit, &id, body).await,
            (Method::PUT, Part::Upload(id)) => uploads::finish(&visit, &id, body).await,
            (Method::DELETE, Part::Upload(id)) => uploads::cancel(&visit, &id),
            (method, _) => {
                let message = format!("the registry does not know {method} here");
                Err(refuse(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message))
            }
        }
    }
}

/// An answer with these headers. A value that is no header value is left out.
pub(super) fn answer<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, String); N],
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn region(uri: &Uri, headers: &HeaderMap) -> Region {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let named = named.or_else(|| uri.authority().map(ToString::to_string)).unwrap_or_default();
    match Service::of(&named) {
        Service::ContainerRegistry { region } => region,
        _ => Region::FrPar,
    }
}

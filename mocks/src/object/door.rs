//! Where requests come in and answers go out.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::body::Body;
use futures::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use s3s::{
    S3Error, S3ErrorCode, S3Result,
    config::{S3Config, StaticConfigProvider},
    host::{S3Host, VirtualHost},
    service::{S3Service, S3ServiceBuilder},
};

use super::{
    auth::{Identity, Secrets},
    content,
    errors::{complete, invalid_request, not_implemented, plain, refuse, usual},
    service::{Arrival, Service},
};
use crate::{
    gateway::{Region, Service as Host},
    kernel::{Blobs, Store},
};

/// The largest XML or JSON body.
const LARGEST_DOCUMENT: usize = 2 * 1024 * 1024;

/// What can be configured of a bucket by `PUT` and `DELETE`. s3s takes a request for
/// anything else to be about the bucket itself, which would be created or deleted.
const OF_BUCKET: [&str; 18] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "lifecycle",
    "logging",
    "metrics",
    "notification",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "tagging",
    "website",
];
/// The same, by `PUT` alone.
const OF_BUCKET_PUT: [&str; 2] = ["object-lock", "versioning"];
/// The same of an object.
const OF_OBJECT: [&str; 1] = ["tagging"];
/// The same of an object, by `PUT` alone.
const OF_OBJECT_PUT: [&str; 3] = ["acl", "legal-hold", "retention"];
/// Parameters that say no more than what a request without them.
const HARMLESS: [&str; 4] = ["x-id", "versionId", "uploadId", "partNumber"];

/// Object Storage.
pub struct ObjectStorage {
    s3: S3Service,
    store: Arc<Store>,
}

impl ObjectStorage {
    /// Object Storage that keeps buckets and versions in this store, contents in these blobs, and
    /// asks this identity who may.
    pub fn new(store: Arc<Store>, blobs: Blobs, identity: Arc<dyn Identity>) -> Self {
        let service = Service { store: Arc::clone(&store), blobs, identity: Arc::clone(&identity) };
        let mut config = S3Config::default();
        config.xml_max_body_size = LARGEST_DOCUMENT;
        let mut builder = S3ServiceBuilder::new(service.clone());
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.set_auth(Secrets(identity));
        builder.set_access(service);
        builder.set_host(Hosts);
        Self { s3: builder.build(), store }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let request_id = format!("tx{}", uuid::Uuid::new_v4().simple());
        let bodiless = request.method() == Method::HEAD;
        let resource = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
        let answered = AssertUnwindSafe(self.answer(request, &resource, &request_id, bodiless)).catch_unwind().await;
        let mut response = answered.unwrap_or_else(|_| {
            tracing::error!(%resource, "a request to Object Storage caused a panic");
            plain(&usual(S3ErrorCode::InternalError), &resource, &request_id, bodiless)
        });
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amz-request-id", id.clone());
            response.headers_mut().insert("x-amz-id-2", id);
        }
        response
    }

    async fn answer(
        &self,
        mut request: Request<Body>,
        resource: &str,
        request_id: &str,
        bodiless: bool,
    ) -> Response<Body> {
        match self.admit(&request) {
            Ok(arrival) => request.extensions_mut().insert(arrival),
            Err(refusal) => return plain(&refusal, resource, request_id, bodiless),
        };
        let request = if brings_object(&request) {
            request.map(s3s::Body::http_body_unsync)
        } else {
            match with_document(request).await {
                Ok(request) => request,
                Err(refusal) => return plain(&refusal, resource, request_id, bodiless),
            }
        };
        let puts_policy = request.method() == Method::PUT && request.uri().query().is_some_and(asks_for_policy);
        match self.s3.call(request).await {
            Ok(response) => {
                let mut response = response.map(Body::new);
                // Scaleway says 200 (recorded), where S3 and s3s have 204.
                if puts_policy && response.status() == StatusCode::NO_CONTENT {
                    *response.status_mut() = StatusCode::OK;
                }
                if response.status().is_client_error()
                    || response.status().is_server_error()
                    || response.status() == StatusCode::NOT_MODIFIED
                {
                    complete(response, resource, request_id, bodiless).await
                } else {
                    response
                }
            }
            Err(error) => {
                tracing::error!(?error, %resource, "s3s could not answer");
                plain(&usual(S3ErrorCode::InternalError), resource, request_id, bodiless)
            }
        }
    }

    /// Refuses what s3s would misunderstand, and notes what it does not pass on.
    fn admit(&self, request: &Request<Body>) -> S3Result<Arrival> {
        let (uri, headers) = (request.uri(), request.headers());
        let named = host(uri, headers);
        let region = match named.as_deref().map(Host::of) {
            Some(Host::ObjectStorage { region, .. }) => region,
            // Under an address of this machine all regions are served: the signature's counts.
            _ => signed_region(uri, headers).unwrap_or(Region::FrPar),
        };
        if percent_decode_str(uri.path()).any(|byte| byte == 0) {
            return Err(refuse(S3ErrorCode::InvalidURI, "A key cannot contain the character NUL."));
        }
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if text(header::AUTHORIZATION).is_some_and(|value| value.starts_with("AWS ")) {
            return Err(invalid_request(
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
            ));
        }
        let form = text(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("multipart/form-data"));
        if form && request.method() == Method::POST {
            return Err(not_implemented("The local cloud does not implement uploads by HTML form."));
        }
        let query: Vec<(String, String)> =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        if query.iter().any(|(name, _)| name == "AWSAccessKeyId") {
            return Err(invalid_request("Query-string authentication version 2 is not supported."));
        }
        check_subresources(request.method(), named.as_deref(), uri, &query)?;
        Ok(Arrival {
            region,
            referer: text(header::REFERER).map(str::to_owned),
            prefix: query.into_iter().find(|(name, _)| name == "prefix").map(|(_, prefix)| prefix),
            now: self.store.clock().now(),
        })
    }
}

/// Whether a query is for a bucket's policy: `policy`, `policy=`.
fn asks_for_policy(query: &str) -> bool {
    query.split('&').any(|part| part.split('=').next() == Some("policy"))
}

/// Whether the request is about an object, not about a bucket or all of them.
fn is_of_object(host: Option<&str>, uri: &Uri) -> bool {
    match host.map(Host::of) {
        Some(Host::ObjectStorage { bucket: Some(_), .. }) => uri.path() != "/",
        _ => uri.path().trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty()),
    }
}

/// Whether the body is an object's, or a part's.
fn brings_object(request: &Request<Body>) -> bool {
    let (uri, named) = (request.uri(), host(request.uri(), request.headers()));
    let documented = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .any(|(name, _)| OF_OBJECT.contains(&&*name) || OF_OBJECT_PUT.contains(&&*name));
    *request.method() == Method::PUT && !documented && is_of_object(named.as_deref(), uri)
}

/// The request with its document read and checked, which s3s would do with other refusals than S3's.
async fn with_document(request: Request<Body>) -> S3Result<Request<s3s::Body>> {
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > LARGEST_DOCUMENT as u64) {
        return Err(usual(S3ErrorCode::MaxMessageLengthExceeded));
    }
    let document = match Limited::new(body, LARGEST_DOCUMENT).collect().await {
        Ok(document) => document.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(usual(S3ErrorCode::MaxMessageLengthExceeded)),
        Err(_) => return Err(usual(S3ErrorCode::IncompleteBody)),
    };
    if !document.is_empty() {
        content::check_document(&document, &parts.headers)?;
    }
    Ok(Request::from_parts(parts, s3s::Body::from(document)))
}

/// Refuses a change of something of a bucket or object that s3s does not know.
fn check_subresources(method: &Method, host: Option<&str>, uri: &Uri, query: &[(String, String)]) -> S3Result<()> {
    let puts = *method == Method::PUT;
    if !puts && *method != Method::DELETE {
        return Ok(());
    }
    let (both, put): (&[&str], &[&str]) =
        if is_of_object(host, uri) { (&OF_OBJECT, &OF_OBJECT_PUT) } else { (&OF_BUCKET, &OF_BUCKET_PUT) };
    for (name, _) in query {
        let known = both.contains(&name.as_str())
            || (puts && put.contains(&name.as_str()))
            || HARMLESS.contains(&name.as_str())
            || name.to_ascii_lowercase().starts_with("x-amz-");
        if !known {
            return Err(not_implemented(format!("The local cloud does not implement {method} of {name}.")));
        }
    }
    Ok(())
}

fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    named.or_else(|| uri.authority().map(ToString::to_string))
}

/// The region in the scope of a signature, header or query.
fn signed_region(uri: &Uri, headers: &HeaderMap) -> Option<Region> {
    let in_header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_header = in_header.and_then(|value| value.split_once("Credential=")).map(|(_, scope)| scope.to_owned());
    let scope = in_header.or_else(|| {
        let mut query = form_urlencoded::parse(uri.query()?.as_bytes());
        query.find(|(name, _)| name == "X-Amz-Credential").map(|(_, scope)| scope.into_owned())
    })?;
    let region = scope.split('/').nth(2)?;
    Region::ALL.into_iter().find(|known| known.as_str() == region)
}

/// Finds the bucket in a host name.
struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        match Host::of(host) {
            Host::ObjectStorage { bucket: Some(bucket), .. } => Ok(VirtualHost::new(host).with_bucket(bucket)),
            Host::ObjectStorage { bucket: None, .. } | Host::Foreign => Ok(VirtualHost::new(host)),
            Host::Api | Host::ContainerRegistry { .. } | Host::Container { .. } | Host::Domain | Host::Unclaimed => {
                Err(S3Error::with_message(S3ErrorCode::InvalidRequest, "This host is not of Object Storage."))
            }
        }
    }
}

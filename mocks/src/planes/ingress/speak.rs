//! What is spoken with a container: HTTP/1.1, or HTTP/2 without TLS.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version, header, uri::PathAndQuery};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::{gateway::Plain, services::containers_plane::Protocol};

/// What concerns one connection, and not the next one.
const OF_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Who asks: everybody comes from this machine.
const CLIENT: HeaderValue = HeaderValue::from_static("127.0.0.1");

/// Asks over a connection of its own.
pub(super) async fn ask(
    stream: TcpStream,
    protocol: Protocol,
    request: Request<Body>,
    upgrades: bool,
) -> hyper::Result<Response<Body>> {
    let request = forwarded(request);
    let response = match protocol {
        Protocol::Http1 => {
            let (mut sender, speaking) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(until_it_ends(speaking.with_upgrades()));
            sender.send_request(to_http1(request, upgrades)).await?
        }
        Protocol::H2c => {
            let (mut sender, speaking) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(until_it_ends(speaking));
            sender.send_request(to_http2(request)).await?
        }
    };
    let mut response = response.map(Body::new);
    // What is spoken with the client is its own matter.
    *response.version_mut() = Version::HTTP_11;
    Ok(response)
}

async fn until_it_ends(speaking: impl Future<Output = hyper::Result<()>>) {
    if let Err(error) = speaking.await {
        tracing::debug!(%error, "a connection to a container broke");
    }
}

/// Removes what concerned the connection that a message came by.
pub(super) fn forget_the_connection(headers: &mut HeaderMap) {
    for name in OF_CONNECTION {
        headers.remove(name);
    }
}

/// The request with what the product adds (documented).
fn forwarded(mut request: Request<Body>) -> Request<Body> {
    let secure = request.extensions().get::<Plain>().is_none();
    let headers = request.headers_mut();
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(if secure { "https" } else { "http" }));
    headers.append(FORWARDED_FOR, CLIENT);
    if !headers.contains_key(REQUEST_ID)
        && let Ok(id) = HeaderValue::try_from(uuid::Uuid::new_v4().to_string())
    {
        headers.insert(REQUEST_ID, id);
    }
    request
}

fn to_http1(mut request: Request<Body>, upgrades: bool) -> Request<Body> {
    *request.uri_mut() = Uri::from(path(&request));
    *request.version_mut() = Version::HTTP_11;
    let upgrade = request.headers().get(header::UPGRADE).cloned();
    // A body that another version had sent in frames is sent in chunks: hyper says so anew.
    forget_the_connection(request.headers_mut());
    if let Some(upgrade) = upgrade.filter(|_| upgrades) {
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(header::UPGRADE, upgrade);
    }
    request
}

fn to_http2(mut request: Request<Body>) -> Request<Body> {
    forget_the_connection(request.headers_mut());
    let host = request.headers_mut().remove(header::HOST);
    let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let full = Uri::builder().scheme("http").authority(host).path_and_query(path(&request)).build();
    *request.uri_mut() = full.unwrap_or_else(|_| Uri::from(path(&request)));
    *request.version_mut() = Version::HTTP_2;
    request
}

fn path(request: &Request<Body>) -> PathAndQuery {
    request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))
}

//! Requests for containers: found by their host name, let in, and carried to a process.

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header, uri::PathAndQuery};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::json;
use stackproof_planes::containers::DialError;

use super::containers::Plane;
use crate::{gateway::Plain, identity, kernel::Store, services::containers_plane as plane};

/// The header that opens a private container (documented).
const TOKEN: &str = "x-auth-token";

/// What a request may do.
enum Way {
    /// To the container of this key.
    In(String),
    /// Nowhere.
    Refused(StatusCode, String),
    /// To the same address by TLS.
    Elsewhere(String),
}

/// Answers a request by the container that its host names.
pub(super) async fn answer(store: &Store, containers: &Plane, request: Request<Body>) -> Response<Body> {
    match way(store, &request) {
        Way::Refused(status, message) => refusal(status, &message),
        Way::Elsewhere(location) => {
            let mut response = refusal(StatusCode::MOVED_PERMANENTLY, "this container takes requests by TLS only");
            if let Ok(location) = HeaderValue::try_from(location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Way::In(key) => carry(containers, &key, request).await,
    }
}

fn way(store: &Store, request: &Request<Body>) -> Way {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    store.read(|tables| {
        let Some((key, record)) = plane::of_host(tables, &host) else {
            return Way::Refused(StatusCode::NOT_FOUND, format!("no container answers at {host}"));
        };
        if request.extensions().get::<Plain>().is_some() && plane::wants_tls(record) {
            let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
            return Way::Elsewhere(format!("https://{host}{path}"));
        }
        let token = request.headers().get(TOKEN).and_then(|token| token.to_str().ok());
        let now = store.clock().now();
        let allowed = plane::is_public(record)
            || token.is_some_and(|token| {
                plane::opens(tables, key, record, token, now) || identity::may_call(tables, record, token, now)
            });
        if allowed {
            Way::In(key.to_owned())
        } else {
            Way::Refused(StatusCode::FORBIDDEN, "this container is private: send a token of it in X-Auth-Token".into())
        }
    })
}

async fn carry(containers: &Plane, key: &str, request: Request<Body>) -> Response<Body> {
    let unavailable = |message: String| refusal(StatusCode::SERVICE_UNAVAILABLE, &message);
    let connection = match containers.dial(key).await {
        None => return unavailable("the container is not deployed".into()),
        Some(Err(error @ (DialError::Failed(_) | DialError::Stopped))) => return unavailable(error.to_string()),
        Some(Err(error @ DialError::Busy(_))) => return refusal(StatusCode::GATEWAY_TIMEOUT, &error.to_string()),
        Some(Ok(connection)) => connection,
    };
    let under_way = connection.request;
    let broke = |error: &dyn std::fmt::Display| {
        refusal(StatusCode::BAD_GATEWAY, &format!("the container broke off the request: {error}"))
    };
    let (mut sender, speaking) = match hyper::client::conn::http1::handshake(TokioIo::new(connection.stream)).await {
        Ok(both) => both,
        Err(error) => return broke(&error),
    };
    tokio::spawn(async move {
        if let Err(error) = speaking.await {
            tracing::debug!(%error, "a connection to a container broke");
        }
    });
    match sender.send_request(to_origin(request)).await {
        // The container is busy with it until the last byte is out.
        Ok(response) => response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _until_the_end = &under_way;
                frame
            }))
        }),
        Err(error) => broke(&error),
    }
}

/// The request as the container sees it.
fn to_origin(mut request: Request<Body>) -> Request<Body> {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    let secure = request.extensions().get::<Plain>().is_none();
    let headers = request.headers_mut();
    headers.remove(header::CONNECTION);
    headers.insert("x-forwarded-proto", HeaderValue::from_static(if secure { "https" } else { "http" }));
    request
}

/// Where no container can run.
pub(super) fn nothing_runs(missing: &[String]) -> Response<Body> {
    refusal(StatusCode::NOT_IMPLEMENTED, &format!("nothing runs behind this host: {}", missing.join("; ")))
}

fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({"message": message}).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

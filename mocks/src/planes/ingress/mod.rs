//! Requests for containers: found by their host name, let in, and carried to a process.

mod carry;
mod lasting;
mod speak;

use axum::body::Body;
pub(super) use carry::carry;
use http::{HeaderValue, Request, Response, StatusCode, header, uri::PathAndQuery};
use serde_json::json;

use super::containers::Plane;
use crate::{
    api::origin,
    gateway::Plain,
    identity,
    kernel::{Guard, Store},
    services::containers_plane::{self as plane, Route},
};

/// The header that opens a private container (documented).
const TOKEN: &str = "x-auth-token";

/// What a request may do.
enum Way {
    /// To the container of this key.
    In(String, Route),
    /// Nowhere.
    Refused(StatusCode, String),
    /// To the same address by TLS.
    Elsewhere(String),
}

/// Answers a request by the container that its host names.
pub(super) async fn answer(store: &Store, guard: &Guard, containers: &Plane, request: Request<Body>) -> Response<Body> {
    match way(store, guard, &request) {
        Way::Refused(status, message) => refusal(status, &message),
        Way::Elsewhere(location) => {
            let mut response = refusal(StatusCode::MOVED_PERMANENTLY, "this container takes requests by TLS only");
            if let Ok(location) = HeaderValue::try_from(location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Way::In(key, route) => carry(containers, &key, route, request).await,
    }
}

fn way(store: &Store, guard: &Guard, request: &Request<Body>) -> Way {
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
                let origin = || origin(request.headers(), request.extensions());
                plane::opens(tables, key, record, token, now)
                    || identity::may_call(guard, tables, (key, record), token, now, origin)
            });
        if allowed {
            Way::In(key.to_owned(), plane::route(record))
        } else {
            Way::Refused(StatusCode::FORBIDDEN, "this container is private: send a token of it in X-Auth-Token".into())
        }
    })
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

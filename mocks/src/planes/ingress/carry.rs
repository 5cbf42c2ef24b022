//! A request on its way to a container and back, as long as it may take.

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use stackproof_planes::containers::{self, DialError};
use tokio::time::{Instant, timeout_at};

use super::{lasting::Lasting, refusal, speak};
use crate::{
    planes::containers::{Asked, Plane},
    services::containers_plane::{Protocol, Route},
};

/// What is kept until a request has ended: it keeps its container at work, and is counted then.
type Kept = (containers::Request, Option<Asked>);

/// Carries a request to a container and gives its answer, or why there is none.
pub(in crate::planes) async fn carry(
    containers: &Plane,
    key: &str,
    route: Route,
    request: Request<Body>,
) -> Response<Body> {
    let mut asked = containers.meter(key).map(|meter| meter.begin());
    let refused = |asked: &mut Option<Asked>, status, message: &str| {
        if let Some(asked) = asked {
            asked.answered(status);
        }
        refusal(status, message)
    };
    let connection = match containers.dial(key).await {
        None => return refused(&mut asked, StatusCode::SERVICE_UNAVAILABLE, "the container is not deployed"),
        Some(Err(error @ (DialError::Failed(_) | DialError::Stopped))) => {
            return refused(&mut asked, StatusCode::SERVICE_UNAVAILABLE, &error.to_string());
        }
        Some(Err(error @ DialError::Busy(_))) => {
            return refused(&mut asked, StatusCode::GATEWAY_TIMEOUT, &error.to_string());
        }
        Some(Ok(connection)) => connection,
    };
    let until = Instant::now() + route.timeout;
    let (request, upgrade) = upgrade_of(request, route.protocol);
    let answer = speak::ask(connection.stream, route.protocol, request, upgrade.is_some());
    let mut response = match timeout_at(until, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let message = format!("the container broke off the request: {error}");
            return refused(&mut asked, StatusCode::BAD_GATEWAY, &message);
        }
        Err(_) => {
            let message = format!("the container gave no answer within its timeout of {:?}", route.timeout);
            return refused(&mut asked, StatusCode::GATEWAY_TIMEOUT, &message);
        }
    };
    if let Some(asked) = &mut asked {
        asked.answered(response.status());
    }
    let kept = (connection.request, asked);
    match upgrade {
        Some(ours) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let theirs = hyper::upgrade::on(&mut response);
            tokio::spawn(converse(ours, theirs, until, kept));
            response
        }
        _ => {
            speak::forget_the_connection(response.headers_mut());
            // The container is busy with it until the last byte is out.
            response.map(|body| Body::new(Lasting::new(body, until, kept)))
        }
    }
}

/// The other protocol that a request asks to go on with, such as a WebSocket's. HTTP/2 has none.
fn upgrade_of(mut request: Request<Body>, protocol: Protocol) -> (Request<Body>, Option<OnUpgrade>) {
    let asks = protocol == Protocol::Http1 && request.headers().contains_key(header::UPGRADE);
    let upgrade = asks.then(|| hyper::upgrade::on(&mut request));
    (request, upgrade)
}

/// Carries whatever both say, until one of them ends or time is up.
async fn converse(ours: OnUpgrade, theirs: OnUpgrade, until: Instant, _kept: Kept) {
    let both = async {
        let (ours, theirs): (Upgraded, Upgraded) = tokio::try_join!(ours, theirs)?;
        let carried = tokio::io::copy_bidirectional(&mut TokioIo::new(ours), &mut TokioIo::new(theirs)).await;
        if let Err(error) = carried {
            tracing::debug!(%error, "a conversation with a container broke off");
        }
        Ok::<_, hyper::Error>(())
    };
    match timeout_at(until, both).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a conversation with a container did not begin"),
        Err(_) => tracing::debug!("a conversation with a container took longer than its timeout"),
    }
}

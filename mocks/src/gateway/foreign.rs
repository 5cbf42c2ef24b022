//! Traffic for hosts that are not ours: passed on unread, so that a process
//! behind the gateway keeps the rest of the internet.

use std::{io, pin::pin, time::Duration};

use axum::body::Body;
use http::{
    HeaderMap, HeaderName, Request, Response,
    header::{CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::TcpStream,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a host may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers about one connection, which a proxy must not pass on (RFC 9110, section 7.6.1).
const OF_ONE_CONNECTION: [HeaderName; 8] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Connects to a host of somebody else's.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))
    })??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Carries bytes both ways until both sides are done or the gateway stops.
///
/// Silence does not end a tunnel: what goes through it, and how long it may be idle,
/// is between its two ends.
pub(super) async fn tunnel(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut server: TcpStream,
    stopping: &CancellationToken,
) {
    let copy = copy_bidirectional(&mut client, &mut server);
    if let Some(Err(error)) = stopping.run_until_cancelled(copy).await {
        tracing::debug!(%error, "a tunnel broke off");
    }
}

/// Sends one plain-text request to its host, on a connection of its own.
pub(super) async fn forward(
    host: &str,
    port: u16,
    mut request: Request<Body>,
    tasks: &TaskTracker,
    abandoned: &CancellationToken,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = connect(host, port).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let abandoned = abandoned.clone();
    tasks.spawn(async move {
        // An error here is reported by the request or by the answer's body.
        let _ = abandoned.run_until_cancelled(pin!(connection)).await;
    });
    strip(request.headers_mut());
    let mut response = sender.send_request(request).await?;
    strip(response.headers_mut());
    Ok(response.map(Body::new))
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_ONE_CONNECTION) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_connection_are_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("accept-encoding", "gzip"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        strip(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["accept-encoding"]);
    }
}

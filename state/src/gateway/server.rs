//! The listener on this machine's loopback.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Response;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::door::Door;

/// An answer on its way.
pub(super) type Answer = Response<UnsyncBoxBody<Bytes, reqwest::Error>>;

/// How long a client may take to send a request's head, or stay silent between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(600);

/// How long to wait after a connection could not be accepted: some other has to end first.
const BREATH: Duration = Duration::from_millis(50);

/// Answers on an address of this machine until stopped; what has begun is ended under `work`.
pub(super) async fn serve(
    door: Arc<Door>,
    stop: CancellationToken,
    work: TaskTracker,
) -> io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    // Answers are small: waiting to fill packets costs 40 ms each.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection keeps its delay");
                    }
                    tokio::spawn(connection(stream, Arc::clone(&door), stop.clone(), work.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    });
    Ok(address)
}

async fn connection(stream: tokio::net::TcpStream, door: Arc<Door>, stop: CancellationToken, work: TaskTracker) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        // A task of its own: what became of a write has to be known, even if nobody waits for its answer any more.
        let answer = work.spawn(Arc::clone(&door).answer(request));
        async move { answer.await.map_err(io::Error::other) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "a connection to the state gateway ended early");
        }
    }
}

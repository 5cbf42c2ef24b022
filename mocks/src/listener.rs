//! A plain HTTP listener on this machine: for SDKs told another API address, and for tests.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Body;
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::front::Unheard;

/// How long a client may take to send a request's head, or stay silent between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

/// Why a connection was closed without an answer: a fault wanted it.
#[derive(Debug, thiserror::Error)]
#[error("a fault lost this answer")]
pub struct AnswerLost;

/// Listens on a loopback address and answers each request with `answer`, until cancelled.
///
/// # Errors
/// When the address cannot be had.
pub async fn listen<F>(address: SocketAddr, stop: CancellationToken, answer: F) -> io::Result<SocketAddr>
where
    F: Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync + 'static,
{
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let answer = Arc::new(answer);
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
                    let (answer, stop) = (Arc::clone(&answer), stop.clone());
                    let service = service_fn(move |request: Request<Incoming>| {
                        let answer = answer(request.map(Body::new));
                        async move {
                            let response = answer.await;
                            if response.extensions().get::<Unheard>().is_some() {
                                Err(AnswerLost)
                            } else {
                                Ok(response)
                            }
                        }
                    });
                    tokio::spawn(async move {
                        let connection = http1::Builder::new()
                            .timer(TokioTimer::new())
                            .header_read_timeout(HEAD_TIMEOUT)
                            .serve_connection(TokioIo::new(stream), service);
                        tokio::select! {
                            () = stop.cancelled() => {}
                            ended = connection => if let Err(error) = ended {
                                tracing::debug!(%error, "a connection ended early");
                            }
                        }
                    });
                }
                // Out of file descriptors, most likely: some connection has to end first.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(address)
}

//! Whether a container is well, seen from inside of its network.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper_util::rt::TokioIo;

use super::{Check, Container, Exit};

/// How long until it is looked again whether a port is listened on.
const LOOK: Duration = Duration::from_millis(10);

/// What is wrong with a container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unhealthy {
    /// It has ended.
    #[error("the container does not run: {0}")]
    Ended(Exit),
    /// Nobody listens where it should.
    #[error("not listening on port {port} within {within:?}")]
    NotListening {
        /// The port.
        port: u16,
        /// How long it was waited.
        within: Duration,
    },
    /// It only listens to itself.
    #[error("listening on port {port} of 127.0.0.1 only: listen on 0.0.0.0")]
    ListensToItself {
        /// The port.
        port: u16,
    },
    /// It does not answer as it should.
    #[error("health check failed: {0}")]
    Check(String),
    /// It has not come to answer as it should.
    #[error("startup check failed for {within:?}: {why}")]
    Startup {
        /// How long it was tried.
        within: Duration,
        /// What happened the last time.
        why: String,
    },
    /// It has written more than it may.
    #[error("it has {taken} bytes of local storage in use, its limit is {limit}")]
    Storage {
        /// How much there is.
        taken: u64,
        /// How much there may be.
        limit: u64,
    },
}

/// Waits until a container listens on its port.
pub async fn listening(container: &Container, port: u16, within: Duration) -> Result<(), Unhealthy> {
    let mut looks = tokio::time::interval(LOOK);
    let waiting = async {
        loop {
            looks.tick().await;
            if container.listens(port).await {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        exit = container.ended() => Err(Unhealthy::Ended(exit)),
        waited = tokio::time::timeout(within, waiting) => match waited {
            Ok(()) => Ok(()),
            Err(_) if container.connect_itself(port).await => Err(Unhealthy::ListensToItself { port }),
            Err(_) => Err(Unhealthy::NotListening { port, within }),
        },
    }
}

/// Tries once whether a container is well.
pub async fn check(container: &Container, port: u16, check: &Check, within: Duration) -> Result<(), Unhealthy> {
    let tried = async {
        match check {
            Check::Tcp if container.listens(port).await => Ok(()),
            Check::Tcp => Err(io::Error::other(format!("nobody listens on port {port}"))),
            Check::Http { path } => ask(container.connect(port).await?, path).await,
        }
    };
    tokio::select! {
        biased;
        exit = container.ended() => Err(Unhealthy::Ended(exit)),
        tried = tokio::time::timeout(within, tried) => match tried {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Unhealthy::Check(error.to_string())),
            Err(_) => Err(Unhealthy::Check(format!("no answer within {within:?}"))),
        },
    }
}

async fn ask(stream: tokio::net::TcpStream, path: &str) -> io::Result<()> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request = Request::get(path).header("host", "localhost").header("connection", "close");
    let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let answered = async {
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(io::Error::other(format!("GET {path} answered {status}")));
        }
        Ok(())
    };
    tokio::select! {
        answered = answered => answered,
        Err(error) = connection => Err(io::Error::other(error)),
    }
}

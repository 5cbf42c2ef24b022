//! Where a connection is made or awaited: this machine's own network, or a namespace.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    process::{Child, Command},
};

use super::Namespace;

/// A network to act in.
#[derive(Clone)]
pub enum Place {
    /// The machine's own.
    Host,
    /// That of a namespace.
    Within(Namespace),
}

/// What came of trying to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// To where.
    pub to: SocketAddr,
    /// What happened.
    pub reached: Reached,
    /// How long it took.
    pub took: Duration,
}

/// How an attempt to connect ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// Someone took the connection.
    Connected,
    /// The address answered that nobody listens.
    Refused,
    /// No answer in the time given.
    TimedOut,
    /// No way there, or another error of the network.
    Failed(String),
}

impl Place {
    /// Runs something here; see [`Namespace::run`].
    pub async fn run<T, F>(&self, what: F) -> io::Result<T>
    where
        F: FnOnce() -> io::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        match self {
            Self::Host => what(),
            Self::Within(space) => space.run(what).await,
        }
    }

    /// Connects from here.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.run(move || if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }).await?;
        socket.connect(to).await
    }

    /// Listens here.
    pub async fn listen(&self, at: SocketAddr) -> io::Result<TcpListener> {
        let listener = self
            .run(move || {
                let listener = std::net::TcpListener::bind(at)?;
                listener.set_nonblocking(true)?;
                Ok(listener)
            })
            .await?;
        TcpListener::from_std(listener)
    }

    /// A socket for datagrams here.
    pub async fn datagrams(&self, at: SocketAddr) -> io::Result<UdpSocket> {
        let socket = self
            .run(move || {
                let socket = std::net::UdpSocket::bind(at)?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .await?;
        UdpSocket::from_std(socket)
    }

    /// Starts a process here.
    pub async fn spawn(&self, mut command: Command) -> io::Result<Child> {
        self.run(move || command.spawn()).await
    }

    /// Tries to connect from here, and tells what came of it.
    pub async fn probe(&self, to: SocketAddr, patience: Duration) -> Probe {
        let began = Instant::now();
        let reached = match tokio::time::timeout(patience, self.connect(to)).await {
            Ok(Ok(_)) => Reached::Connected,
            Ok(Err(error)) => match error.kind() {
                io::ErrorKind::ConnectionRefused => Reached::Refused,
                io::ErrorKind::TimedOut => Reached::TimedOut,
                _ => Reached::Failed(error.to_string()),
            },
            Err(_) => Reached::TimedOut,
        };
        Probe { to, reached, took: began.elapsed() }
    }
}

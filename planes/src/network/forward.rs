//! Carries connections from one network to another, without a way between them.

use std::{io, net::SocketAddr};

use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::Place;

/// Where a connection that was taken is made to.
#[derive(Clone, Copy)]
enum Target {
    /// There.
    One(SocketAddr),
    /// To the address that it was meant for.
    AsMeant,
}

/// Takes connections in one place and makes them in another, for as long as it is held.
pub struct Forward {
    listens: SocketAddr,
    task: AbortOnDropHandle<()>,
}

impl Forward {
    /// Begins. When this returns, connections are taken.
    pub async fn start(from: &Place, at: SocketAddr, into: Place, to: SocketAddr) -> io::Result<Self> {
        Self::begin(from, at, into, Target::One(to)).await
    }

    /// Takes connections to whatever address the place holds for its own, and makes each to that same address.
    pub(super) async fn as_meant(from: &Place, at: SocketAddr, into: Place) -> io::Result<Self> {
        Self::begin(from, at, into, Target::AsMeant).await
    }

    async fn begin(from: &Place, at: SocketAddr, into: Place, target: Target) -> io::Result<Self> {
        let listener = from.listen(at).await?;
        let listens = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut carried = JoinSet::new();
            loop {
                tokio::select! {
                    taken = listener.accept() => match taken {
                        Ok((stream, _)) => {
                            let into = into.clone();
                            carried.spawn(async move { carry(stream, &into, target).await });
                        }
                        Err(error) => {
                            tracing::warn!(%listens, %error, "a connection could not be taken");
                            // Most often too many open files: one has to end first.
                            carried.join_next().await;
                        }
                    },
                    Some(_) = carried.join_next() => {}
                }
            }
        });
        Ok(Self { listens, task: AbortOnDropHandle::new(task) })
    }

    /// Ends it. When this returns, its address is free.
    pub async fn end(self) {
        let task = self.task.detach();
        task.abort();
        // It ends by being ended.
        let _ = task.await;
    }

    /// Where it listens, with the port it got.
    pub fn listens(&self) -> SocketAddr {
        self.listens
    }
}

async fn carry(mut stream: tokio::net::TcpStream, into: &Place, target: Target) {
    let to = match target {
        Target::One(to) => to,
        Target::AsMeant => match stream.local_addr() {
            Ok(to) => to,
            Err(error) => return tracing::debug!(%error, "a connection broke before it was carried"),
        },
    };
    match into.connect(to).await {
        Ok(mut far) => {
            // What is small is waited for, on both sides.
            for end in [&stream, &far] {
                if let Err(error) = end.set_nodelay(true) {
                    tracing::debug!(%to, %error, "a carried connection keeps its delay");
                }
            }
            if let Err(error) = tokio::io::copy_bidirectional(&mut stream, &mut far).await {
                tracing::debug!(%to, %error, "a carried connection broke");
            }
        }
        Err(error) => tracing::info!(%to, %error, "nothing there to carry a connection to"),
    }
}

//! Carries connections from one network to another, without a way between them.

use std::{io, net::SocketAddr};

use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::Place;

/// Takes connections in one place and makes them in another, for as long as it is held.
pub struct Forward {
    listens: SocketAddr,
    task: AbortOnDropHandle<()>,
}

impl Forward {
    /// Begins. When this returns, connections are taken.
    pub async fn start(from: &Place, at: SocketAddr, into: Place, to: SocketAddr) -> io::Result<Self> {
        let listener = from.listen(at).await?;
        let listens = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut carried = JoinSet::new();
            loop {
                tokio::select! {
                    taken = listener.accept() => match taken {
                        Ok((stream, _)) => {
                            let into = into.clone();
                            carried.spawn(async move { carry(stream, &into, to).await });
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

async fn carry(mut stream: tokio::net::TcpStream, into: &Place, to: SocketAddr) {
    match into.connect(to).await {
        Ok(mut far) => {
            if let Err(error) = tokio::io::copy_bidirectional(&mut stream, &mut far).await {
                tracing::debug!(%to, %error, "a carried connection broke");
            }
        }
        Err(error) => tracing::info!(%to, %error, "nothing there to carry a connection to"),
    }
}

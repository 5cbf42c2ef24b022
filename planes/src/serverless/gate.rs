//! Who keeps a server awake: it is started for the first connection, and ended some time after the last.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use super::Idle;

/// The server behind a listener.
#[async_trait::async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Sees to it that the server takes connections, and gives the socket it does so at. Asked for each connection:
    /// where it runs already there is nothing to do, where it died it is started again. Whoever waits for it may stop
    /// waiting; then it is asked again, or told to sleep.
    async fn wake(&self) -> io::Result<PathBuf>;
    /// Ends the server, if it runs; what it holds stays.
    async fn sleep(&self) -> io::Result<()>;
}

/// How a serverless database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Whether its server runs.
    pub awake: bool,
    /// For how many: who is logged in or about to be, and whoever else works on it.
    pub connections: usize,
}

/// Counts connections, and wakes the server for them.
pub(super) struct Gate {
    backend: Arc<dyn Backend>,
    state: watch::Sender<State>,
    /// Held while the server is started or ended.
    changing: Mutex<()>,
}

/// Keeps the server awake as long as it is held.
pub struct Awake {
    socket: PathBuf,
    _counted: Counted,
}

impl Awake {
    /// Where the server takes connections.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Counts one, until dropped.
struct Counted(Arc<Gate>);

impl Gate {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self { backend, state: watch::Sender::default(), changing: Mutex::default() })
    }

    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Goes through, which wakes the server.
    pub(super) async fn enter(self: &Arc<Self>) -> io::Result<Awake> {
        // Counted first: from now on nobody ends the server.
        self.state.send_modify(|state| state.connections += 1);
        let counted = Counted(Arc::clone(self));
        let _alone = self.changing.lock().await;
        // Said before it is so: whoever stops waiting leaves no server that is taken for one that does not run.
        let was_awake = self.set_awake(true);
        let socket = match self.backend.wake().await {
            Ok(socket) => socket,
            Err(error) => {
                if !was_awake {
                    self.backend.sleep().await?;
                    self.set_awake(false);
                }
                return Err(error);
            }
        };
        Ok(Awake { socket, _counted: counted })
    }

    /// Gives how it was before.
    fn set_awake(&self, awake: bool) -> bool {
        let mut was = awake;
        self.state.send_if_modified(|state| {
            was = std::mem::replace(&mut state.awake, awake);
            was != awake
        });
        was
    }

    /// The socket, if the server runs.
    pub(super) async fn awake(&self) -> Option<PathBuf> {
        let _alone = self.changing.lock().await;
        if !self.state.borrow().awake {
            return None;
        }
        self.backend.wake().await.ok()
    }

    /// Ends the server each time nobody was there for so long.
    pub(super) async fn doze(self: Arc<Self>, idle: Arc<dyn Idle>) {
        let mut state = self.state.subscribe();
        loop {
            if state.wait_for(|state| state.awake && state.connections == 0).await.is_err() {
                return;
            }
            tokio::select! {
                // Somebody came, and may have left again: from then on it counts anew.
                _ = state.changed() => continue,
                () = idle.over() => {}
            }
            if let Err(error) = self.rest(false).await {
                tracing::warn!(%error, "a serverless database's server was not ended");
            }
        }
    }

    /// Ends the server; where connections are left only if it is to end anyway.
    pub(super) async fn rest(&self, anyway: bool) -> io::Result<()> {
        let _alone = self.changing.lock().await;
        let now = *self.state.borrow();
        if !now.awake || (now.connections > 0 && !anyway) {
            return Ok(());
        }
        self.backend.sleep().await?;
        self.set_awake(false);
        Ok(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.connections -= 1);
    }
}

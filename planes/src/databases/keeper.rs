//! Who looks after one instance: makes what is wanted so, and its server live.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    Instance, Phase, Result, Status, config::Settings, engine::Engine, open::Shared, server::Server, standby::Standby,
};
use crate::network::{Forward, Place};

/// How long to wait before the next attempt to start a server that died, by how many were made.
const BACK_OFF: [u64; 6] = [0, 200, 1_000, 3_000, 10_000, 30_000];
/// A server that lived so long did not die of its start.
const STABLE: Duration = Duration::from_secs(30);

/// What a keeper is told.
pub(super) enum Order {
    /// Make this so, here.
    Apply(Box<Instance>, Place, oneshot::Sender<Result<Status>>),
    /// Start the server anew, as it is.
    Restart(oneshot::Sender<Result<Status>>),
    /// End the servers.
    Stop(oneshot::Sender<()>),
}

pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    /// The folder of the instance.
    pub(super) home: PathBuf,
    pub(super) sockets: PathBuf,
    pub(super) status: watch::Sender<Status>,
    pub(super) wanted: Option<Wanted>,
    pub(super) server: Option<Server>,
    pub(super) standby: Option<Standby>,
    /// The public endpoint, and where it leads to.
    pub(super) forward: Option<(SocketAddr, Forward)>,
    /// What this one follows, as it was seen last.
    pub(super) leader: Option<watch::Receiver<Status>>,
    pub(super) attempts: usize,
    pub(super) retry: Option<Instant>,
}

/// What is wanted, and what was found out about it.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) instance: Instance,
    pub(super) place: Place,
    pub(super) engine: Engine,
    pub(super) good: Settings,
    /// The address of this machine, or the place, that the public endpoint leads to.
    pub(super) door: Option<SocketAddr>,
    pub(super) port: u16,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, id: &str, status: watch::Sender<Status>) -> Self {
        Self {
            home: shared.home(id),
            sockets: shared.sockets(id),
            shared,
            status,
            wanted: None,
            server: None,
            standby: None,
            forward: None,
            leader: None,
            attempts: 0,
            retry: None,
        }
    }

    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Apply(instance, place, answer)) => {
                        let done = self.apply(*instance, place).await;
                        // Whoever asked may have stopped waiting.
                        let _ = answer.send(done);
                    }
                    Some(Order::Restart(answer)) => {
                        let done = self.restart().await;
                        let _ = answer.send(done);
                    }
                    Some(Order::Stop(answer)) => {
                        self.stop().await;
                        self.say(|status| status.phase = Phase::Stopped);
                        let _ = answer.send(());
                        return;
                    }
                    None => return,
                },
                end = ended(self.server.as_mut()) => self.server_ended(&end).await,
                end = ended(self.standby.as_mut().map(|standby| &mut standby.server)) => {
                    tracing::warn!(instance = %self.home.display(), %end, "the standby died");
                    self.standby_ended().await;
                }
                () = due(self.retry) => self.try_again().await,
                () = leader_changed(self.leader.as_mut()) => self.follow().await,
            }
        }
    }

    pub(super) fn say(&self, what: impl FnOnce(&mut Status)) {
        self.status.send_modify(what);
    }

    async fn stop(&mut self) {
        if let Some((_, forward)) = self.forward.take() {
            forward.end().await;
        }
        self.leader = None;
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        if let Some(standby) = self.standby.take() {
            standby.server.stop().await;
        }
    }

    async fn server_ended(&mut self, end: &str) {
        tracing::warn!(instance = %self.home.display(), %end, "the server died");
        if let Some(server) = self.server.take()
            && server.began.elapsed() > STABLE
        {
            self.attempts = 0;
        }
        if self.standby.as_ref().is_some_and(|standby| standby.synced) {
            match self.take_over().await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "the standby could not take over"),
            }
        }
        self.say(|status| status.phase = Phase::Restarting);
        self.wait();
    }

    /// Tries again later, the later the oftener it was tried.
    pub(super) fn wait(&mut self) {
        let pause = BACK_OFF.get(self.attempts).or(BACK_OFF.last()).copied().unwrap_or_default();
        self.attempts += 1;
        self.retry = Some(Instant::now() + Duration::from_millis(pause));
    }

    async fn try_again(&mut self) {
        self.retry = None;
        let Some(wanted) = self.wanted.clone() else { return };
        if self.server.is_none() {
            if let Err(error) = self.start(&wanted).await {
                self.say(|status| status.phase = Phase::Error { message: error.to_string() });
                return self.wait();
            }
            self.say(|status| {
                status.restarts += 1;
                status.phase = Phase::Ready;
            });
        }
        if let Err(error) = self.settle_standby().await {
            tracing::warn!(%error, "no standby could be made");
            self.wait();
        }
    }
}

async fn ended(server: Option<&mut Server>) -> String {
    match server {
        Some(server) => server.ended().await,
        None => std::future::pending().await,
    }
}

async fn due(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn leader_changed(leader: Option<&mut watch::Receiver<Status>>) {
    let changed = match leader {
        Some(leader) => leader.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending().await
    }
}

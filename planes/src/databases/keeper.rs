//! Who looks after one instance: makes what is wanted so, and its server live.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    Error, Instance, Phase, Result, Status,
    config::{self, Part, Settings},
    engine::{Engine, nearest},
    files,
    open::Shared,
    roles, server::{Server, Start}, settings, sql::MAIN, standby::{self, Standby}, template,
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
    forward: Option<(SocketAddr, Forward)>,
    /// What this one follows, as it was seen last.
    pub(super) leader: Option<watch::Receiver<Status>>,
    attempts: usize,
    retry: Option<Instant>,
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

    async fn apply(&mut self, instance: Instance, place: Place) -> Result<Status> {
        let before = self.wanted.as_ref().filter(|_| self.server.is_some()).map(|wanted| wanted.instance.clone());
        let done = self.make(before.as_ref(), instance, place).await;
        if let Err(error) = &done {
            self.say(|status| status.phase = Phase::Error { message: error.to_string() });
        }
        done.map(|()| self.status.borrow().clone())
    }

    async fn make(&mut self, before: Option<&Instance>, instance: Instance, place: Place) -> Result<()> {
        files::folder(&self.home, &self.shared.account)?;
        files::folder(&self.sockets, &self.shared.account)?;
        let there = standby::current(&self.home);
        let version = std::fs::read_to_string(there.join("PG_VERSION")).ok();
        let version = version.and_then(|version| version.trim().parse().ok()).unwrap_or(instance.version);
        let engine = nearest(&self.shared.engines, version)?.clone();
        let template = template::ready(&self.shared.templates, &engine).await?;
        let (good, mut problems) = match &self.wanted {
            Some(had) if had.instance.settings == instance.settings => {
                let bad = |name: &String| instance.settings.contains_key(name);
                let bad = self.status.borrow().problems.clone().into_iter().filter(|(name, _)| bad(name)).collect();
                (had.good.clone(), bad)
            }
            _ => settings::sort(&engine, &template, &instance.settings).await?,
        };
        if engine.major != instance.version {
            let told = format!("{} is wanted, {} runs: the nearest this machine has", instance.version, engine.version);
            problems.insert("version".to_owned(), told);
        }
        let moved = self.wanted.as_ref().is_some_and(|had| !same_place(&had.place, &place));
        let (port, door) = self.addresses(&instance, &place).await?;
        let wanted = Wanted { instance, place, engine, good, door, port };
        let account = wanted.engine.account;
        files::write(&self.home.join("tls.crt"), &wanted.instance.certificate, &account)?;
        let changed = before.is_none_or(|before| {
            (&before.certificate, &before.key) != (&wanted.instance.certificate, &wanted.instance.key)
        });
        files::write(&self.home.join("tls.key"), &wanted.instance.key.0, &account)?;
        self.say(|status| status.version = Some(wanted.engine.version.clone()));
        self.wanted = Some(wanted.clone());
        if !there.join("PG_VERSION").exists() {
            self.fill(&wanted, &template, &there).await?;
        }
        // Before the settings change: while it follows, it needs those of the one it followed.
        if let Some(server) = self.server.as_ref().filter(|_| wanted.instance.replica_of.is_none()) {
            standby::promote(server).await?;
        }
        self.serve(&wanted, moved, changed).await?;
        if wanted.instance.replica_of.is_none() {
            let server = self.server.as_ref().ok_or(Error::Stopped)?;
            standby::promote(server).await?;
            self.leader = None;
            problems.extend(roles::apply(&wanted.instance, before, &self.home, &self.sockets, &account).await?);
        } else {
            self.follow().await;
        }
        self.settle_standby().await?;
        self.open_door().await?;
        self.attempts = 0;
        self.retry = None;
        self.say(|status| {
            status.problems = problems;
            status.phase = Phase::Ready;
        });
        Ok(())
    }

    /// Fills the data folder of a new instance.
    async fn fill(&self, wanted: &Wanted, template: &Path, to: &Path) -> Result<()> {
        let new = self.home.join("new");
        files::remove(&new)?;
        let (account, instance) = (wanted.engine.account, &wanted.instance);
        if let Some(leader) = &instance.replica_of {
            self.shared.ready(leader).await?;
            standby::base(&wanted.engine, &self.shared.sockets(leader), &new).await?;
        } else {
            let from = match &instance.snapshot {
                Some(name) => self.shared.snapshot(name)?,
                None => template.to_owned(),
            };
            let target = new.clone();
            files::aside(move || files::copy(&from, &target, &account)).await?;
        }
        std::fs::rename(&new, to).map_err(Error::machine("naming the data folder"))
    }

    /// Starts the server, or tells the one that runs what changed.
    async fn serve(&mut self, wanted: &Wanted, moved: bool, changed: bool) -> Result<()> {
        let waits_for = self.standby.as_ref().filter(|standby| standby.synced).map(|_| standby::NAME);
        let (settings, access) = (self.settings(wanted, waits_for).await?, config::access(&wanted.instance));
        if let Some(server) = &mut self.server {
            if !moved && !server.needs_restart(&settings).await? {
                let there = std::fs::read_to_string(server.data.join("pg_hba.conf")).unwrap_or_default();
                if changed || settings != server.settings || access != there {
                    server.reload(&wanted.engine, settings, &access).await?;
                }
                return Ok(());
            }
            self.say(|status| status.phase = Phase::Restarting);
        }
        self.dismiss_standby().await?;
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        self.start(wanted).await
    }

    /// Starts the server that takes connections.
    pub(super) async fn start(&mut self, wanted: &Wanted) -> Result<()> {
        let waits_for = self.standby.as_ref().filter(|standby| standby.synced).map(|_| standby::NAME);
        let data = standby::current(&self.home);
        if let Some(leader) = &wanted.instance.replica_of {
            files::write(&data.join("standby.signal"), "", &wanted.engine.account)?;
            self.shared.ready(leader).await?;
        }
        let start = Start {
            engine: &wanted.engine,
            place: &wanted.place,
            data,
            sockets: &self.sockets,
            number: MAIN,
            log: self.home.join("log"),
            settings: self.settings(wanted, waits_for).await?,
            access: config::access(&wanted.instance),
        };
        self.server = Some(Server::start(start).await?);
        Ok(())
    }

    pub(super) async fn settings(&self, wanted: &Wanted, waits_for: Option<&str>) -> Result<Settings> {
        let instance = &wanted.instance;
        let mut listens: Vec<IpAddr> = wanted.door.iter().map(SocketAddr::ip).collect();
        listens.extend(instance.private.iter().flat_map(|private| &private.addresses));
        listens.dedup();
        let leader = instance.replica_of.as_ref().map(|leader| self.shared.sockets(leader));
        let name = format!("replica_{}", super::open::short(&instance.id));
        let part = Part {
            home: &self.home,
            sockets: &self.sockets,
            listens: &listens,
            port: wanted.port,
            follows: leader.as_deref().map(|sockets| (sockets, name.as_str())),
            waits_for,
        };
        let mut all = config::settings(instance, &wanted.good, &part);
        match &leader {
            Some(leader) => standby::at_least(&mut all, leader).await?,
            None => standby::carry(&mut all, &standby::current(&self.home)),
        }
        Ok(all)
    }

    /// The server's port, and where the public endpoint leads to.
    async fn addresses(&self, instance: &Instance, place: &Place) -> Result<(u16, Option<SocketAddr>)> {
        let loopback = match place {
            Place::Within(_) => Ipv4Addr::LOCALHOST,
            // One of its own, so that no other server of this machine is in the way.
            Place::Host => {
                let [a, b, c, _] = super::open::digest(&format!("{}{}", self.sockets.display(), instance.id));
                Ipv4Addr::new(127, a.clamp(1, 254), b, c.clamp(2, 254))
            }
        };
        let port = match (&instance.private, place, self.wanted.as_ref()) {
            (Some(private), ..) => private.port,
            (None, _, Some(had)) if had.instance.private.is_none() && same_place(&had.place, place) => had.port,
            (None, Place::Within(_), _) => 5432,
            (None, Place::Host, _) => {
                let free = place.listen(SocketAddr::new(loopback.into(), 0)).await;
                let free = free.and_then(|free| free.local_addr());
                free.map_err(Error::machine(format!("looking for a free port of {loopback}")))?.port()
            }
        };
        Ok((port, instance.public.map(|_| SocketAddr::new(loopback.into(), port))))
    }

    /// Opens the public endpoint, moves or closes it.
    async fn open_door(&mut self) -> Result<()> {
        let Some(wanted) = &self.wanted else { return Ok(()) };
        let (Some(public), Some(door)) = (wanted.instance.public, wanted.door) else {
            if let Some((_, forward)) = self.forward.take() {
                forward.end().await;
            }
            self.say(|status| status.public = None);
            return Ok(());
        };
        let fits = |at: SocketAddr| at == public || (public.port() == 0 && at.ip() == public.ip());
        if let Some((to, forward)) = &self.forward
            && *to == door
            && fits(forward.listens())
        {
            return Ok(());
        }
        // The port it had is kept where any will do.
        let mut at = public;
        if let Some((_, forward)) = self.forward.take() {
            at = Some(forward.listens()).filter(|had| fits(*had)).unwrap_or(public);
            forward.end().await;
        }
        let forward = Forward::start(&Place::Host, at, wanted.place.clone(), door)
            .await
            .map_err(Error::machine(format!("listening on {public}")))?;
        self.say(|status| status.public = Some(forward.listens()));
        self.forward = Some((door, forward));
        Ok(())
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

fn same_place(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Host, Place::Host) => true,
        (Place::Within(one), Place::Within(other)) => matches!((one.inode(), other.inode()), (Ok(a), Ok(b)) if a == b),
        _ => false,
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

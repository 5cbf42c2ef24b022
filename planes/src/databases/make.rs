//! Making an instance what is wanted.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use super::{
    Error, Instance, Phase, Result, Status,
    config::{self, Part, Settings},
    door::same_place,
    engine::nearest,
    files,
    keeper::{Keeper, Wanted},
    roles,
    server::{Server, Start},
    settings,
    sql::MAIN,
    standby, template,
};
use crate::network::Place;

impl Keeper {
    /// Makes it so, and tells how it is.
    pub(super) async fn apply(&mut self, instance: Instance, place: Place) -> Result<Status> {
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
        self.begin_anew(wanted).await
    }

    async fn begin_anew(&mut self, wanted: &Wanted) -> Result<()> {
        self.dismiss_standby().await?;
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        self.start(wanted).await
    }

    /// Starts the server anew, in order: nothing changes but its process.
    pub(super) async fn restart(&mut self) -> Result<Status> {
        let wanted = self.wanted.clone().ok_or(Error::Stopped)?;
        self.say(|status| status.phase = Phase::Restarting);
        let done = match self.begin_anew(&wanted).await {
            Ok(()) => self.settle_standby().await,
            failed => failed,
        };
        match done {
            Ok(()) => self.say(|status| status.phase = Phase::Ready),
            Err(error) => {
                self.say(|status| status.phase = Phase::Error { message: error.to_string() });
                self.wait();
                return Err(error);
            }
        }
        Ok(self.status.borrow().clone())
    }

    /// Starts the server that takes connections.
    pub(super) async fn start(&mut self, wanted: &Wanted) -> Result<()> {
        let waits_for = self.standby.as_ref().filter(|standby| standby.synced).map(|_| standby::NAME);
        let data = standby::current(&self.home);
        if let Some(leader) = &wanted.instance.replica_of {
            files::write(&data.join("standby.signal"), "", &wanted.engine.account)?;
            self.shared.ready(leader).await?;
        }
        // The server is content with any one of its addresses; here it is all of them.
        let private = wanted.instance.private.iter().flat_map(|private| &private.addresses).copied();
        for address in private.chain(wanted.door.map(|door| door.ip())) {
            let at = SocketAddr::new(address, wanted.port);
            wanted.place.listen(at).await.map_err(Error::machine(format!("listening on {at}")))?;
        }
        let start = Start {
            engine: &wanted.engine,
            place: &wanted.place,
            log: standby::log(&data),
            data,
            sockets: &self.sockets,
            number: MAIN,
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
}

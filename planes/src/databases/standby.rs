//! Servers that follow another: the standby of an instance, and replicas.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Error, Phase, Result,
    config::{self, Settings},
    engine::Engine,
    files,
    keeper::Keeper,
    server::{Server, Start},
    sql::{MAIN, PLANE, STANDBY, Session},
    template::finished,
};

/// What the standby calls itself.
pub(super) const NAME: &str = "standby";
/// How long a follower may take to have caught up.
const CATCH_UP: Duration = Duration::from_secs(30);
/// How long one that cannot follow any more is given before it is made anew.
const LOST: Duration = Duration::from_secs(8);
/// What a follower must have no less of than whom it follows.
const AT_LEAST: &[&str] = &[
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];

/// A second server.
pub(super) struct Standby {
    pub(super) server: Server,
    /// Whether it has every commit that was acknowledged.
    pub(super) synced: bool,
}

/// The data folder of the server that takes connections.
pub(super) fn current(home: &Path) -> PathBuf {
    home.join(if home.join("second").exists() { "b" } else { "a" })
}

/// The log of the server of a data folder.
pub(super) fn log(data: &Path) -> PathBuf {
    let slot = data.file_name().unwrap_or_default().display().to_string();
    data.with_file_name(format!("log-{slot}"))
}

/// That of the other one.
fn other(home: &Path) -> PathBuf {
    home.join(if home.join("second").exists() { "a" } else { "b" })
}

/// Copies a running server's data.
pub(super) async fn base(engine: &Engine, sockets: &Path, to: &Path) -> Result<()> {
    let mut program = engine.program("pg_basebackup");
    program.arg("-h").arg(sockets).args(["-p", &MAIN.to_string(), "-U", PLANE, "-w", "-D"]).arg(to);
    program.args(["--no-sync", "--no-manifest", "--checkpoint=fast", "--wal-method=stream"]);
    finished("pg_basebackup", program.output().await)
}

/// Lets a server that follows go on by itself.
pub(super) async fn promote(server: &Server) -> Result<()> {
    let session = server.session("postgres").await?;
    let step = "letting the server take over";
    if session.column(step, "SELECT pg_is_in_recovery()").await? == ["f"] {
        return Ok(());
    }
    if session.column(step, "SELECT pg_promote(true, 14)").await? != ["t"] {
        return Err(Error::Wrong("the server did not take over in time".to_owned()));
    }
    Ok(())
}

/// Raises what must be no less than at the one followed.
pub(super) async fn at_least(settings: &mut Settings, leader: &Path) -> Result<()> {
    let session = Session::open(leader, MAIN, "postgres").await?;
    for name in AT_LEAST {
        let step = "reading the settings of the instance followed";
        let there = session.column(step, &format!("SELECT current_setting('{name}')")).await?.pop().unwrap_or_default();
        let number = |text: &str| text.parse::<u64>().unwrap_or_default();
        if number(&there) > settings.get(*name).map_or(0, |here| number(here)) {
            settings.insert((*name).to_owned(), there);
        }
    }
    Ok(())
}

/// Keeps what a server that followed until it was stopped needs for its last steps as a follower.
pub(super) fn carry(settings: &mut Settings, data: &Path) {
    if !data.join("standby.signal").exists() {
        return;
    }
    let had = std::fs::read_to_string(data.join("postgresql.conf")).unwrap_or_default();
    for (name, value) in had.lines().filter_map(|line| line.split_once(" = ")) {
        let number = |text: &str| text.trim_matches('\'').parse::<u64>().unwrap_or_default();
        if AT_LEAST.contains(&name) && number(value) > settings.get(name).map_or(0, |here| number(here)) {
            settings.insert(name.to_owned(), number(value).to_string());
        }
    }
}

impl Keeper {
    /// Makes a standby where one is wanted and missing, and ends it where not.
    pub(super) async fn settle_standby(&mut self) -> Result<()> {
        let Some(wanted) = self.wanted.clone() else { return Ok(()) };
        if !wanted.instance.standby || wanted.instance.replica_of.is_some() {
            return self.dismiss_standby().await;
        }
        let synced = match &self.standby {
            Some(standby) if standby.synced => return Ok(()),
            Some(_) => true,
            None => false,
        };
        if !synced {
            let data = other(&self.home);
            files::remove(&data)?;
            base(&wanted.engine, &self.sockets, &data).await?;
            files::write(&data.join("standby.signal"), "", &wanted.engine.account)?;
            let mut settings = self.settings(&wanted, None).await?;
            settings.insert("listen_addresses".to_owned(), String::new());
            settings.insert("port".to_owned(), STANDBY.to_string());
            settings.insert(
                "primary_conninfo".to_owned(),
                format!("host='{}' port={MAIN} user={PLANE} application_name={NAME}", self.sockets.display()),
            );
            let start = Start {
                engine: &wanted.engine,
                place: &wanted.place,
                log: log(&data),
                data,
                sockets: &self.sockets,
                number: STANDBY,
                settings,
                access: config::access(&wanted.instance),
            };
            self.standby = Some(Standby { server: Server::start(start).await?, synced: false });
        }
        self.wait_for_standby(true).await?;
        let session = Session::open(&self.sockets, MAIN, "postgres").await?;
        let step = "waiting for the standby to have every commit";
        let query = format!(
            "SELECT count(*) > 0 FROM pg_stat_replication WHERE application_name = '{NAME}' AND sync_state = 'sync'"
        );
        session.until(step, &query, CATCH_UP).await?;
        if let Some(standby) = &mut self.standby {
            standby.synced = true;
        }
        self.say(|status| status.standby = true);
        Ok(())
    }

    /// Whether a commit is acknowledged only when the standby has it.
    async fn wait_for_standby(&mut self, wait: bool) -> Result<()> {
        let (Some(wanted), Some(mut server)) = (self.wanted.clone(), self.server.take()) else { return Ok(()) };
        let settings = self.settings(&wanted, wait.then_some(NAME)).await;
        let done = match settings {
            Ok(settings) => server.reload(&wanted.engine, settings, &config::access(&wanted.instance)).await,
            Err(error) => Err(error),
        };
        self.server = Some(server);
        done
    }

    /// Ends the standby, if there is one.
    pub(super) async fn dismiss_standby(&mut self) -> Result<()> {
        let Some(mut standby) = self.standby.take() else { return Ok(()) };
        // From now on commits may be acknowledged that it has not.
        standby.synced = false;
        self.say(|status| status.standby = false);
        let done = self.wait_for_standby(false).await;
        standby.server.stop().await;
        files::remove(&other(&self.home))?;
        done
    }

    /// The standby's process ended: commits go on without, and another one is made.
    pub(super) async fn standby_ended(&mut self) {
        let done = self.dismiss_standby().await;
        let done = match done {
            Ok(()) => self.settle_standby().await,
            failed => failed,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "no standby could be made");
            self.wait();
        }
    }

    /// The first server died: the standby takes its place and addresses, and gets a standby of its own.
    pub(super) async fn take_over(&mut self) -> Result<()> {
        let (Some(wanted), Some(standby)) = (self.wanted.clone(), self.standby.take()) else {
            return Err(Error::Wrong("there is no standby".to_owned()));
        };
        self.say(|status| {
            status.phase = Phase::FailedOver;
            status.standby = false;
        });
        if let Err(error) = promote(&standby.server).await {
            // The first one's data has every commit: it is started again.
            standby.server.stop().await;
            return Err(error);
        }
        let mark = self.home.join("second");
        let marked = if mark.exists() {
            files::remove(&mark)
        } else {
            files::write(&mark, "", &wanted.engine.account).map(drop)
        };
        standby.server.stop().await;
        marked?;
        self.start(&wanted).await?;
        self.say(|status| {
            status.failovers += 1;
            status.phase = Phase::Ready;
        });
        if let Err(error) = self.settle_standby().await {
            tracing::warn!(%error, "no standby could be made");
            self.wait();
        }
        Ok(())
    }

    /// Sees to it that a replica follows; makes it anew where it cannot.
    pub(super) async fn follow(&mut self) {
        let Some(wanted) = self.wanted.clone() else { return };
        let Some(leader) = &wanted.instance.replica_of else { return };
        if self.leader.is_none() {
            self.leader = self.shared.watch(leader);
        }
        let ready = self.leader.as_mut().is_some_and(|leader| leader.borrow_and_update().phase == Phase::Ready);
        let Some(server) = self.server.as_ref().filter(|_| ready) else { return };
        let follows = match server.session("postgres").await {
            Ok(session) => {
                let query = "SELECT count(*) > 0 FROM pg_stat_wal_receiver WHERE status = 'streaming'";
                session.until("waiting for the replica to follow", query, LOST).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = follows {
            tracing::info!(instance = %self.home.display(), %error, "the replica is made anew");
            if let Err(error) = self.refill().await {
                tracing::warn!(%error, "the replica could not be made anew");
                self.say(|status| status.phase = Phase::Error { message: error.to_string() });
                self.wait();
            }
        }
    }

    /// Makes a replica anew from the one it follows.
    async fn refill(&mut self) -> Result<()> {
        let Some(wanted) = self.wanted.clone() else { return Ok(()) };
        let Some(leader) = &wanted.instance.replica_of else { return Ok(()) };
        self.say(|status| status.phase = Phase::Restarting);
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        let data = current(&self.home);
        let new = self.home.join("new");
        files::remove(&new)?;
        base(&wanted.engine, &self.shared.sockets(leader), &new).await?;
        files::remove(&data)?;
        std::fs::rename(&new, &data).map_err(Error::machine("naming the data folder"))?;
        self.start(&wanted).await?;
        self.say(|status| status.phase = Phase::Ready);
        Ok(())
    }
}

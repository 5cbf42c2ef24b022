//! Serverless databases: the listeners of their endpoints, the servers behind, and their backups.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use serde::Serialize;
use stackproof_planes::{
    databases::{Databases, Instance, Phase, Secret},
    network::Place,
    serverless::{Awake, Backend, Certificate, Idle, Listener, Logins, State, Verdict},
};
use tokio::{net::UnixStream, sync::watch};

use super::{
    Task,
    unit::{self, Units},
};
use crate::{
    gateway::Authority,
    kernel::{Blobs, Cloud, Record, Store, Tables},
    object::Kept,
    services::{sdb_backup as backup, sdb_login, sdb_plane as plane},
};

/// How long a server is awake for nobody, on the cloud's clock (documented).
const IDLE: Duration = Duration::from_secs(300);
/// How long a server that died may take until it is there again.
const RETURN: Duration = Duration::from_secs(30);
/// How many can be logged in at once.
const MOST: u32 = 100;

/// Where a host that speaks another protocol than HTTP answers on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// The name that clients know it by, and that its certificate has.
    pub host: String,
    /// The port that clients know.
    pub port: u16,
    /// The address of this machine.
    pub address: SocketAddr,
}

/// All serverless databases and their backups.
pub(super) struct Serverless {
    open: Arc<Open>,
    databases: Units<Plane>,
    backups: Units<Backups>,
}

impl Serverless {
    pub(super) fn new(
        databases: &Arc<Databases>,
        authority: &Arc<Authority>,
        blobs: &Blobs,
        cloud: &Arc<Cloud>,
    ) -> Self {
        let open = Arc::new(Open(watch::Sender::default()));
        let plane = Plane {
            databases: Arc::clone(databases),
            authority: Arc::clone(authority),
            blobs: blobs.clone(),
            cloud: Arc::downgrade(cloud),
            open: Arc::clone(&open),
        };
        let backups = Backups {
            databases: Arc::clone(databases),
            blobs: blobs.clone(),
            cloud: Arc::downgrade(cloud),
            open: Arc::clone(&open),
        };
        Self { open, databases: Units::new(plane, cloud), backups: Units::new(backups, cloud) }
    }

    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        let at = |one: &Arc<Running>| Endpoint {
            host: one.host.clone(),
            port: plane::PORT,
            address: one.listener.listens(),
        };
        self.open.0.borrow().values().map(at).collect()
    }

    pub(super) fn update(&self) {
        self.databases.update();
        self.backups.update();
    }

    pub(super) fn holds(&self, tables: &Tables, kind: &str, key: &str) -> bool {
        self.databases.holds(tables, kind, key) || self.backups.holds(tables, kind, key)
    }

    pub(super) async fn reached(&self, keys: &[String]) {
        self.databases.reached(keys).await;
        self.backups.reached(keys).await;
    }

    /// Ends all listeners and the servers behind; what they hold stays.
    pub(super) async fn stop(&self) {
        let open = self.open.0.send_replace(BTreeMap::new());
        futures::future::join_all(open.values().map(|one| one.stop())).await;
    }
}

/// The databases that take connections.
struct Open(watch::Sender<BTreeMap<String, Arc<Running>>>);

impl Open {
    fn get(&self, key: &str) -> Option<Arc<Running>> {
        self.0.borrow().get(key).cloned()
    }

    /// Waits for one that is about to take connections.
    async fn wait(&self, key: &str) -> Option<Arc<Running>> {
        let mut open = self.0.subscribe();
        let waited = tokio::time::timeout(RETURN, open.wait_for(|open| open.contains_key(key))).await;
        waited.ok()?.ok()?.get(key).cloned()
    }
}

/// A database that takes connections.
struct Running {
    listener: Listener,
    server: Arc<Server>,
    host: String,
    /// Held where the server is never to sleep.
    always: Mutex<Option<Awake>>,
    _told: Task,
}

impl Running {
    async fn stop(&self) {
        self.always.lock().take();
        if let Err(error) = self.listener.stop().await {
            tracing::warn!(host = self.host, %error, "a serverless database's server was not ended");
        }
    }
}

struct Plane {
    databases: Arc<Databases>,
    authority: Arc<Authority>,
    blobs: Blobs,
    cloud: Weak<Cloud>,
    open: Arc<Open>,
}

impl Plane {
    async fn open(&self, key: &str, wanted: &plane::Wanted) -> Result<Arc<Running>, String> {
        let cloud = self.cloud.upgrade().ok_or("the cloud is gone")?;
        let (chain, pem) = self.authority.certificate(&wanted.host).map_err(|error| error.to_string())?;
        let certificate = Certificate { chain, key: pem };
        let server = Arc::new(Server {
            databases: Arc::clone(&self.databases),
            wanted: instance(key, &wanted.name, &certificate),
        });
        let door: Arc<dyn Logins> = Arc::new(Door { cloud: self.cloud.clone(), key: key.to_owned() });
        let idle: Arc<dyn Idle> = Arc::new(Patience { store: Arc::clone(cloud.store()) });
        let backend = Arc::clone(&server) as Arc<dyn Backend>;
        let known = cloud.store().read(|tables| plane::listens_at(tables.get(plane::KIND, key)?));
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        // The address it had, where that is still free.
        let mut listening = Err("there is no address to listen at".to_owned());
        for at in known.into_iter().chain([any]) {
            let (door, backend, idle) = (Arc::clone(&door), Arc::clone(&backend), Arc::clone(&idle));
            let started = Listener::start(&Place::Host, at, &certificate, door, backend, idle).await;
            listening = started.map_err(|error| error.to_string());
            if listening.is_ok() {
                break;
            }
        }
        let listener = listening?;
        let told = tell(self.cloud.clone(), key.to_owned(), listener.listens(), listener.state());
        let running = Arc::new(Running {
            server,
            host: wanted.host.clone(),
            always: Mutex::default(),
            _told: Task::new(tokio::spawn(told)),
            listener,
        });
        self.open.0.send_modify(|open| {
            open.insert(key.to_owned(), Arc::clone(&running));
        });
        Ok(running)
    }

    /// Puts the content of a file in the place of what a database has.
    async fn restore(&self, key: &str, name: &str, running: &Running, content: &Kept) -> Result<(), String> {
        let awake = running.listener.awake().await.map_err(|error| error.to_string())?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = folder.path().join("content");
        let (content, blobs, to) = (content.clone(), self.blobs.clone(), file.clone());
        aside(move || std::fs::write(to, content.bytes(&blobs)?)).await?;
        self.databases.replace(key, name, &file).await.map_err(|error| error.to_string())?;
        running.server.apply().await.map_err(|error| error.to_string())?;
        drop(awake);
        Ok(())
    }
}

#[async_trait::async_trait]
impl unit::Plane for Plane {
    const KIND: &'static str = plane::KIND;
    type Wanted = plane::Wanted;

    fn wanted(&self, _: &Tables, key: &str, record: &Record) -> Option<plane::Wanted> {
        plane::wanted(key, record)
    }

    async fn apply(&self, key: &str, wanted: &plane::Wanted) -> Result<(), String> {
        let new = !self.databases.kept().iter().any(|kept| kept == key);
        let running = match self.open.get(key) {
            Some(running) => running,
            None => self.open(key, wanted).await?,
        };
        if let Some(content) = &wanted.restore {
            self.restore(key, &wanted.name, &running, content).await?;
        } else if new {
            // It is made now, so that what keeps it from being made is told now.
            drop(running.listener.awake().await.map_err(|error| error.to_string())?);
        }
        let had = if wanted.always {
            let awake = running.listener.awake().await.map_err(|error| error.to_string())?;
            running.always.lock().replace(awake)
        } else {
            running.always.lock().take()
        };
        drop(had);
        if new {
            running.listener.rest().await.map_err(|error| error.to_string())?;
        }
        let Some(cloud) = self.cloud.upgrade() else { return Ok(()) };
        let (listens, awake) = (running.listener.listens(), running.listener.state().borrow().awake);
        let told = cloud.report(plane::KIND, key, |record| {
            let restored = wanted.restore.is_some();
            if restored {
                plane::restored(record);
            }
            (plane::told(record, listens, awake) || restored).then_some("endpoint")
        });
        told.map_err(|refusal| refusal.to_string())
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        let mut running = None;
        self.open.0.send_modify(|open| running = open.remove(key));
        if let Some(running) = running {
            running.stop().await;
        }
        self.databases.remove(key).await.map_err(|error| error.to_string())
    }

    fn failed(&self, record: &mut Record, _: &str) {
        plane::failed(record);
    }
}

fn instance(key: &str, name: &str, certificate: &Certificate) -> Instance {
    Instance {
        id: key.to_owned(),
        version: plane::VERSION,
        // Nobody is shown them: no network leads to the server.
        certificate: certificate.chain.clone(),
        key: Secret(certificate.key.clone()),
        settings: BTreeMap::new(),
        users: Vec::new(),
        databases: vec![plane::database(name)],
        privileges: Vec::new(),
        local_roles: plane::roles(),
        acl: Vec::new(),
        public: None,
        private: None,
        max_connections: MOST,
        standby: false,
        replica_of: None,
        snapshot: None,
    }
}

/// The server behind a listener.
struct Server {
    databases: Arc<Databases>,
    wanted: Instance,
}

impl Server {
    async fn apply(&self) -> io::Result<()> {
        let status = self.databases.apply(self.wanted.clone(), Place::Host).await.map_err(io::Error::other)?;
        for (what, problem) in &status.problems {
            // The nearest version will do.
            if what != "version" {
                return Err(io::Error::other(format!("{what}: {problem}")));
            }
            tracing::info!(key = self.wanted.id, problem, "a serverless database runs another version");
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Backend for Server {
    async fn wake(&self) -> io::Result<PathBuf> {
        let (key, socket) = (self.wanted.id.as_str(), self.databases.socket(&self.wanted.id));
        let Ok(mut status) = self.databases.watch(key) else {
            self.apply().await?;
            return Ok(socket);
        };
        // Where it died, it is started again by itself. That it has died may not be known yet.
        let back = async {
            let known = status.wait_for(|status| status.phase == Phase::Ready).await.map(|status| status.restarts);
            let known = known.map_err(io::Error::other)?;
            if UnixStream::connect(&socket).await.is_err() {
                let again = status.wait_for(|status| status.phase == Phase::Ready && status.restarts > known).await;
                again.map_err(io::Error::other)?;
            }
            Ok::<_, io::Error>(())
        };
        tokio::time::timeout(RETURN, back).await.map_err(|_| io::Error::other("it does not come back"))??;
        Ok(socket)
    }

    async fn sleep(&self) -> io::Result<()> {
        // Whoever waits for it may stop waiting: it is ended in order nevertheless.
        let (databases, key) = (Arc::clone(&self.databases), self.wanted.id.clone());
        let ended = tokio::spawn(async move { databases.rest(&key).await });
        ended.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

/// Asks IAM who may log in.
struct Door {
    cloud: Weak<Cloud>,
    key: String,
}

#[async_trait::async_trait]
impl Logins for Door {
    async fn check(&self, user: &str, password: &str, database: &str) -> Verdict {
        match self.cloud.upgrade() {
            Some(cloud) => sdb_login(&cloud, &self.key, user, password, database),
            None => Verdict::Unavailable { reason: "the local cloud is stopping".into() },
        }
    }
}

/// Five minutes of the cloud's clock, which can be turned.
struct Patience {
    store: Arc<Store>,
}

#[async_trait::async_trait]
impl Idle for Patience {
    async fn over(&self) {
        let clock = self.store.clock();
        let mut advanced = clock.advanced();
        let until = clock.now() + IDLE;
        loop {
            advanced.mark_unchanged();
            let Ok(left) = Duration::try_from(until - clock.now()) else { return };
            if left.is_zero() {
                return;
            }
            let passed = async {
                match clock.profile() {
                    crate::kernel::Profile::Manual => std::future::pending().await,
                    _ => tokio::time::sleep(left).await,
                }
            };
            tokio::select! {
                // Its sender is the store's own.
                _ = advanced.changed() => {}
                () = passed => {}
            }
        }
    }
}

/// Tells whether a database's server runs, from now on.
async fn tell(cloud: Weak<Cloud>, key: String, listens: SocketAddr, mut state: watch::Receiver<State>) {
    let mut awake = state.borrow_and_update().awake;
    loop {
        match state.wait_for(|state| state.awake != awake).await {
            Ok(state) => awake = state.awake,
            Err(_) => return,
        }
        let Some(cloud) = cloud.upgrade() else { return };
        let told = cloud.report(plane::KIND, &key, |record| plane::told(record, listens, awake).then_some("state"));
        if let Err(refusal) = told {
            tracing::error!(%refusal, key, "what became of a serverless database could not be written");
        }
    }
}

/// Makes backups.
struct Backups {
    databases: Arc<Databases>,
    blobs: Blobs,
    cloud: Weak<Cloud>,
    open: Arc<Open>,
}

#[async_trait::async_trait]
impl unit::Plane for Backups {
    const KIND: &'static str = backup::KIND;
    /// The database's key; none where the backup is made.
    type Wanted = Option<String>;

    fn wanted(&self, _: &Tables, _: &str, record: &Record) -> Option<Option<String>> {
        Some(backup::wanted(record))
    }

    async fn apply(&self, key: &str, wanted: &Option<String>) -> Result<(), String> {
        let Some(database) = wanted else { return Ok(()) };
        let running = self.open.wait(database).await.ok_or("its database does not take connections")?;
        let name = running.server.wanted.databases.iter().map(|database| database.name.clone()).next();
        let name = name.ok_or("its server has no database")?;
        let awake = running.listener.awake().await.map_err(|error| error.to_string())?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = folder.path().join("dump");
        self.databases.backup(database, &name, &file).await.map_err(|error| error.to_string())?;
        let there = self.databases.databases(database).await.map_err(|error| error.to_string())?;
        let bytes = there.iter().find(|there| there.name == name).map_or(0, |there| there.bytes);
        drop(awake);
        let blobs = self.blobs.clone();
        let kept = aside(move || Kept::take(&blobs, std::fs::File::open(file)?)).await?;
        let cloud = self.cloud.upgrade().ok_or("the cloud is gone")?;
        let told = cloud.report(backup::KIND, key, |record| {
            backup::made(record, &kept, bytes);
            Some("made")
        });
        told.map_err(|refusal| refusal.to_string())
    }

    async fn remove(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn failed(&self, record: &mut Record, _: &str) {
        backup::failed(record);
    }
}

/// Works on files where that holds up nobody.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}

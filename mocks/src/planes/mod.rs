//! What runs behind the API: the resources, as the planes want to know them.
//!
//! After each change that is kept, each product says what is wanted of its resources (`services/<product>/plane.rs`);
//! what differs from what is there is brought about, and what became of it is written back. A resource stays in the
//! state it passes through until what it promises is there, and in profile `instant` so does the answer.

mod containers;
mod crons;
mod databases;
mod doors;
mod guests;
mod ingress;
mod networks;
mod serverless;
mod tunnel;
mod unit;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use axum::body::Body;
use http::{Request, Response};
use serde_json::Value;
use stackproof_planes::{
    containers::{Engine, Error, Helper, Runtime, ServiceStatus},
    databases::Databases,
    docker,
    network::{Door, Driver, Fabric, Isolation, Probe},
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    gateway::{Authority, Foreign, OwnNames},
    kernel::{Behind, Blobs, Cloud, Guard, Store, Tables},
    services::{containers_plane, rdb_plane},
};
use crons::Crons;
use doors::Doors;
use guests::Guests;
use networks::Networks;
pub use serverless::Endpoint;
use serverless::Serverless;
use tunnel::Tunnels;
use unit::Units;

pub use guests::Entrance;
pub use stackproof_planes::network::Choice;

/// How long an answer waits for what runs behind it, at most.
const PATIENCE: Duration = Duration::from_secs(120);

/// The products whose records nothing that runs is made of. What it asks of them, it asks when it needs it.
const NOTHING_RUNS: [&str; 10] =
    ["account", "audit_trail", "billing", "cockpit", "function", "iam", "jobs", "key_manager", "object", "secret"];

/// How long containers may take to end with the cloud, and again when they are killed.
const FAREWELL: Duration = Duration::from_secs(3);

/// The folder, in that of what runs, which is there as long as a Docker daemon may have something of the cloud.
const DOCKER: &str = "docker";

/// What is to run behind a cloud's API.
#[derive(Clone, Debug, Default)]
pub enum Config {
    /// Nothing: resources say that they are ready, and nobody answers at their endpoints.
    #[default]
    Nothing,
    /// Whatever this machine can run.
    Everything {
        /// The folder of what runs; everything in it may be read by its owner's processes only.
        folder: PathBuf,
        /// Where a template of databases is kept for all clouds of this user.
        cache: PathBuf,
        /// The program that can be a container's helper.
        helper: PathBuf,
        /// How networks and containers are to be had.
        driver: Choice,
    },
}

/// What those who run behind the API reach of what is in front of it.
pub struct Front<'a> {
    /// Where the gateway answers as Scaleway's hosts.
    pub direct: SocketAddr,
    /// Who signs for those hosts.
    pub authority: &'a Arc<Authority>,
    /// What becomes of traffic of this machine's commands for other hosts. Containers reach none.
    pub foreign: Foreign,
    /// The names of users' own that the gateway answers for containers.
    pub own: Option<Arc<OwnNames>>,
}

/// What runs behind a cloud's API.
pub struct Planes {
    store: Arc<Store>,
    guard: Arc<Guard>,
    networks: Networks,
    doors: Arc<Doors>,
    guests: Arc<Guests>,
    databases: Option<databases::Rdb>,
    serverless: Option<Serverless>,
    containers: Option<Arc<Units<containers::Plane>>>,
    crons: Option<Arc<Crons>>,
    /// The names of users' own that lead to containers.
    own: Option<Arc<OwnNames>>,
    /// Where the gateway answers as hosts.
    direct: SocketAddr,
    tunnels: Tunnels,
    /// What this machine cannot run, and what to do about it.
    missing: Vec<String>,
    /// The folder of what a Docker daemon runs.
    docker: PathBuf,
    fabric: Arc<Fabric>,
    isolation: Isolation,
    stop: CancellationToken,
}

impl Planes {
    /// Starts everything that the cloud's resources want, now and after each change.
    ///
    /// What this machine cannot run is left out, and told by [`Planes::missing`].
    pub async fn start(cloud: &Arc<Cloud>, blobs: Blobs, config: &Config, front: Front<'_>) -> Option<Arc<Self>> {
        let Config::Everything { folder, cache, helper, driver } = config else { return None };
        let (databases, containers) = (folder.join("databases"), folder.join("containers"));
        // At the same time: a cloud is to answer soon.
        let (fabric, databases, runtime) = tokio::join!(
            Fabric::open(*driver, folder),
            Databases::open(&databases, cache),
            Runtime::open(&containers, Helper::at(helper))
        );
        let isolation = fabric.driver().isolation();
        let fabric = Arc::new(fabric);
        let doors = Arc::new(Doors::new(Arc::clone(&fabric)));
        doors.set("gateway", vec![doors::gateway(front.direct)]).await;
        let guests = Arc::new(Guests::new(Arc::clone(&fabric), Arc::clone(&doors), front.foreign));
        let mut missing = Vec::new();
        // One keeper of servers for both kinds.
        let servers = databases.map(Arc::new).map_err(|error| error.to_string());
        let databases = match &servers {
            Ok(servers) => databases::Rdb::open(servers, folder, cloud, &fabric, blobs.clone()).await,
            Err(error) => Err(error.clone()),
        };
        let databases = databases.map_err(|error| missing.push(format!("databases: {error}"))).ok();
        let known = servers.ok().filter(|_| databases.is_some());
        let serverless = known.map(|servers| Serverless::new(&servers, front.authority, &blobs, cloud));
        let runtime = runtime.map(|runtime| runtime.trusting(front.authority.certificate_pem().to_owned()));
        let docker = folder.join(DOCKER);
        let runtime = engine(&fabric, &docker, runtime);
        let runtime = runtime.map_err(|error| missing.push(format!("containers: {error}"))).ok();
        let stop = CancellationToken::new();
        let containers = runtime.map(|runtime| {
            let plane = containers::Plane::new(runtime, Arc::clone(&fabric), blobs, Arc::downgrade(cloud));
            Arc::new(Units::new(plane, cloud))
        });
        let planes = Arc::new(Self {
            store: Arc::clone(cloud.store()),
            guard: Arc::clone(cloud.guard()),
            networks: Networks::new(Arc::clone(&fabric)),
            doors,
            tunnels: Tunnels::new(Arc::clone(&guests)),
            guests,
            serverless,
            databases,
            crons: containers.as_ref().map(|containers| Crons::start(cloud, containers, stop.clone())),
            containers,
            own: front.own,
            direct: front.direct,
            missing,
            docker,
            fabric,
            isolation,
            stop,
        });
        for missing in &planes.missing {
            tracing::warn!(missing, "not everything runs on this machine");
        }
        cloud.store().run_behind(&(Arc::clone(&planes) as Arc<dyn Behind>));
        tokio::spawn(follow(Arc::downgrade(&planes), cloud.store().concerning(), planes.stop.clone()));
        Some(planes)
    }

    /// Ends and removes what an unclean end left of a cloud that does not run any more; what databases hold stays.
    ///
    /// # Errors
    /// What could not be removed, and why.
    pub async fn sweep(folder: &Path, cache: &Path, helper: &Path) -> Result<(), String> {
        // Whoever opens a folder sweeps it first.
        let (databases, containers, docker) =
            (folder.join("databases"), folder.join("containers"), folder.join(DOCKER));
        if docker.is_dir() {
            let daemon = docker::Daemon::find(folder).await.map_err(|error| error.to_string())?;
            let networks = docker::Networks::open(Arc::new(daemon)).await.map_err(|error| error.to_string())?;
            leave(&networks, &docker).await?;
        }
        if containers.is_dir() {
            Runtime::open(&containers, Helper::at(helper)).await.map_err(|error| error.to_string())?;
        }
        if databases.is_dir() {
            Databases::open(&databases, cache).await.map_err(|error| error.to_string())?.stop().await;
        }
        Ok(())
    }

    /// What this machine cannot run, each with what to do about it.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// How networks and containers are had.
    pub fn driver(&self) -> &Driver {
        self.fabric.driver()
    }

    /// Whether it can be proven here that what must not be reachable is not.
    pub fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// Answers a request for a container, by the host it is for.
    pub async fn serve(&self, request: Request<Body>) -> Response<Body> {
        match &self.containers {
            Some(containers) => ingress::answer(&self.store, &self.guard, containers.plane(), request).await,
            None => ingress::nothing_runs(&self.missing),
        }
    }

    /// A way into a private network for tools of this machine: an address of it that leads to another one inside.
    ///
    /// # Errors
    /// When there is no such network, or the machine cannot isolate one.
    pub async fn tunnel(&self, network: &str, to: SocketAddr) -> Result<SocketAddr, String> {
        self.tunnels.open(&self.store, network, to).await
    }

    /// Tries to connect from a place that is only in this private network, or in none.
    ///
    /// # Errors
    /// When there is no such network, or the machine cannot isolate one.
    pub async fn probe(&self, network: Option<&str>, to: SocketAddr) -> Result<Probe, String> {
        self.tunnels.probe(&self.store, network, to).await
    }

    /// A network for a command of this machine, in which Scaleway's host names lead to this cloud; in a private network
    /// too, where its name or identifier is given.
    ///
    /// # Errors
    /// When there is no such network, or the machine has no networks of their own for commands.
    pub async fn enter(&self, network: Option<&str>) -> Result<Entrance, String> {
        self.guests.enter(&self.store, network).await
    }

    /// Tells which of this machine's addresses commands in networks of their own have to find unchanged.
    pub async fn keep_in_reach(&self, addresses: Vec<SocketAddr>) {
        self.doors.set_local(addresses).await;
    }

    /// Opens the doors to the databases that are public by now, and to the names that containers have.
    async fn open_doors(&self) {
        let (databases, own) =
            self.store.read(|tables| (rdb_plane::doors(tables), containers_plane::own_names(tables)));
        self.doors.set("databases", databases).await;
        let serverless = self.endpoints().into_iter();
        let at = |one: Endpoint| Door { hosts: vec![one.host], ports: [(one.port, one.address)].into() };
        self.doors.set("serverless databases", serverless.map(at).collect()).await;
        let ports = [(80, self.direct), (443, self.direct)].into();
        let domains = (!own.is_empty()).then(|| Door { hosts: own.into_iter().collect(), ports });
        self.doors.set("domains", domains.into_iter().collect()).await;
    }

    /// Kills the server of a database instance, as a machine's failure would. Gives its process.
    ///
    /// # Errors
    /// When none runs.
    pub fn kill(&self, instance: &str) -> Result<u32, String> {
        let databases = self.databases.as_ref().ok_or_else(|| self.missing.join("; "))?;
        databases.kill(instance)
    }

    /// How the processes of a container are; none where none runs for it.
    pub fn container(&self, key: &str) -> Option<ServiceStatus> {
        self.containers.as_ref()?.plane().status(key)
    }

    /// Where on this machine each host of the cloud's answers that speaks another protocol than HTTP.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.serverless.as_ref().map(Serverless::endpoints).unwrap_or_default()
    }

    /// Where on this machine a host answers at a port, if it does.
    pub fn listener(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let mut endpoints = self.endpoints().into_iter();
        endpoints.find(|endpoint| endpoint.host == host && endpoint.port == port).map(|endpoint| endpoint.address)
    }

    /// What the processes behind a database instance or a container said last; none where nothing runs for it.
    pub fn logs(&self, key: &str) -> Option<String> {
        let container = self.containers.as_ref().and_then(|containers| containers.plane().logs(key));
        container.or_else(|| self.databases.as_ref()?.logs(key))
    }

    /// What a container has been asked, and what it uses, in plain numbers; none where nothing runs for it.
    pub fn metrics(&self, key: &str) -> Option<Value> {
        let mut told = self.containers.as_ref()?.plane().metrics(key)?;
        told["triggers"] = self.crons.as_ref().map_or(Value::Null, |crons| crons.told(key));
        Some(told)
    }

    /// What keeps resources from running: for each its kind, identifier, name and the whole reason.
    pub fn troubles(&self) -> Vec<Value> {
        self.store.read(containers_plane::troubles)
    }

    /// Waits until what was due by the cloud's clock has been done.
    pub async fn caught_up(&self) {
        if let Some(crons) = &self.crons {
            crons.caught_up().await;
        }
    }

    /// Has the names answered that containers have.
    fn name(&self) {
        let Some(own) = &self.own else { return };
        if let Err(error) = own.set(&self.store.read(containers_plane::own_names)) {
            tracing::error!(%error, "a domain of a container is not answered; it is tried again with the next change");
        }
    }

    /// Brings everything to what the records want.
    async fn update(&self) {
        self.name();
        self.networks.update(&self.store).await;
        if let Some(databases) = &self.databases {
            databases.update();
        }
        if let Some(serverless) = &self.serverless {
            serverless.update();
        }
        if let Some(containers) = &self.containers {
            containers.update();
        }
        self.open_doors().await;
    }

    /// Ends everything; what databases hold stays.
    pub async fn stop(&self) {
        self.stop.cancel();
        if let Some(containers) = &self.containers {
            containers.plane().stop(FAREWELL).await;
        }
        if let Some(serverless) = &self.serverless {
            serverless.stop().await;
        }
        if let Some(databases) = &self.databases {
            databases.stop().await;
        }
        if let Some(networks) = self.fabric.docker()
            && let Err(error) = leave(networks, &self.docker).await
        {
            tracing::error!(%error, "something of this cloud is left at the Docker daemon; its next start removes it");
        }
    }
}

/// Who runs containers.
fn engine(fabric: &Fabric, folder: &Path, runtime: Result<Runtime, Error>) -> Result<Arc<dyn Engine>, Error> {
    match fabric.docker() {
        Some(networks) => Ok(Arc::new(docker::Containers::open(folder, Arc::clone(networks))?)),
        None => Ok(Arc::new(runtime?)),
    }
}

/// Removes whatever a Docker daemon has of this cloud, and then what tells that it may have something.
async fn leave(networks: &docker::Networks, folder: &Path) -> Result<(), String> {
    networks.close().await.map_err(|error| error.to_string())?;
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("removing {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Follows what is kept, until the cloud is gone.
async fn follow(planes: Weak<Planes>, mut concerning: watch::Receiver<u64>, stop: CancellationToken) {
    loop {
        concerning.mark_unchanged();
        let Some(held) = planes.upgrade() else { return };
        // What was gone from a network may be so only after its users have ended.
        held.update().await;
        let retry = held.networks.waits();
        drop(held);
        let again = async {
            if retry { tokio::time::sleep(Duration::from_millis(20)).await } else { std::future::pending().await }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = again => {}
            changed = concerning.changed() => if changed.is_err() { return },
        }
    }
}

#[async_trait::async_trait]
impl Behind for Planes {
    fn concerns(&self, kind: &str) -> bool {
        let product = kind.split('.').next().unwrap_or(kind);
        !NOTHING_RUNS.contains(&product)
    }

    fn runs(&self, kind: &str) -> bool {
        self.databases.is_some() && databases::Rdb::runs(kind)
    }

    fn told(&self, kind: &str, key: &str) -> Value {
        self.databases.as_ref().map(|databases| databases.told(kind, key)).unwrap_or_default()
    }

    fn holds(&self, tables: &Tables, kind: &str, key: &str) -> bool {
        self.databases.as_ref().is_some_and(|units| units.holds(tables, kind, key))
            || self.serverless.as_ref().is_some_and(|units| units.holds(tables, kind, key))
            || self.containers.as_ref().is_some_and(|units| units.holds(tables, kind, key))
    }

    async fn reached(&self, keys: &[String]) {
        let all = async {
            self.name();
            self.networks.reached(&self.store).await;
            if let Some(databases) = &self.databases {
                databases.reached(keys).await;
            }
            if let Some(serverless) = &self.serverless {
                serverless.reached(keys).await;
            }
            if let Some(containers) = &self.containers {
                containers.reached(keys).await;
            }
            self.open_doors().await;
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::error!(
                ?keys,
                "what runs behind the API was not ready in {PATIENCE:?}; the answer does not wait longer"
            );
        }
    }
}

/// A task that ends with its owner.
type Task = AbortOnDropHandle<()>;

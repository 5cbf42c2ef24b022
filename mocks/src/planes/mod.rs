//! What runs behind the API: the resources, as the planes want to know them.
//!
//! After each change that is kept, each product says what is wanted of its resources (`services/<product>/plane.rs`);
//! what differs from what is there is brought about, and what became of it is written back. A resource stays in the
//! state it passes through until what it promises is there, and in profile `instant` so does the answer.

mod containers;
mod databases;
mod ingress;
mod networks;
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
use stackproof_planes::{
    containers::{Engine, Error, Helper, Runtime},
    databases::Databases,
    docker,
    network::{Choice, Driver, Fabric, Isolation, Probe},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::kernel::{Behind, Blobs, Cloud, Store, Tables};
use networks::Networks;
use tunnel::Tunnels;
use unit::Units;

/// How long an answer waits for what runs behind it, at most.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long containers may take to end with the cloud.
const FAREWELL: Duration = Duration::from_secs(3);

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

/// What runs behind a cloud's API.
pub struct Planes {
    store: Arc<Store>,
    networks: Networks,
    databases: Option<Units<databases::Plane>>,
    containers: Option<Units<containers::Plane>>,
    tunnels: Tunnels,
    /// What this machine cannot run, and what to do about it.
    missing: Vec<String>,
    fabric: Arc<Fabric>,
    isolation: Isolation,
    stop: CancellationToken,
}

impl Planes {
    /// Starts everything that the cloud's resources want, now and after each change.
    ///
    /// What this machine cannot run is left out, and told by [`Planes::missing`].
    pub async fn start(cloud: &Arc<Cloud>, blobs: Blobs, config: &Config) -> Option<Arc<Self>> {
        let Config::Everything { folder, cache, helper, driver } = config else { return None };
        let fabric = Arc::new(Fabric::open(*driver, folder).await);
        let isolation = fabric.driver().isolation();
        let mut missing = Vec::new();
        let databases = Databases::open(&folder.join("databases"), cache).await;
        let databases = databases.map_err(|error| missing.push(format!("databases: {error}"))).ok();
        if let Some(databases) = &databases {
            forget_unknown(databases, cloud.store()).await;
        }
        let runtime = engine(&fabric, &folder.join("containers"), helper).await;
        let runtime = runtime.map_err(|error| missing.push(format!("containers: {error}"))).ok();
        let planes = Arc::new(Self {
            store: Arc::clone(cloud.store()),
            networks: Networks::new(Arc::clone(&fabric)),
            tunnels: Tunnels::new(Arc::clone(&fabric)),
            databases: databases
                .map(|it| Units::new(databases::Plane::new(it, Arc::clone(&fabric), Arc::downgrade(cloud)), cloud)),
            containers: runtime.map(|runtime| {
                let plane = containers::Plane::new(runtime, Arc::clone(&fabric), blobs, Arc::downgrade(cloud));
                Units::new(plane, cloud)
            }),
            missing,
            fabric,
            isolation,
            stop: CancellationToken::new(),
        });
        for missing in &planes.missing {
            tracing::warn!(missing, "not everything runs on this machine");
        }
        cloud.store().run_behind(Arc::clone(&planes) as Arc<dyn Behind>);
        tokio::spawn(follow(Arc::downgrade(&planes), cloud.store().committed(), planes.stop.clone()));
        Some(planes)
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
            Some(containers) => ingress::answer(&self.store, containers.plane(), request).await,
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

    /// Kills the server of a database instance, as a machine's failure would. Gives its process.
    ///
    /// # Errors
    /// When none runs.
    pub fn kill(&self, instance: &str) -> Result<u32, String> {
        let databases = self.databases.as_ref().ok_or_else(|| self.missing.join("; "))?;
        databases.plane().kill(instance)
    }

    /// What the processes behind a database instance or a container said last; none where nothing runs for it.
    pub fn logs(&self, key: &str) -> Option<String> {
        let container = self.containers.as_ref().and_then(|containers| containers.plane().logs(key));
        container.or_else(|| self.databases.as_ref()?.plane().logs(key))
    }

    /// Brings everything to what the records want.
    async fn update(&self) {
        self.networks.update(&self.store).await;
        if let Some(databases) = &self.databases {
            databases.update();
        }
        if let Some(containers) = &self.containers {
            containers.update();
        }
    }

    /// Ends everything; what databases hold stays.
    pub async fn stop(&self) {
        self.stop.cancel();
        if let Some(containers) = &self.containers {
            // Their helpers end with this process, and they with those.
            if tokio::time::timeout(FAREWELL, containers.plane().stop()).await.is_err() {
                tracing::warn!("containers did not end in {FAREWELL:?}; they are killed");
            }
        }
        if let Some(databases) = &self.databases {
            databases.plane().stop().await;
        }
        if let Some(docker) = self.fabric.docker()
            && let Err(error) = docker.close().await
        {
            tracing::error!(%error, "something of this cloud is left at the Docker daemon; its next start removes it");
        }
    }
}

/// Who runs containers.
async fn engine(fabric: &Fabric, folder: &Path, helper: &Path) -> Result<Arc<dyn Engine>, Error> {
    match fabric.docker() {
        Some(networks) => Ok(Arc::new(docker::Containers::open(folder, Arc::clone(networks))?)),
        None => Ok(Arc::new(Runtime::open(folder, Helper::at(helper)).await?)),
    }
}

/// Removes the databases of instances that the cloud does not know: it was in memory, or was reset.
async fn forget_unknown(databases: &Databases, store: &Store) {
    let unknown = |id: &String| store.read(|tables| tables.get("rdb.instance", id).is_none());
    for id in databases.kept().into_iter().filter(unknown) {
        if let Err(error) = databases.remove(&id).await {
            tracing::warn!(%error, id, "a database that nobody knows could not be removed");
        }
    }
}

/// Follows what is kept, until the cloud is gone.
async fn follow(planes: Weak<Planes>, mut committed: tokio::sync::watch::Receiver<u64>, stop: CancellationToken) {
    loop {
        committed.mark_unchanged();
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
            changed = committed.changed() => if changed.is_err() { return },
        }
    }
}

#[async_trait::async_trait]
impl Behind for Planes {
    fn holds(&self, tables: &Tables, kind: &str, key: &str) -> bool {
        self.databases.as_ref().is_some_and(|units| units.holds(tables, kind, key))
            || self.containers.as_ref().is_some_and(|units| units.holds(tables, kind, key))
    }

    async fn reached(&self, keys: &[String]) {
        let all = async {
            self.networks.reached(&self.store).await;
            if let Some(databases) = &self.databases {
                databases.reached(keys).await;
            }
            if let Some(containers) = &self.containers {
                containers.reached(keys).await;
            }
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

//! Serverless containers.

mod meter;
mod seats;

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

pub(super) use meter::{Asked, Meter};
use parking_lot::Mutex;
use seats::Seats;
use serde_json::{Value, json};
use stackproof_planes::{
    containers::{Connection, DialError, Engine, Places, Service, ServiceState, ServiceStatus},
    network::Fabric,
};
use tokio::{sync::watch, time::timeout};

use super::{Task, unit};
use crate::{
    kernel::{Blobs, Cloud, Record, Tables},
    registry,
    services::containers_plane as plane,
};

pub(super) struct Plane {
    runtime: Arc<dyn Engine>,
    fabric: Arc<Fabric>,
    blobs: Blobs,
    cloud: Weak<Cloud>,
    running: Mutex<BTreeMap<String, Arc<Running>>>,
}

struct Running {
    service: Service,
    seats: Arc<Seats>,
    deployment: Mutex<u64>,
    meter: Arc<Meter>,
    _told: Task,
}

impl Plane {
    pub(super) fn new(runtime: Arc<dyn Engine>, fabric: Arc<Fabric>, blobs: Blobs, cloud: Weak<Cloud>) -> Self {
        Self { runtime, fabric, blobs, cloud, running: Mutex::default() }
    }

    /// Ends all containers: those that do not by themselves in this time are killed. Nothing is left of them.
    pub(super) async fn stop(&self, patience: Duration) {
        let running = std::mem::take(&mut *self.running.lock());
        let mut stopping = std::pin::pin!(futures::future::join_all(running.values().map(|one| one.service.stop())));
        let ended = timeout(patience, &mut stopping).await.is_ok();
        if !ended {
            tracing::info!("containers did not end in {patience:?}; they are killed");
        }
        // Also where all have ended: one that is being started would come after.
        match timeout(patience, self.runtime.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "something is left of the containers; the next start removes it"),
            Err(_) => tracing::error!("containers do not end in {patience:?}; the next start removes what is left"),
        }
        // Their helpers see their end.
        if !ended && timeout(patience, &mut stopping).await.is_err() {
            tracing::error!("containers were killed, and their helpers do not end in {patience:?}");
        }
    }

    /// A connection to a container that takes requests; none where it does not run at all.
    pub(super) async fn dial(&self, key: &str) -> Option<Result<Connection, DialError>> {
        let running = self.running.lock().get(key).cloned()?;
        Some(running.service.dial().await)
    }

    /// How a container's processes are.
    pub(super) fn status(&self, key: &str) -> Option<ServiceStatus> {
        let running = self.running.lock().get(key).cloned()?;
        Some(running.service.status().borrow().clone())
    }

    /// Where the requests for a container are counted.
    pub(super) fn meter(&self, key: &str) -> Option<Arc<Meter>> {
        self.running.lock().get(key).map(|running| Arc::clone(&running.meter))
    }

    /// What a container has been asked, and what it uses, in plain numbers.
    pub(super) fn metrics(&self, key: &str) -> Option<Value> {
        let running = self.running.lock().get(key).cloned()?;
        let (mut told, used) = (running.meter.told(), running.service.usage());
        told["requests"]["waiting"] = used.waiting.into();
        told["instances"] =
            json!({"running": used.running, "ready": used.ready, "started": used.started, "lost": used.lost});
        told["cpu_seconds"] = used.cpu.as_secs_f64().into();
        told["memory_bytes"] = used.memory.into();
        Some(told)
    }

    /// The clock was advanced by hand.
    pub(super) fn pass(&self, by: Duration) {
        for running in self.running.lock().values() {
            running.service.pass(by);
        }
    }

    /// What a container's processes said last.
    pub(super) fn logs(&self, key: &str) -> Option<String> {
        let running = self.running.lock().get(key).cloned()?;
        let lines = running.service.logs().lines();
        Some(lines.iter().map(|line| format!("{} {}\n", crate::kernel::rfc3339(line.at), line.text)).collect())
    }

    /// Takes in the image that a reference names now; gives its digest.
    async fn pull(&self, reference: &str) -> Result<String, String> {
        let cloud = self.cloud.upgrade().ok_or("the cloud is being stopped")?;
        let (manifest, blobs) = cloud.store().read(|tables| {
            let pinned = registry::pin(tables, reference).map_err(|why| plane::unfetched(reference, &why))?;
            Ok::<_, String>((pinned.manifest(tables, &self.blobs)?, pinned.blobs(tables, &self.blobs)))
        })?;
        let image = self.runtime.add(manifest, Arc::new(blobs)).await.map_err(|error| error.to_string())?;
        Ok(image.digest)
    }
}

#[async_trait::async_trait]
impl unit::Plane for Plane {
    const KIND: &'static str = plane::KIND;
    type Wanted = plane::Wanted;

    fn wanted(&self, tables: &Tables, key: &str, record: &Record) -> Option<plane::Wanted> {
        plane::wanted(tables, key, record)
    }

    async fn apply(&self, key: &str, wanted: &plane::Wanted) -> Result<(), String> {
        let mut spec = wanted.service.clone();
        spec.image = self.pull(&wanted.image).await?;
        let known = self.running.lock().get(key).cloned();
        let running = match known {
            Some(running) => {
                let moved = running.seats.set(wanted.attachment.clone());
                let again = std::mem::replace(&mut *running.deployment.lock(), wanted.deployment) != wanted.deployment;
                if moved || again {
                    running.service.deploy(spec);
                } else {
                    running.service.update(spec);
                }
                running
            }
            None => {
                let seats =
                    Arc::new(Seats::new(Arc::clone(&self.fabric), key, wanted.attachment.clone(), self.cloud.clone()));
                let places = Arc::clone(&seats) as Arc<dyn Places>;
                let service = Service::start(Arc::clone(&self.runtime), places, spec);
                let told = Task::new(tokio::spawn(tell(self.cloud.clone(), key.to_owned(), service.status())));
                let (deployment, meter) = (Mutex::new(wanted.deployment), Arc::default());
                let running = Arc::new(Running { service, seats, deployment, meter, _told: told });
                self.running.lock().insert(key.to_owned(), Arc::clone(&running));
                running
            }
        };
        match running.service.settled().await.state {
            ServiceState::Error { message } => Err(message),
            ServiceState::Stopped => Err("it was stopped".to_owned()),
            ServiceState::Creating | ServiceState::Ready => Ok(()),
        }
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        let running = self.running.lock().remove(key);
        if let Some(running) = running {
            running.service.stop().await;
        }
        Ok(())
    }

    fn failed(&self, record: &mut Record, why: &str) {
        plane::failed(record, why);
    }
}

/// Tells of containers that do not stay, and of their return.
async fn tell(cloud: Weak<Cloud>, key: String, mut status: watch::Receiver<ServiceStatus>) {
    while status.changed().await.is_ok() {
        let state = status.borrow_and_update().state.clone();
        let Some(cloud) = cloud.upgrade() else { return };
        let told = cloud.report(plane::KIND, &key, |record| match &state {
            ServiceState::Ready => plane::runs(record).then_some("state"),
            ServiceState::Error { message } if record.text("status") == "ready" => {
                tracing::warn!(key, why = message, "a container does not run any more; it is started again");
                plane::failed(record, message);
                Some("state")
            }
            _ => None,
        });
        if let Err(refusal) = told {
            tracing::error!(%refusal, key, "what became of a container could not be written");
        }
    }
}

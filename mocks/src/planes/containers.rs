//! Serverless containers.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use stackproof_planes::{
    containers::{Connection, DialError, Engine, Places, Service, ServiceState, ServiceStatus},
    network::{self, Attachment, Fabric, Member, MemberSpec},
};
use tokio::sync::watch;

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
    _told: Task,
}

impl Plane {
    pub(super) fn new(runtime: Arc<dyn Engine>, fabric: Arc<Fabric>, blobs: Blobs, cloud: Weak<Cloud>) -> Self {
        Self { runtime, fabric, blobs, cloud, running: Mutex::default() }
    }

    /// Ends all containers, without waiting for their requests.
    pub(super) async fn stop(&self) {
        let running = std::mem::take(&mut *self.running.lock());
        futures::future::join_all(running.values().map(|one| one.service.stop())).await;
    }

    /// A connection to a container that takes requests; none where it does not run at all.
    pub(super) async fn dial(&self, key: &str) -> Option<Result<Connection, DialError>> {
        let running = self.running.lock().get(key).cloned()?;
        Some(running.service.dial().await)
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
            let pinned = registry::pin(tables, reference)?;
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
                running.service.update(spec);
                if moved || again {
                    running.service.redeploy();
                }
                running
            }
            None => {
                let seats =
                    Arc::new(Seats::new(Arc::clone(&self.fabric), key, wanted.attachment.clone(), self.cloud.clone()));
                let places = Arc::clone(&seats) as Arc<dyn Places>;
                let service = Service::start(Arc::clone(&self.runtime), places, spec);
                let told = Task::new(tokio::spawn(tell(self.cloud.clone(), key.to_owned(), service.status())));
                let deployment = Mutex::new(wanted.deployment);
                let running = Arc::new(Running { service, seats, deployment, _told: told });
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

/// Where the containers of one service are in their private network. The first has the address that IPAM gave; further
/// ones take free addresses from the end of the range.
struct Seats {
    fabric: Arc<Fabric>,
    key: String,
    cloud: Weak<Cloud>,
    attachment: Mutex<Option<Attachment>>,
    taken: Mutex<BTreeMap<String, IpAddr>>,
}

impl Seats {
    fn new(fabric: Arc<Fabric>, key: &str, attachment: Option<Attachment>, cloud: Weak<Cloud>) -> Self {
        let (attachment, taken) = (Mutex::new(attachment), Mutex::default());
        Self { fabric, key: key.to_owned(), cloud, attachment, taken }
    }

    /// Moves containers to come to another place. Gives whether it is another one.
    fn set(&self, attachment: Option<Attachment>) -> bool {
        let mut known = self.attachment.lock();
        let moved = *known != attachment;
        *known = attachment;
        moved
    }

    /// The place of one more container.
    fn next(&self, container: &str) -> network::Result<Vec<Attachment>> {
        let Some(attachment) = self.attachment.lock().clone() else { return Ok(Vec::new()) };
        let Some(first) = attachment.addresses.first().copied() else { return Ok(vec![attachment]) };
        let mut taken = self.taken.lock();
        let free = |address: &IpAddr| !taken.values().any(|other| other == address);
        let address = if free(&first) {
            Some(first)
        } else {
            let cloud = self.cloud.upgrade();
            let unused = cloud.map(|cloud| {
                cloud.store().read(|tables| crate::services::vpc_plane::unused(tables, &attachment.network))
            });
            unused.unwrap_or_default().into_iter().find(free)
        };
        let full =
            || network::Error::Wrong(format!("network {} has no free address for {}", attachment.network, self.key));
        let address = address.ok_or_else(full)?;
        taken.insert(container.to_owned(), address);
        Ok(vec![Attachment { network: attachment.network.clone(), addresses: vec![address] }])
    }
}

#[async_trait::async_trait]
impl Places for Seats {
    async fn take(&self, container: &str) -> network::Result<Arc<Member>> {
        let attachments = self.next(container)?;
        let taken = self.fabric.set_member(MemberSpec { id: container.to_owned(), attachments, doors: true }).await;
        if taken.is_err() {
            self.taken.lock().remove(container);
        }
        taken
    }

    async fn give_back(&self, container: &str) -> network::Result<()> {
        let gone = self.fabric.remove_member(container).await;
        self.taken.lock().remove(container);
        gone
    }
}

//! The VPCs and private networks, as the fabric has them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use stackproof_planes::network::{Error, Fabric, NetworkSpec, VpcSpec};
use tokio::sync::{Mutex, watch};

use crate::{
    kernel::{Store, Tables},
    services::vpc_plane as plane,
};

/// All VPCs and networks, by their ids.
#[derive(Default)]
struct All {
    vpcs: BTreeMap<String, VpcSpec>,
    networks: BTreeMap<String, NetworkSpec>,
}

pub(super) struct Networks {
    fabric: Arc<Fabric>,
    is: Mutex<All>,
    /// The last transaction whose networks have been brought about, or could not be.
    reached: watch::Sender<u64>,
    waits: AtomicBool,
}

fn wanted(tables: &Tables) -> All {
    All {
        vpcs: plane::vpcs(tables).into_iter().map(|vpc| (vpc.id.clone(), vpc)).collect(),
        networks: plane::networks(tables).into_iter().map(|network| (network.id.clone(), network)).collect(),
    }
}

impl Networks {
    pub(super) fn new(fabric: Arc<Fabric>) -> Self {
        Self { fabric, is: Mutex::default(), reached: watch::channel(0).0, waits: AtomicBool::new(false) }
    }

    /// Whether something could not be done yet, and is to be tried again.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Brings them to what the records want.
    pub(super) async fn update(&self, store: &Store) {
        // Asked first: what is read then has at least this in it.
        let sequence = *store.concerning().borrow();
        let wanted = store.read(wanted);
        let mut is = self.is.lock().await;
        let waits = match self.bring_about(&mut is, &wanted).await {
            Ok(waits) => waits,
            Err(error) => {
                tracing::error!(%error, "a private network could not be brought about; it is tried again with the next change");
                false
            }
        };
        self.waits.store(waits, Ordering::Relaxed);
        self.reached.send_replace(sequence);
    }

    /// Gives whether something is still used that is to go.
    async fn bring_about(&self, is: &mut All, wanted: &All) -> Result<bool, Error> {
        let mut waits = false;
        let gone: Vec<String> = is.networks.keys().filter(|id| !wanted.networks.contains_key(*id)).cloned().collect();
        for id in gone {
            match self.fabric.remove_network(&id).await {
                Err(Error::Used { .. }) => waits = true,
                other => {
                    other?;
                    is.networks.remove(&id);
                }
            }
        }
        let gone: Vec<String> = is.vpcs.keys().filter(|id| !wanted.vpcs.contains_key(*id)).cloned().collect();
        for id in gone {
            match self.fabric.remove_vpc(&id).await {
                Err(Error::Used { .. }) => waits = true,
                other => {
                    other?;
                    is.vpcs.remove(&id);
                }
            }
        }
        for (id, vpc) in &wanted.vpcs {
            if is.vpcs.get(id) != Some(vpc) {
                self.fabric.set_vpc(vpc.clone()).await?;
                is.vpcs.insert(id.clone(), vpc.clone());
            }
        }
        for (id, network) in &wanted.networks {
            if is.networks.get(id) != Some(network) {
                self.fabric.set_network(network.clone()).await?;
                is.networks.insert(id.clone(), network.clone());
            }
        }
        Ok(waits)
    }

    /// Waits until they are what the records want, or could not be.
    pub(super) async fn reached(&self, store: &Store) {
        let now = *store.concerning().borrow();
        let mut reached = self.reached.subscribe();
        // The sender goes with this.
        let _never_closed = reached.wait_for(|reached| *reached >= now).await;
    }
}

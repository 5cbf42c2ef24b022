//! Which host names are on this machine, and where they lead: the one place that knows them all.
//!
//! Members of networks that may (containers, commands of this machine) resolve the hosts and reach the ports that
//! stand here, and no others. Each part tells its own with [`Doors::set`]; what a part does not tell any more is closed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use stackproof_planes::network::{Door, Fabric, Forward, Place};
use tokio::sync::Mutex;

use crate::gateway::SCALEWAY_DOMAINS;

/// All doors of a cloud.
pub(super) struct Doors {
    fabric: Arc<Fabric>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    parts: BTreeMap<&'static str, Vec<Door>>,
    /// Whether not all could be opened as they stand here.
    failed: bool,
    /// Listeners that are told by their addresses of this machine.
    local: Vec<SocketAddr>,
    guests: BTreeMap<String, Guest>,
}

/// A member for whom what is told as an address of this machine is at that same address.
struct Guest {
    place: Place,
    forwards: BTreeMap<SocketAddr, Forward>,
}

/// The gateway, for every name of Scaleway's that nothing else is behind: none of them leaves this machine.
pub(super) fn gateway(direct: SocketAddr) -> Door {
    let hosts = SCALEWAY_DOMAINS.into_iter().flat_map(|domain| [domain.to_owned(), format!("*.{domain}")]);
    Door { hosts: hosts.collect(), ports: [(80, direct), (443, direct)].into() }
}

impl Doors {
    pub(super) fn new(fabric: Arc<Fabric>) -> Self {
        Self { fabric, state: Mutex::default() }
    }

    /// Makes the doors of one part these. When this returns, they are open.
    pub(super) async fn set(&self, part: &'static str, doors: Vec<Door>) {
        let mut state = self.state.lock().await;
        if !state.failed && state.parts.get(part) == Some(&doors) {
            return;
        }
        state.parts.insert(part, doors);
        let all = state.parts.values().flatten().cloned().collect();
        let set = self.fabric.set_doors(all).await;
        state.failed = set.is_err();
        if let Err(error) = set {
            tracing::error!(%error, "not every host can be reached from containers; it is tried again with the next change");
        }
        state.welcome().await;
    }

    /// What else is told by its address of this machine: the cloud's own listeners.
    pub(super) async fn set_local(&self, local: Vec<SocketAddr>) {
        let mut state = self.state.lock().await;
        state.local = local;
        state.welcome().await;
    }

    /// Opens to a member, under their addresses of this machine, what is told by those. Ends with [`Doors::dismiss`].
    pub(super) async fn invite(&self, id: &str, place: Place) {
        let mut state = self.state.lock().await;
        state.guests.insert(id.to_owned(), Guest { place, forwards: BTreeMap::new() });
        state.welcome().await;
    }

    pub(super) async fn dismiss(&self, id: &str) {
        self.state.lock().await.guests.remove(id);
    }
}

impl State {
    /// Brings every guest's addresses to those of the doors.
    async fn welcome(&mut self) {
        let doors = self.parts.values().flatten().flat_map(|door| door.ports.values().copied());
        let wanted: BTreeSet<SocketAddr> = doors.chain(self.local.iter().copied()).collect();
        for (id, guest) in &mut self.guests {
            guest.forwards.retain(|at, _| wanted.contains(at));
            for at in &wanted {
                if guest.forwards.contains_key(at) {
                    continue;
                }
                match Forward::start(&guest.place, *at, Place::Host, *at).await {
                    Ok(forward) => drop(guest.forwards.insert(*at, forward)),
                    Err(error) => {
                        tracing::warn!(id, %at, %error, "an address of this machine is not one of a command's")
                    }
                }
            }
        }
    }
}

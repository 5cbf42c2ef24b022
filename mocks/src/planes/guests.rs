//! Members of networks that are no resource of anyone's: tunnels, attempts, commands of this machine.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use stackproof_planes::network::{Attachment, Fabric, Member, MemberSpec, Place};

use super::doors::Doors;
use crate::{
    gateway::Foreign,
    kernel::{Store, Tables},
    services::vpc_plane,
};

pub(super) struct Guests {
    fabric: Arc<Fabric>,
    doors: Arc<Doors>,
    foreign: Foreign,
    /// By the members' identifiers: the network and the address there.
    seats: Mutex<BTreeMap<String, (String, IpAddr)>>,
    /// Counts entrances.
    numbered: std::sync::atomic::AtomicU64,
}

/// A network for a command of this machine, in which Scaleway's host names lead to this cloud. It ends when this is
/// dropped; processes inside lose it then.
pub struct Entrance {
    id: String,
    guests: Weak<Guests>,
    member: Arc<Member>,
}

impl Entrance {
    /// The file by which a process enters the network, as long as this cloud runs.
    pub fn namespace(&self) -> Option<std::path::PathBuf> {
        match &self.member.place {
            Place::Within(space) => Some(space.path()),
            Place::Host => None,
        }
    }

    /// Who resolves names there.
    pub fn nameserver(&self) -> Option<IpAddr> {
        self.member.nameserver
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        // Where the cloud itself ends, so does everything of it.
        let (Some(guests), Ok(runtime)) = (self.guests.upgrade(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let id = std::mem::take(&mut self.id);
        runtime.spawn(async move {
            guests.doors.dismiss(&id).await;
            guests.leave(&id).await;
        });
    }
}

impl Guests {
    pub(super) fn new(fabric: Arc<Fabric>, doors: Arc<Doors>, foreign: Foreign) -> Self {
        Self { fabric, doors, foreign, seats: Mutex::default(), numbered: 0.into() }
    }

    /// Something in this network, with an address that nobody else has; or in none.
    pub(super) async fn seat(
        &self,
        store: &Store,
        id: &str,
        network: Option<&str>,
        doors: bool,
    ) -> Result<Arc<Member>, String> {
        let isolation = self.fabric.driver().isolation();
        if !isolation.provable {
            let why = isolation.missing.unwrap_or_default();
            return Err(format!("this machine has no networks of its own for private networks: {why}"));
        }
        let mut attachments = Vec::new();
        if let Some(network) = network {
            let address = self.take(store, id, network)?;
            attachments.push(Attachment { network: network.to_owned(), addresses: vec![address] });
        }
        let made = self.fabric.set_member(MemberSpec { id: id.to_owned(), attachments, doors }).await;
        if made.is_err() {
            self.leave(id).await;
        }
        made.map_err(|error| error.to_string())
    }

    fn take(&self, store: &Store, id: &str, network: &str) -> Result<IpAddr, String> {
        let mut seats = self.seats.lock();
        let taken = |address: &IpAddr| seats.values().any(|(other, at)| other == network && at == address);
        // The last addresses are those of further containers; these come before them.
        let unused = store.read(|tables| vpc_plane::unused(tables, network));
        let address = unused.into_iter().rev().find(|address| !taken(address));
        let address = address.ok_or_else(|| format!("there is no private network {network}, or it is full"))?;
        seats.insert(id.to_owned(), (network.to_owned(), address));
        Ok(address)
    }

    pub(super) async fn leave(&self, id: &str) {
        if let Err(error) = self.fabric.remove_member(id).await {
            tracing::warn!(%error, id, "a member of a network could not be removed");
        }
        self.seats.lock().remove(id);
    }

    /// Opens an entrance; in a private network, where one is named by its name or identifier.
    pub(super) async fn enter(self: &Arc<Self>, store: &Store, network: Option<&str>) -> Result<Entrance, String> {
        let network = match network {
            Some(said) => Some(store.read(|tables| find(tables, said))?),
            None => None,
        };
        let id = format!("entrance-{}", self.numbered.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let member = self.seat(store, &id, network.as_deref(), true).await?;
        let place = member.place.clone();
        let entrance = Entrance { id: id.clone(), guests: Arc::downgrade(self), member };
        if self.foreign == Foreign::Tunnel {
            self.fabric.open_world(&id, &Place::Host).await.map_err(|error| error.to_string())?;
        }
        self.doors.invite(&id, place).await;
        Ok(entrance)
    }
}

/// The private network of this identifier, or the only one of this name.
fn find(tables: &Tables, said: &str) -> Result<String, String> {
    let all = || tables.all("vpc.private_network");
    if all().any(|(key, _)| key == said) {
        return Ok(said.to_owned());
    }
    let named: Vec<&str> = all().filter(|(_, network)| network.text("name") == said).map(|(key, _)| key).collect();
    match named[..] {
        [one] => Ok(one.to_owned()),
        [] => {
            let names: Vec<&str> = all().map(|(_, network)| network.text("name")).collect();
            Err(format!("there is no private network {said:?}; there are: {}", names.join(", ")))
        }
        _ => Err(format!("{} private networks are named {said:?}: {}", named.len(), named.join(", "))),
    }
}

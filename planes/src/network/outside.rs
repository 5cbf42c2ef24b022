//! What is outside of all private networks: doors to addresses of this machine, which members with doors reach.
//!
//! A network of its own, of addresses nobody else uses (those reserved for measurements), on which members reach the
//! doors and not each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use super::{
    Door, Error, Forward, Namespace, Place, Result, View,
    links::{self, Cable},
};

const PREFIX: u8 = 16;
const BASE: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// The first member's address, behind those of the doors.
const MEMBERS: u32 = 1 << 12;
const END: u32 = (1 << 16) - 1;

pub(super) struct Outside {
    place: Place,
    space: Namespace,
    bridge: u32,
    view: View,
    /// By their host names.
    doors: BTreeMap<Vec<String>, Open>,
    /// Those that the bridge has.
    addresses: BTreeSet<u32>,
    taken: BTreeSet<u32>,
}

/// A door that is open.
struct Open {
    number: u32,
    /// By their ports.
    ways: BTreeMap<u16, (SocketAddr, Forward)>,
}

/// A member's way to the doors.
pub(super) struct Uplink {
    number: u32,
    port: u32,
    pub(super) address: IpAddr,
}

impl Outside {
    pub(super) async fn create() -> Result<Self> {
        let space = Namespace::create("the outside").await?;
        let bridge = links::bridge(&space, "out", Some(number(1))).await?;
        links::address(&space, bridge, number(1), PREFIX).await?;
        Ok(Self {
            place: Place::Within(space.clone()),
            space,
            bridge,
            view: View::default(),
            doors: BTreeMap::new(),
            addresses: BTreeSet::from([1]),
            taken: BTreeSet::new(),
        })
    }

    /// The doors' names.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Makes the doors these. What goes through one that stays as it is goes on.
    pub(super) async fn set_doors(&mut self, doors: Vec<Door>) -> Result<()> {
        let count = u32::try_from(doors.len()).unwrap_or(u32::MAX);
        if count > MEMBERS - 2 {
            return Err(Error::Wrong(format!("{count} doors are more than fit")));
        }
        // The names first where something goes, last where something comes: they lead to doors that are open.
        let wanted = |hosts: &Vec<String>| doors.iter().find(|door| door.hosts == *hosts);
        let gone: Vec<Vec<String>> = self.doors.keys().filter(|hosts| wanted(hosts).is_none()).cloned().collect();
        let gone: Vec<Open> = gone.iter().filter_map(|hosts| self.doors.remove(hosts)).collect();
        self.tell();
        for (_, (_, forward)) in gone.into_iter().flat_map(|door| door.ways) {
            forward.end().await;
        }
        for door in doors {
            self.open(door).await?;
        }
        self.tell();
        Ok(())
    }

    /// Makes one door as it is wanted.
    async fn open(&mut self, door: Door) -> Result<()> {
        let had = self.doors.remove(&door.hosts);
        let mut open = match had {
            Some(open) => open,
            None => Open { number: self.free().await?, ways: BTreeMap::new() },
        };
        let old: Vec<u16> = open
            .ways
            .iter()
            .filter(|(port, (to, _))| door.ports.get(port) != Some(to))
            .map(|(port, _)| *port)
            .collect();
        for port in old {
            if let Some((_, forward)) = open.ways.remove(&port) {
                forward.end().await;
            }
        }
        let mut opened = Ok(());
        for (port, to) in &door.ports {
            if open.ways.contains_key(port) {
                continue;
            }
            let listens = SocketAddr::new(number(open.number), *port);
            match Forward::start(&self.place, listens, Place::Host, *to).await {
                Ok(forward) => drop(open.ways.insert(*port, (*to, forward))),
                Err(error) => opened = Err(Error::machine(format!("opening the door to {to} at {listens}"))(error)),
            }
        }
        self.doors.insert(door.hosts, open);
        opened
    }

    /// A door's address that no other door has.
    async fn free(&mut self) -> Result<u32> {
        let used: BTreeSet<u32> = self.doors.values().map(|door| door.number).collect();
        let free = (2..MEMBERS).find(|number| !used.contains(number));
        let free = free.ok_or_else(|| Error::Wrong("no address is left for a door".to_owned()))?;
        if !self.addresses.contains(&free) {
            links::address(&self.space, self.bridge, number(free), PREFIX).await?;
            self.addresses.insert(free);
        }
        Ok(free)
    }

    /// Makes the names those of the doors.
    fn tell(&self) {
        let each = self.doors.iter().flat_map(|(hosts, door)| hosts.iter().map(|host| (host.clone(), door.number)));
        self.view.set(each.map(|(host, at)| (host, vec![number(at)])).collect());
    }

    pub(super) async fn plug(&mut self, member: &Namespace, interface: &str) -> Result<Uplink> {
        let free = (MEMBERS..END).find(|number| !self.taken.contains(number));
        let free = free.ok_or_else(|| Error::Wrong("no address outside is left".to_owned()))?;
        let address = number(free);
        let name = format!("member{free}");
        let cable = Cable { bridge: self.bridge, port: &name, name: interface, address: Some(address), isolated: true };
        let (port, far) = links::plug(&self.space, member, &cable).await?;
        self.taken.insert(free);
        links::address(member, far, address, PREFIX).await?;
        Ok(Uplink { number: free, port, address })
    }

    pub(super) async fn unplug(&mut self, uplink: &Uplink) -> Result<()> {
        links::unplug(&self.space, uplink.port).await?;
        self.taken.remove(&uplink.number);
        Ok(())
    }
}

fn number(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(BASE + number))
}

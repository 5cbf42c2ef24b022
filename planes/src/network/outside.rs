//! What is outside of all private networks: doors to addresses of this machine, which members with doors reach.
//!
//! A network of its own, of addresses nobody else uses (those reserved for measurements), on which members reach the
//! doors and not each other.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use super::{
    Door, Error, Forward, Namespace, Place, Result, View,
    links::{self, Cable},
};

const PREFIX: u8 = 16;
const BASE: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// The first member's address, behind those of the doors.
const MEMBERS: u32 = 1 << 8;
const END: u32 = (1 << 16) - 1;

pub(super) struct Outside {
    place: Place,
    space: Namespace,
    bridge: u32,
    view: View,
    doors: Vec<Door>,
    forwards: Vec<Forward>,
    addresses: u32,
    taken: BTreeSet<u32>,
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
            doors: Vec::new(),
            forwards: Vec::new(),
            addresses: 1,
            taken: BTreeSet::new(),
        })
    }

    /// The doors' names.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Makes the doors these.
    pub(super) async fn set_doors(&mut self, doors: Vec<Door>) -> Result<()> {
        if doors == self.doors {
            return Ok(());
        }
        let count = u32::try_from(doors.len()).unwrap_or(u32::MAX);
        if count > MEMBERS - 2 {
            return Err(Error::Wrong(format!("{count} doors are more than fit")));
        }
        // The names last: they lead to doors that are open.
        self.forwards.clear();
        let mut names = std::collections::BTreeMap::new();
        for (at, door) in (2..).zip(&doors) {
            while self.addresses < at {
                links::address(&self.space, self.bridge, number(self.addresses + 1), PREFIX).await?;
                self.addresses += 1;
            }
            for (port, to) in &door.ports {
                let listens = SocketAddr::new(number(at), *port);
                let step = format!("opening the door to {to} at {listens}");
                let forward = Forward::start(&self.place, listens, Place::Host, *to).await;
                self.forwards.push(forward.map_err(Error::machine(step))?);
            }
            for host in &door.hosts {
                names.insert(host.clone(), vec![number(at)]);
            }
        }
        self.view.set(names);
        self.doors = doors;
        Ok(())
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

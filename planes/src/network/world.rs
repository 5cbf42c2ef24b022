//! The rest of the world, for a member that is to reach what this machine does.
//!
//! There is no route from a member's network into the machine's, and none is made. Instead the member's connections
//! are taken in a namespace that holds every address for its own, and made anew from the machine's, to the address they
//! were meant for: TCP of IPv4 only, on the ports below.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use super::{
    Error, Forward, Namespace, Place, Result,
    links::{self, Cable},
};

/// The ports on which connections are taken: what shells, package managers, version control and clients of APIs use.
const PORTS: [u16; 6] = [22, 80, 443, 5432, 8080, 8443];
const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 19, 0, 1));
const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 19, 0, 2));
const PREFIX: u8 = 30;
const RANK: u32 = 10;

/// What private networks may be made of (RFC 1918): a member of one looks for these there, not in the world.
pub(super) const PRIVATE: [(Ipv4Addr, u8); 3] =
    [(Ipv4Addr::new(10, 0, 0, 0), 8), (Ipv4Addr::new(172, 16, 0, 0), 12), (Ipv4Addr::new(192, 168, 0, 0), 16)];
/// Everything, in halves: before any way that leads everywhere.
const HALVES: [(Ipv4Addr, u8); 2] = [(Ipv4Addr::UNSPECIFIED, 1), (Ipv4Addr::new(128, 0, 0, 0), 1)];

/// A member's way to the world, for as long as it is held.
pub(super) struct World {
    _space: Namespace,
    _forwards: Vec<Forward>,
}

/// A range of addresses.
pub(super) fn range((address, prefix): (Ipv4Addr, u8)) -> Result<IpNet> {
    Ipv4Net::new(address, prefix).map(IpNet::V4).map_err(|error| Error::Wrong(error.to_string()))
}

impl World {
    /// Opens it for a member: what this place reaches.
    pub(super) async fn open(member: &Namespace, reaches: &Place) -> Result<Self> {
        let space = Namespace::create(format!("the world of {}", member.label())).await?;
        let bridge = links::bridge(&space, "world", Some(NEAR)).await?;
        links::address(&space, bridge, NEAR, PREFIX).await?;
        let cable = Cable { bridge, port: "member", name: "world0", address: Some(FAR), isolated: true };
        let (_, far) = links::plug(&space, member, &cable).await?;
        links::address(member, far, FAR, PREFIX).await?;
        links::take_everything(&space).await?;
        let place = Place::Within(space.clone());
        let mut forwards = Vec::new();
        for port in PORTS {
            let listens = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            let forward = Forward::as_meant(&place, listens, reaches.clone()).await;
            forwards.push(forward.map_err(Error::machine(format!("opening port {port} to the world")))?);
        }
        for half in HALVES {
            links::add_route(member, range(half)?, NEAR, RANK).await?;
        }
        Ok(Self { _space: space, _forwards: forwards })
    }
}

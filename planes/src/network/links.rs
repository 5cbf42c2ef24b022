//! Interfaces, addresses and routes of a namespace.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use futures::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::{
    LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
    packet_route::{
        address::{AddressAttribute, AddressFlags, AddressHeaderFlags},
        link::{
            BridgePortState, InfoBridgePort, InfoData, InfoPortData, InfoVeth, LinkAttribute, LinkInfo, LinkMessage,
        },
        route::{RouteMessage, RouteScope, RouteType},
    },
};

use super::{Error, Namespace, Result};

/// The index of the loopback interface in every namespace.
pub(super) const LOOPBACK: u32 = 1;
/// How often it is looked whether a cable carries.
const LOOK: Duration = Duration::from_millis(1);
/// How long that may take: the kernel may put it off for a second.
const CARRIES: Duration = Duration::from_secs(10);

/// A hardware address made from an IP address: whoever gets the address anew has it too, so that nobody's memory of
/// its neighbours is ever wrong.
pub(super) fn hardware(address: IpAddr) -> Vec<u8> {
    let tail = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let octets = address.octets();
            let mut tail = [0; 4];
            for (at, octet) in octets.into_iter().enumerate() {
                tail[at % 4] ^= octet.rotate_left(u32::try_from(at / 4).unwrap_or(0));
            }
            tail
        }
    };
    [&[0x02, if address.is_ipv4() { 4 } else { 6 }], tail.as_slice()].concat()
}

pub(super) async fn up(space: &Namespace, index: u32) -> Result<()> {
    let wanted = LinkUnspec::new_with_index(index).up().build();
    space.links().link().change(wanted).execute().await.map_err(Error::link(step(
        space,
        "switching on interface",
        index,
    )))
}

/// Adds a bridge that is on, and gives its index.
pub(super) async fn bridge(space: &Namespace, name: &str, address: Option<IpAddr>) -> Result<u32> {
    let mut wanted = LinkBridge::new(name).up();
    if let Some(address) = address {
        wanted = wanted.address(hardware(address));
    }
    let step = step(space, "adding bridge", name);
    space.links().link().add(wanted.build()).execute().await.map_err(Error::link(&*step))?;
    index(space, name).await
}

/// A cable from a bridge to another namespace.
pub(super) struct Cable<'a> {
    /// The bridge it is plugged into.
    pub(super) bridge: u32,
    /// The name of the bridge's end.
    pub(super) port: &'a str,
    /// The name of the other end, inside the other namespace.
    pub(super) name: &'a str,
    /// Its first address, which gives the hardware address.
    pub(super) address: Option<IpAddr>,
    /// Whether it reaches only the bridge itself, no other cable of it.
    pub(super) isolated: bool,
}

/// Lays a cable; gives the indexes of the bridge's end and of the other.
pub(super) async fn plug(space: &Namespace, other: &Namespace, cable: &Cable<'_>) -> Result<(u32, u32)> {
    let mut far: LinkMessage = LinkMessageBuilder::<LinkUnspec>::new().name(cable.name).build();
    far.attributes.push(LinkAttribute::NetNsFd(other.descriptor()));
    if let Some(address) = cable.address {
        far.attributes.push(LinkAttribute::Address(hardware(address)));
    }
    let near = LinkVeth::new(cable.port, cable.name)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far)))
        .controller(cable.bridge)
        .up()
        .build();
    let step = step(space, "plugging in", other.label());
    space.links().link().add(near).execute().await.map_err(Error::link(&*step))?;
    let port = index(space, cable.port).await?;
    if cable.isolated {
        let wanted = LinkBridgePort::new(port).isolated(true).build();
        space.links().link().set_port(wanted).execute().await.map_err(Error::link(&*step))?;
    }
    let far = index(other, cable.name).await?;
    up(other, far).await?;
    carries(space, port, &step).await?;
    Ok((port, far))
}

/// Waits until a bridge lets through what comes by a cable. The kernel sees to that some time after both ends are on;
/// what is sent before is lost, and a connection tried anew only a second later.
async fn carries(space: &Namespace, port: u32, step: &str) -> Result<()> {
    let mut looks = tokio::time::interval(LOOK);
    let waiting = async {
        loop {
            looks.tick().await;
            let mut found = std::pin::pin!(space.links().link().get().match_index(port).execute());
            if found.try_next().await.map_err(Error::link(step))?.as_ref().is_some_and(forwards) {
                return Ok(());
            }
        }
    };
    let late = || std::io::Error::other(format!("the bridge lets nothing through after {CARRIES:?}"));
    tokio::time::timeout(CARRIES, waiting).await.unwrap_or_else(|_| Err(Error::machine(step)(late())))
}

fn forwards(link: &LinkMessage) -> bool {
    link.attributes.iter().any(|attribute| {
        let LinkAttribute::LinkInfo(infos) = attribute else { return false };
        infos.iter().any(|info| {
            matches!(info, LinkInfo::PortData(InfoPortData::BridgePort(port))
                if port.contains(&InfoBridgePort::State(BridgePortState::Forwarding)))
        })
    })
}

pub(super) async fn unplug(space: &Namespace, index: u32) -> Result<()> {
    space.links().link().del(index).execute().await.map_err(Error::link(step(space, "removing interface", index)))
}

/// Gives an interface an address, which is good at once: nobody else can have it.
pub(super) async fn address(space: &Namespace, index: u32, address: IpAddr, prefix: u8) -> Result<()> {
    let mut request = space.links().address().add(index, address, prefix);
    if address.is_ipv6() {
        let message = request.message_mut();
        message.header.flags |= AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    request.execute().await.map_err(Error::link(step(space, "adding address", address)))
}

/// A route: to where, through whom; the smaller rank is asked first.
pub(super) async fn add_route(space: &Namespace, to: IpNet, via: IpAddr, rank: u32) -> Result<()> {
    let route = route(to, via, rank)?;
    let step = step(space, "adding the route to", to);
    space.links().route().add(route).execute().await.map_err(Error::link(step))
}

pub(super) async fn drop_route(space: &Namespace, to: IpNet, via: IpAddr, rank: u32) -> Result<()> {
    let route = route(to, via, rank)?;
    let step = step(space, "removing the route to", to);
    space.links().route().del(route).execute().await.map_err(Error::link(step))
}

/// Lets a namespace hold every address of IPv4 for its own that it has no other way to.
pub(super) async fn take_everything(space: &Namespace) -> Result<()> {
    // In the main table, which is asked after the own addresses, and where longer prefixes win.
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
        .output_interface(LOOPBACK)
        .kind(RouteType::Local)
        .scope(RouteScope::Host)
        .build();
    let step = step(space, "taking", "every address");
    space.links().route().add(route).execute().await.map_err(Error::link(step))
}

fn route(to: IpNet, via: IpAddr, rank: u32) -> Result<RouteMessage> {
    match (to, via) {
        (IpNet::V4(to), IpAddr::V4(via)) => Ok(RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(to.network(), to.prefix_len())
            .gateway(via)
            .priority(rank)
            .build()),
        (IpNet::V6(to), IpAddr::V6(via)) => Ok(RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(to.network(), to.prefix_len())
            .gateway(via)
            .priority(rank)
            .build()),
        _ => Err(Error::Wrong(format!("the route to {to} goes through {via}, an address of another kind"))),
    }
}

async fn index(space: &Namespace, name: &str) -> Result<u32> {
    let name = name.to_owned();
    let step = step(space, "looking for interface", &name);
    // Asked inside: the number of an interface is its namespace's own.
    space
        .run(move || nix::net::if_::if_nametoindex(name.as_str()).map_err(Into::into))
        .await
        .map_err(Error::machine(step))
}

fn step(space: &Namespace, what: &str, which: impl std::fmt::Display) -> String {
    format!("{what} {which} in the namespace of {}", space.label())
}

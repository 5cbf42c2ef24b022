//! Private networks as a daemon's own.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest,
    NetworkDisconnectRequest,
};
use ipnet::IpNet;
use tokio::sync::Mutex;

use super::{Daemon, Error, is_gone};
use crate::network::{self, Attachment, Member, MemberSpec, NetworkSpec, Place, Result};

/// The private networks of one cloud, and what is on them.
///
/// A network is made when the first comes to it. Its bridge takes the address of the first process of this machine on
/// it (a database), which so listens at its own private address where the daemon's network is this machine's; and the
/// router's address where there is none. Only IPv4 is carried.
pub struct Networks {
    daemon: Arc<Daemon>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    networks: BTreeMap<String, Known>,
    /// The containers, with what they are attached to.
    containers: BTreeMap<String, Vec<Attachment>>,
    /// The processes of this machine.
    servers: BTreeMap<String, Vec<Attachment>>,
}

struct Known {
    spec: NetworkSpec,
    /// The address of its bridge, once the daemon has it.
    made: Option<Ipv4Addr>,
}

/// How a container is on one network.
pub(super) struct Seat {
    /// The network's name at the daemon.
    pub(super) network: String,
    /// Its address and names there.
    pub(super) endpoint: EndpointSettings,
}

impl Networks {
    /// None yet. What an unclean end left of this cloud at the daemon is removed.
    pub async fn open(daemon: Arc<Daemon>) -> super::Result<Self> {
        daemon.sweep().await?;
        Ok(Self { daemon, state: Mutex::default() })
    }

    /// The daemon that has them.
    pub fn daemon(&self) -> &Arc<Daemon> {
        &self.daemon
    }

    /// Removes whatever is at the daemon of this cloud: containers and images, too.
    pub async fn close(&self) -> super::Result<()> {
        let mut state = self.state.lock().await;
        *state = State::default();
        self.daemon.sweep().await
    }

    pub(crate) async fn set_network(&self, spec: NetworkSpec) -> Result<()> {
        let mut state = self.state.lock().await;
        if let Some(known) = state.networks.get_mut(&spec.id) {
            let ranges = |spec: &NetworkSpec| v4(spec);
            if known.made.is_some() && ranges(&known.spec) != ranges(&spec) {
                return Err(network::Error::Wrong(format!(
                    "the range of private network {} cannot change while it is used: Docker's networks cannot",
                    spec.id
                )));
            }
            known.spec = spec;
        } else {
            state.networks.insert(spec.id.clone(), Known { spec, made: None });
        }
        Ok(())
    }

    pub(crate) async fn remove_network(&self, id: &str) -> Result<()> {
        let mut state = self.state.lock().await;
        let mut members = state.containers.iter().chain(&state.servers);
        if let Some((by, _)) = members.find(|(_, attachments)| attachments.iter().any(|at| at.network == id)) {
            return Err(network::Error::Used { what: "network", id: id.to_owned(), by: by.clone() });
        }
        if state.networks.get(id).is_some_and(|known| known.made.is_some()) {
            self.daemon.remove_network(&self.daemon.name(id)).await?;
        }
        state.networks.remove(id);
        Ok(())
    }

    /// Makes place for a container. What is new about one that runs already is for the next of its name.
    pub(crate) async fn set_container(&self, spec: MemberSpec) -> Result<Arc<Member>> {
        let mut state = self.state.lock().await;
        for attachment in &spec.attachments {
            self.made(&mut state, &attachment.network).await?;
        }
        let addresses = spec.attachments.iter().filter_map(address).map(IpAddr::V4).collect();
        state.containers.insert(spec.id.clone(), spec.attachments);
        Ok(member(spec.id, addresses))
    }

    /// Makes place for a process of this machine. Its addresses are those at which it can listen.
    pub(crate) async fn set_server(&self, spec: MemberSpec) -> Result<Arc<Member>> {
        let mut state = self.state.lock().await;
        state.servers.insert(spec.id.clone(), spec.attachments.clone());
        let mut addresses = Vec::new();
        for attachment in &spec.attachments {
            let Some(wanted) = address(attachment) else { continue };
            self.made(&mut state, &attachment.network).await?;
            let known = state.known(&attachment.network)?;
            let others = |one: &Ipv4Addr| {
                let servers = state.servers.iter().filter(|(id, _)| **id != spec.id);
                servers.flat_map(|(_, attachments)| attachments).any(|at| address(at).as_ref() == Some(one))
            };
            match known.made {
                Some(has) if has == wanted => {}
                Some(has) if others(&has) => {
                    tracing::warn!(
                        server = spec.id,
                        network = attachment.network,
                        "it has no private endpoint: with Docker only the first database of a private network has"
                    );
                    continue;
                }
                _ => self.move_bridge(&mut state, &attachment.network, wanted).await?,
            }
            match Place::Host.listen(SocketAddr::new(wanted.into(), 0)).await {
                Ok(_) => addresses.push(IpAddr::V4(wanted)),
                Err(error) => tracing::warn!(
                    server = spec.id,
                    %error,
                    "it has no private endpoint: the Docker daemon's networks are not this machine's"
                ),
            }
        }
        Ok(member(spec.id, addresses))
    }

    pub(crate) async fn remove_member(&self, id: &str) {
        let mut state = self.state.lock().await;
        state.containers.remove(id);
        state.servers.remove(id);
    }

    /// How a container is on its networks, and the names it can ask for.
    pub(super) async fn seats(&self, container: &str) -> Result<(Vec<Seat>, Vec<(String, IpAddr)>)> {
        let state = self.state.lock().await;
        let attachments = state.containers.get(container).ok_or_else(|| unknown("member", container))?;
        let mut seats = Vec::new();
        let mut names = Vec::new();
        for attachment in attachments {
            let spec = &state.known(&attachment.network)?.spec;
            seats.push(Seat { network: self.daemon.name(&spec.id), endpoint: endpoint(spec, attachment) });
            let told = spec.names.iter().flat_map(|(name, to)| to.iter().map(move |to| (name.clone(), *to)));
            names.extend(told.filter(|(_, to)| to.is_ipv4()));
        }
        Ok((seats, names))
    }

    /// Sees to it that the daemon has a network.
    async fn made(&self, state: &mut State, id: &str) -> Result<()> {
        let known = state.networks.get_mut(id).ok_or_else(|| unknown("network", id))?;
        if known.made.is_none() {
            let router = v4(&known.spec).first().map(|(_, router)| *router);
            let router = router
                .ok_or_else(|| network::Error::Wrong(format!("private network {id} has no range of IPv4 addresses")))?;
            self.make(&known.spec, router).await?;
            known.made = Some(router);
        }
        Ok(())
    }

    /// Gives a network's bridge another address. Its containers are taken off and put on again.
    async fn move_bridge(&self, state: &mut State, id: &str, to: Ipv4Addr) -> Result<()> {
        let name = self.daemon.name(id);
        let attached: Vec<_> = state
            .containers
            .iter()
            .filter_map(|(container, at)| {
                Some((self.daemon.name(container), at.iter().find(|at| at.network == id)?.clone()))
            })
            .collect();
        let known = state.networks.get_mut(id).ok_or_else(|| unknown("network", id))?;
        let client = self.daemon.client();
        for (container, _) in &attached {
            let off = NetworkDisconnectRequest { container: container.clone(), force: Some(true) };
            match client.disconnect_network(&name, off).await {
                // It is not there yet, and will find the network as it is then.
                Err(error) if is_gone(&error) => {}
                other => other.map_err(Error::said(format!("taking {container} off network {name}")))?,
            }
        }
        self.daemon.remove_network(&name).await?;
        known.made = None;
        self.make(&known.spec, to).await?;
        known.made = Some(to);
        for (container, attachment) in attached {
            let on = NetworkConnectRequest {
                container: container.clone(),
                endpoint_config: Some(endpoint(&known.spec, &attachment)),
            };
            match client.connect_network(&name, on).await {
                Err(error) if is_gone(&error) => {}
                other => other.map_err(Error::said(format!("putting {container} on network {name}")))?,
            }
        }
        Ok(())
    }

    async fn make(&self, spec: &NetworkSpec, bridge: Ipv4Addr) -> Result<()> {
        let range = v4(spec).first().map(|(range, _)| range.to_string()).unwrap_or_default();
        let request = NetworkCreateRequest {
            name: self.daemon.name(&spec.id),
            driver: Some("bridge".to_owned()),
            // No way out of it.
            internal: Some(true),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(range.clone()),
                    gateway: Some(bridge.to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            labels: Some(self.daemon.labels()),
            ..NetworkCreateRequest::default()
        };
        match self.daemon.client().create_network(request).await {
            Ok(_) => Ok(()),
            Err(error) if error.to_string().to_lowercase().contains("overlap") => {
                Err(Error::Overlaps { network: spec.id.clone(), range }.into())
            }
            Err(error) => Err(Error::said(format!("making private network {}", spec.id))(error).into()),
        }
    }
}

impl State {
    fn known(&self, id: &str) -> Result<&Known> {
        self.networks.get(id).ok_or_else(|| unknown("network", id))
    }
}

fn unknown(what: &'static str, id: &str) -> network::Error {
    network::Error::Unknown { what, id: id.to_owned() }
}

fn member(id: String, addresses: Vec<IpAddr>) -> Arc<Member> {
    Arc::new(Member { id, place: Place::Host, addresses, nameserver: None })
}

/// The IPv4 ranges of a network, with the router's address.
fn v4(spec: &NetworkSpec) -> Vec<(IpNet, Ipv4Addr)> {
    let ranges = spec.subnets.iter();
    ranges
        .filter_map(|subnet| if let IpAddr::V4(router) = subnet.router { Some((subnet.range, router)) } else { None })
        .collect()
}

/// The IPv4 address of an attachment.
fn address(attachment: &Attachment) -> Option<Ipv4Addr> {
    attachment
        .addresses
        .iter()
        .find_map(|address| if let IpAddr::V4(address) = address { Some(*address) } else { None })
}

/// How a container is on a network: with its address, and the names that lead to it.
fn endpoint(spec: &NetworkSpec, attachment: &Attachment) -> EndpointSettings {
    let address = address(attachment);
    let names = spec.names.iter().filter(|(_, to)| address.is_some_and(|address| to.contains(&IpAddr::V4(address))));
    EndpointSettings {
        ipam_config: address.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        aliases: Some(names.map(|(name, _)| name.clone()).collect()),
        ..EndpointSettings::default()
    }
}

/// The network through which containers are asked: on it they reach each other as little as anything else of Docker's.
pub(super) async fn entry(daemon: &Daemon) -> super::Result<String> {
    let name = daemon.name("entry");
    let options = ["enable_icc", "enable_ip_masquerade"];
    let options: HashMap<_, _> =
        options.map(|option| (format!("com.docker.network.bridge.{option}"), "false".to_owned())).into();
    let request = NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".to_owned()),
        options: Some(options),
        labels: Some(daemon.labels()),
        ..NetworkCreateRequest::default()
    };
    let made = daemon.client().create_network(request).await;
    made.map_err(Error::said("making the network through which containers are asked"))?;
    Ok(name)
}

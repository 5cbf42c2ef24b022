//! The networks of one cloud.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use tokio::sync::Mutex;

use super::{
    Attachment, Choice, Door, Driver, Error, MemberSpec, Namespace, NetworkSpec, Place, Probe, Resolver, Result, View,
    VpcSpec, links,
    outside::{Outside, Uplink},
    router::Router,
    world::{PRIVATE, World, range},
};
use crate::docker::{Daemon, Networks};

/// Where names are asked for in a member's namespace.
const NAMESERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
/// Rank of the way to the router, plus the number of the interface.
const DEFAULT_RANK: u32 = 1000;

/// The networks of one cloud. All of it ends when it is dropped and the processes inside have ended.
pub struct Fabric {
    driver: Driver,
    docker: Option<Arc<Networks>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    routers: BTreeMap<String, Router>,
    outside: Option<Outside>,
    members: BTreeMap<String, Plugged>,
}

struct Plugged {
    spec: MemberSpec,
    space: Namespace,
    member: Arc<Member>,
    cables: Vec<Plug>,
    uplink: Option<Uplink>,
    world: Option<World>,
    /// Counts interfaces.
    named: u32,
    resolver: Resolver,
}

struct Plug {
    attachment: Attachment,
    vpc: String,
    port: u32,
    rank: u32,
    /// The ways to the router that are set.
    routes: Vec<(IpNet, IpAddr)>,
}

/// Something on networks, as it is.
#[derive(Clone)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Where its processes are started and connected to.
    pub place: Place,
    /// Its addresses: those of its networks first, then the one outside.
    pub addresses: Vec<IpAddr>,
    /// Where it asks for names; none: as the machine does.
    pub nameserver: Option<IpAddr>,
}

impl Member {
    /// Its first address.
    pub fn address(&self) -> Option<IpAddr> {
        self.addresses.first().copied()
    }
}

pub(super) fn unknown(what: &'static str, id: &str) -> Error {
    Error::Unknown { what, id: id.to_owned() }
}

impl Fabric {
    /// One without networks.
    pub fn new(driver: Driver) -> Self {
        Self { driver, docker: None, state: Mutex::default() }
    }

    /// One without networks, which will be those of a Docker daemon.
    pub fn of_docker(networks: Arc<Networks>) -> Self {
        let driver = Driver::Docker { daemon: networks.daemon().told().to_owned() };
        Self { driver, docker: Some(networks), state: Mutex::default() }
    }

    /// One without networks, with the best driver there is here, or the one that is wanted. Where that cannot be had,
    /// the driver is loopback and says why. The folder tells what a daemon has of this cloud from that of another.
    pub async fn open(choice: Choice, folder: &Path) -> Self {
        match choose(choice, folder).await {
            (driver, None) => Self::new(driver),
            (_, Some(daemon)) => match Networks::open(Arc::new(daemon)).await {
                Ok(networks) => Self::of_docker(Arc::new(networks)),
                Err(error) => Self::new(Driver::Loopback { missing: error.to_string() }),
            },
        }
    }

    /// The driver that [`Fabric::open`] would take. Nothing is changed for that.
    pub async fn look(choice: Choice) -> Driver {
        choose(choice, Path::new("")).await.0
    }

    /// The Docker daemon's networks, where those are used.
    pub fn docker(&self) -> Option<&Arc<Networks>> {
        self.docker.as_ref()
    }

    /// How networks are made here.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    fn isolates(&self) -> bool {
        self.driver == Driver::Namespaces
    }

    /// Makes a VPC, or brings it to what is wanted.
    pub async fn set_vpc(&self, spec: VpcSpec) -> Result<()> {
        if !self.isolates() {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        let state = &mut *state;
        match state.routers.get_mut(&spec.id) {
            Some(router) => router.update(spec.clone()).await?,
            None => {
                state.routers.insert(spec.id.clone(), Router::create(spec.clone()).await?);
            }
        }
        let Some(router) = state.routers.get(&spec.id) else { return Ok(()) };
        for plugged in state.members.values_mut() {
            let Plugged { cables, space, world, .. } = plugged;
            for plug in cables.iter_mut().filter(|plug| plug.vpc == spec.id) {
                plug.route(space, router, world.is_some()).await?;
            }
        }
        Ok(())
    }

    /// Removes a VPC. It must have no networks.
    pub async fn remove_vpc(&self, id: &str) -> Result<()> {
        let mut state = self.state.lock().await;
        if let Some(network) = state.routers.get(id).and_then(|router| router.networks().next()) {
            return Err(Error::Used { what: "VPC", id: id.to_owned(), by: network.id.clone() });
        }
        state.routers.remove(id);
        Ok(())
    }

    /// Makes a private network, or brings it to what is wanted: ranges can be added, names replaced.
    pub async fn set_network(&self, spec: NetworkSpec) -> Result<()> {
        if !self.isolates() && self.docker.is_none() {
            return Ok(());
        }
        for subnet in &spec.subnets {
            if !subnet.range.contains(&subnet.router) {
                return Err(Error::Wrong(format!("the router's address {} is not in {}", subnet.router, subnet.range)));
            }
        }
        if let Some(docker) = &self.docker {
            return docker.set_network(spec).await;
        }
        let mut state = self.state.lock().await;
        let router = state.routers.get_mut(&spec.vpc).ok_or_else(|| unknown("VPC", &spec.vpc))?;
        router.set_network(spec).await
    }

    /// Removes a private network. It must have no members.
    pub async fn remove_network(&self, id: &str) -> Result<()> {
        if let Some(docker) = &self.docker {
            return docker.remove_network(id).await;
        }
        let mut state = self.state.lock().await;
        let used = state.members.values().find(|m| m.spec.attachments.iter().any(|a| a.network == id));
        if let Some(by) = used {
            return Err(Error::Used { what: "network", id: id.to_owned(), by: by.spec.id.clone() });
        }
        for router in state.routers.values_mut() {
            router.remove_network(id).await?;
        }
        Ok(())
    }

    /// Makes the doors to the outside these.
    pub async fn set_doors(&self, doors: Vec<Door>) -> Result<()> {
        if !self.isolates() {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        state.outside().await?.set_doors(doors).await
    }

    /// Makes a member, or brings its attachments to what is wanted.
    ///
    /// With a Docker daemon it is a place for a container; see [`Fabric::set_server`].
    pub async fn set_member(&self, spec: MemberSpec) -> Result<Arc<Member>> {
        if let Some(docker) = &self.docker {
            return docker.set_container(spec).await;
        }
        if !self.isolates() {
            let addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
            return Ok(Arc::new(Member { id: spec.id, place: Place::Host, addresses, nameserver: None }));
        }
        let mut state = self.state.lock().await;
        let state = &mut *state;
        let mut plugged = match state.members.remove(&spec.id) {
            Some(plugged) => plugged,
            None => Plugged::create(&spec).await?,
        };
        let made = plugged.attach(state, spec).await;
        let member = Arc::clone(&plugged.member);
        // Kept even where a part failed: what was made has to be removed some time.
        state.members.insert(member.id.clone(), plugged);
        made.map(|()| member)
    }

    /// Makes a member whose processes are started in its place, not by a daemon. It can listen at those of its addresses
    /// that it is told to have.
    pub async fn set_server(&self, spec: MemberSpec) -> Result<Arc<Member>> {
        match &self.docker {
            Some(docker) => docker.set_server(spec).await,
            None => self.set_member(spec).await,
        }
    }

    /// Removes a member. Processes inside lose their network.
    pub async fn remove_member(&self, id: &str) -> Result<()> {
        if let Some(docker) = &self.docker {
            docker.remove_member(id).await;
            return Ok(());
        }
        let mut state = self.state.lock().await;
        let Some(mut plugged) = state.members.remove(id) else { return Ok(()) };
        let nothing = MemberSpec { id: id.to_owned(), attachments: Vec::new(), doors: false };
        plugged.attach(&mut state, nothing).await
    }

    /// Lets a member reach what a place reaches, mostly this machine's own network: by the names that the machine finds,
    /// and by addresses of IPv4, over TCP on the usual ports.
    pub async fn open_world(&self, id: &str, reaches: &Place) -> Result<()> {
        let mut state = self.state.lock().await;
        let State { routers, outside, members } = &mut *state;
        let Some(plugged) = members.get_mut(id) else { return Err(unknown("member", id)) };
        if plugged.world.is_some() {
            return Ok(());
        }
        plugged.world = Some(World::open(&plugged.space, reaches).await?);
        for plug in &mut plugged.cables {
            let router = routers.get(&plug.vpc).ok_or_else(|| unknown("VPC", &plug.vpc))?;
            plug.route(&plugged.space, router, true).await?;
        }
        plugged.tell(routers, outside.as_ref())
    }

    /// A member, as it is.
    pub async fn member(&self, id: &str) -> Option<Arc<Member>> {
        self.state.lock().await.members.get(id).map(|plugged| Arc::clone(&plugged.member))
    }

    /// Tries to connect from inside a member.
    pub async fn probe(&self, member: &str, to: SocketAddr, patience: Duration) -> Result<Probe> {
        let from = self.member(member).await.ok_or_else(|| unknown("member", member))?;
        Ok(from.place.probe(to, patience).await)
    }
}

async fn choose(choice: Choice, folder: &Path) -> (Driver, Option<Daemon>) {
    let found = match choice {
        Choice::Loopback => Err("loopback is chosen".to_owned()),
        Choice::Docker => Daemon::find(folder).await.map_err(|error| error.to_string()),
        Choice::Automatic | Choice::Native => match Driver::detect().await {
            Driver::Loopback { missing } if choice == Choice::Automatic => {
                Daemon::find(folder).await.map_err(|error| format!("{missing}; {error}"))
            }
            driver => return (driver, None),
        },
    };
    match found {
        Ok(daemon) => (Driver::Docker { daemon: daemon.told().to_owned() }, Some(daemon)),
        Err(missing) => (Driver::Loopback { missing }, None),
    }
}

impl State {
    async fn outside(&mut self) -> Result<&mut Outside> {
        if self.outside.is_none() {
            self.outside = Some(Outside::create().await?);
        }
        self.outside.as_mut().ok_or_else(|| unknown("network", "the outside"))
    }

    fn router_of(&mut self, network: &str) -> Result<(String, &mut Router)> {
        self.routers
            .iter_mut()
            .find(|(_, router)| router.network(network).is_some())
            .map(|(vpc, router)| (vpc.clone(), router))
            .ok_or_else(|| unknown("network", network))
    }
}

impl Plugged {
    async fn create(spec: &MemberSpec) -> Result<Self> {
        let space = Namespace::create(spec.id.clone()).await?;
        let place = Place::Within(space.clone());
        let bare = MemberSpec { id: spec.id.clone(), attachments: Vec::new(), doors: false };
        let resolver = Resolver::serve(&place, SocketAddr::new(NAMESERVER, 53), View::default()).await?;
        let member = Member { id: spec.id.clone(), place, addresses: Vec::new(), nameserver: Some(NAMESERVER) };
        Ok(Self {
            spec: bare,
            space,
            member: Arc::new(member),
            cables: Vec::new(),
            uplink: None,
            world: None,
            named: 0,
            resolver,
        })
    }

    /// Unplugs what is not wanted any more, plugs in what is new.
    async fn attach(&mut self, state: &mut State, spec: MemberSpec) -> Result<()> {
        while let Some(at) = self.cables.iter().position(|plug| !spec.attachments.contains(&plug.attachment)) {
            let plug = &self.cables[at];
            if let Some(router) = state.routers.get(&plug.vpc) {
                router.unplug(plug.port).await?;
            }
            self.cables.remove(at);
        }
        if let Some(uplink) = self.uplink.take_if(|_| !spec.doors) {
            state.outside().await?.unplug(&uplink).await?;
        }
        for attachment in &spec.attachments {
            if self.cables.iter().any(|plug| plug.attachment == *attachment) {
                continue;
            }
            let (vpc, router) = state.router_of(&attachment.network)?;
            let interface = format!("eth{}", self.named);
            let rank = DEFAULT_RANK + self.named;
            self.named += 1;
            let (port, _) = router.plug(&attachment.network, &self.space, &interface, &attachment.addresses).await?;
            let mut plug = Plug { attachment: attachment.clone(), vpc, port, rank, routes: Vec::new() };
            let routed = plug.route(&self.space, router, self.world.is_some()).await;
            self.cables.push(plug);
            routed?;
        }
        if spec.doors && self.uplink.is_none() {
            self.uplink = Some(state.outside().await?.plug(&self.space, "out0").await?);
        }
        self.spec = spec;
        self.tell(&state.routers, state.outside.as_ref())
    }

    /// What follows from the attachments: addresses, and what names resolve.
    fn tell(&mut self, routers: &BTreeMap<String, Router>, outside: Option<&Outside>) -> Result<()> {
        let mut addresses: Vec<IpAddr> =
            self.cables.iter().flat_map(|plug| plug.attachment.addresses.iter().copied()).collect();
        let mut views = Vec::new();
        for plug in &self.cables {
            let router = routers.get(&plug.vpc).ok_or_else(|| unknown("VPC", &plug.vpc))?;
            views.extend(router.network(&plug.attachment.network).map(|bridge| bridge.view().clone()));
        }
        if let Some(uplink) = &self.uplink {
            addresses.push(uplink.address);
            views.extend(outside.map(|outside| outside.view().clone()));
        }
        let view = View::of(views);
        self.resolver.see(if self.world.is_some() { view.and_the_machine() } else { view });
        self.member = Arc::new(Member { addresses, ..Member::clone(&self.member) });
        Ok(())
    }
}

impl Plug {
    /// The ways to the router are those its VPC's settings ask for.
    async fn route(&mut self, space: &Namespace, router: &Router, world: bool) -> Result<()> {
        let mut wanted = Vec::new();
        if let Some(bridge) = router.network(&self.attachment.network).filter(|_| router.spec.routing) {
            for subnet in &bridge.spec.subnets {
                if self.attachment.addresses.iter().any(|address| subnet.range.contains(address)) {
                    match subnet.router {
                        IpAddr::V4(_) if world => {
                            for private in PRIVATE {
                                wanted.push((range(private)?, subnet.router));
                            }
                        }
                        IpAddr::V4(_) => wanted.push((IpNet::V4(Default::default()), subnet.router)),
                        IpAddr::V6(_) => wanted.push((IpNet::V6(Default::default()), subnet.router)),
                    }
                }
            }
        }
        while let Some(at) = self.routes.iter().position(|route| !wanted.contains(route)) {
            let (to, via) = self.routes[at];
            links::drop_route(space, to, via, self.rank).await?;
            self.routes.remove(at);
        }
        for (to, via) in wanted {
            if !self.routes.contains(&(to, via)) {
                links::add_route(space, to, via, self.rank).await?;
                self.routes.push((to, via));
            }
        }
        Ok(())
    }
}

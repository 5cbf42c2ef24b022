//! The router of a VPC: a namespace with a bridge for each private network.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Namespace, NetworkSpec, Result, Subnet, View, VpcSpec,
    acl::{self, Family},
    links::{self, Cable},
};

/// Rank of the user's own routes.
const ROUTE_RANK: u32 = 200;

pub(super) struct Router {
    pub(super) spec: VpcSpec,
    pub(super) space: Namespace,
    networks: BTreeMap<String, Bridge>,
    /// Counts interfaces, so that none is named as one before.
    named: u32,
}

pub(super) struct Bridge {
    pub(super) spec: NetworkSpec,
    index: u32,
    view: View,
}

impl Router {
    pub(super) async fn create(spec: VpcSpec) -> Result<Self> {
        let space = Namespace::create(format!("VPC {}", spec.id)).await?;
        let bare = VpcSpec {
            id: spec.id.clone(),
            routing: false,
            acl_v4: Default::default(),
            acl_v6: Default::default(),
            routes: Vec::new(),
        };
        let mut made = Self { spec: bare, space, networks: BTreeMap::new(), named: 0 };
        made.update(spec).await?;
        Ok(made)
    }

    /// Makes settings, access rules and routes these.
    pub(super) async fn update(&mut self, spec: VpcSpec) -> Result<()> {
        if spec.acl_v4 != self.spec.acl_v4 {
            acl::apply(&self.space, Family::V4, &spec.acl_v4).await?;
            self.spec.acl_v4 = spec.acl_v4;
        }
        if spec.acl_v6 != self.spec.acl_v6 {
            acl::apply(&self.space, Family::V6, &spec.acl_v6).await?;
            self.spec.acl_v6 = spec.acl_v6;
        }
        if spec.routing != self.spec.routing {
            let value = if spec.routing { "1" } else { "0" };
            self.space.set("ipv4/ip_forward", value).await?;
            self.space.set("ipv6/conf/all/forwarding", value).await?;
            self.spec.routing = spec.routing;
        }
        for gone in self.spec.routes.clone().iter().filter(|route| !spec.routes.contains(route)) {
            links::drop_route(&self.space, gone.destination, gone.via, ROUTE_RANK).await?;
            self.spec.routes.retain(|route| route != gone);
        }
        for new in &spec.routes {
            if !self.spec.routes.contains(new) {
                links::add_route(&self.space, new.destination, new.via, ROUTE_RANK).await?;
                self.spec.routes.push(new.clone());
            }
        }
        self.spec.routes = spec.routes;
        Ok(())
    }

    pub(super) fn network(&self, id: &str) -> Option<&Bridge> {
        self.networks.get(id)
    }

    pub(super) fn networks(&self) -> impl Iterator<Item = &NetworkSpec> {
        self.networks.values().map(|bridge| &bridge.spec)
    }

    /// Makes a private network, or brings it to what is wanted.
    pub(super) async fn set_network(&mut self, spec: NetworkSpec) -> Result<()> {
        if let Some(bridge) = self.networks.get_mut(&spec.id) {
            for subnet in new_subnets(&bridge.spec, &spec) {
                links::address(&self.space, bridge.index, subnet.router, subnet.range.prefix_len()).await?;
                bridge.spec.subnets.push(subnet);
            }
            bridge.view.set(spec.names.clone());
            bridge.spec.names = spec.names;
            return Ok(());
        }
        let name = self.name("net");
        let router = spec.subnets.first().map(|subnet| subnet.router);
        let index = links::bridge(&self.space, &name, router).await?;
        let view = View::default();
        view.set(spec.names.clone());
        for subnet in &spec.subnets {
            links::address(&self.space, index, subnet.router, subnet.range.prefix_len()).await?;
        }
        let id = spec.id.clone();
        self.networks.insert(id, Bridge { spec, index, view });
        Ok(())
    }

    pub(super) async fn remove_network(&mut self, id: &str) -> Result<()> {
        if let Some(bridge) = self.networks.remove(id) {
            links::unplug(&self.space, bridge.index).await?;
        }
        Ok(())
    }

    /// Plugs a member into a private network; gives the indexes of the router's end and the member's.
    pub(super) async fn plug(
        &mut self,
        network: &str,
        member: &Namespace,
        interface: &str,
        addresses: &[IpAddr],
    ) -> Result<(u32, u32)> {
        let port = self.name("port");
        let bridge = self.networks.get(network).ok_or_else(|| super::fabric::unknown("network", network))?;
        let address = addresses.first().copied();
        let cable = Cable { bridge: bridge.index, port: &port, name: interface, address, isolated: false };
        let (port, far) = links::plug(&self.space, member, &cable).await?;
        for address in addresses {
            links::address(member, far, *address, bridge.prefix(*address)?).await?;
        }
        Ok((port, far))
    }

    pub(super) async fn unplug(&self, port: u32) -> Result<()> {
        links::unplug(&self.space, port).await
    }

    fn name(&mut self, kind: &str) -> String {
        self.named += 1;
        format!("{kind}{}", self.named)
    }
}

impl Bridge {
    /// What resolves there.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    fn prefix(&self, address: IpAddr) -> Result<u8> {
        let subnet = self.spec.subnets.iter().find(|subnet| subnet.range.contains(&address));
        let subnet = subnet
            .ok_or_else(|| super::Error::Wrong(format!("{address} is in no range of network {}", self.spec.id)))?;
        Ok(subnet.range.prefix_len())
    }
}

fn new_subnets(had: &NetworkSpec, wanted: &NetworkSpec) -> Vec<Subnet> {
    wanted.subnets.iter().filter(|subnet| !had.subnets.contains(subnet)).copied().collect()
}

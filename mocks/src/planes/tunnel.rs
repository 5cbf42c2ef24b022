//! Ways into private networks for tools of this machine, as a bastion or a VPN would be; and attempts to get in.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use stackproof_planes::network::{Attachment, Fabric, Forward, Member, MemberSpec, Place, Probe};
use tokio::sync::Mutex;

use crate::{kernel::Store, services::vpc_plane};

/// How long an attempt may take.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Tunnels {
    fabric: Arc<Fabric>,
    open: Mutex<BTreeMap<(String, SocketAddr), Forward>>,
}

impl Tunnels {
    pub(super) fn new(fabric: Arc<Fabric>) -> Self {
        Self { fabric, open: Mutex::default() }
    }

    /// One for each network and address; the same again is the same.
    pub(super) async fn open(&self, store: &Store, network: &str, to: SocketAddr) -> Result<SocketAddr, String> {
        let mut open = self.open.lock().await;
        if let Some(tunnel) = open.get(&(network.to_owned(), to)) {
            return Ok(tunnel.listens());
        }
        let member = self.member(store, &format!("tunnel-{}", open.len()), Some(network), open.len()).await?;
        let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let tunnel = Forward::start(&Place::Host, here, member.place.clone(), to).await;
        let tunnel = tunnel.map_err(|error| format!("no tunnel could be opened: {error}"))?;
        let listens = tunnel.listens();
        open.insert((network.to_owned(), to), tunnel);
        Ok(listens)
    }

    pub(super) async fn probe(&self, store: &Store, network: Option<&str>, to: SocketAddr) -> Result<Probe, String> {
        // One at a time: they share a name.
        let open = self.open.lock().await;
        let member = self.member(store, "probe", network, open.len()).await?;
        let probe = member.place.probe(to, PATIENCE).await;
        self.fabric.remove_member("probe").await.map_err(|error| error.to_string())?;
        Ok(probe)
    }

    /// Something in this network, with an address that nobody else has; or in none.
    async fn member(&self, store: &Store, id: &str, network: Option<&str>, skip: usize) -> Result<Arc<Member>, String> {
        let isolation = self.fabric.driver().isolation();
        if !isolation.provable {
            let missing = isolation.missing.unwrap_or_default();
            return Err(format!("this machine has no networks of its own for private networks: {missing}"));
        }
        let attachments = match network {
            None => Vec::new(),
            Some(network) => {
                // The last addresses are those of further containers; these come before them.
                let unused = store.read(|tables| vpc_plane::unused(tables, network));
                let address = unused.into_iter().rev().nth(skip);
                let address = address.ok_or_else(|| format!("there is no private network {network}, or it is full"))?;
                vec![Attachment { network: network.to_owned(), addresses: vec![address] }]
            }
        };
        let made = self.fabric.set_member(MemberSpec { id: id.to_owned(), attachments, doors: false }).await;
        made.map_err(|error| error.to_string())
    }
}

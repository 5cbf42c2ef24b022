//! Ways into private networks for tools of this machine, as a bastion or a VPN would be; and attempts to get in.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use stackproof_planes::network::{Forward, Place, Probe};
use tokio::sync::Mutex;

use super::guests::Guests;
use crate::kernel::Store;

/// How long an attempt may take.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Tunnels {
    guests: Arc<Guests>,
    open: Mutex<BTreeMap<(String, SocketAddr), Forward>>,
}

impl Tunnels {
    pub(super) fn new(guests: Arc<Guests>) -> Self {
        Self { guests, open: Mutex::default() }
    }

    /// One for each network and address; the same again is the same.
    pub(super) async fn open(&self, store: &Store, network: &str, to: SocketAddr) -> Result<SocketAddr, String> {
        let mut open = self.open.lock().await;
        if let Some(tunnel) = open.get(&(network.to_owned(), to)) {
            return Ok(tunnel.listens());
        }
        let member = self.guests.seat(store, &format!("tunnel-{}", open.len()), Some(network), false).await?;
        let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let tunnel = Forward::start(&Place::Host, here, member.place.clone(), to).await;
        let tunnel = tunnel.map_err(|error| format!("no tunnel could be opened: {error}"))?;
        let listens = tunnel.listens();
        open.insert((network.to_owned(), to), tunnel);
        Ok(listens)
    }

    pub(super) async fn probe(&self, store: &Store, network: Option<&str>, to: SocketAddr) -> Result<Probe, String> {
        // One at a time: they share a name.
        let _alone = self.open.lock().await;
        let member = self.guests.seat(store, "probe", network, false).await?;
        let probe = member.place.probe(to, PATIENCE).await;
        self.guests.leave("probe").await;
        Ok(probe)
    }
}

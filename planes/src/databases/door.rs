//! Where an instance is reached.

use std::net::{Ipv4Addr, SocketAddr};

use super::{Error, Instance, Result, keeper::Keeper, open};
use crate::network::{Forward, Place};

impl Keeper {
    /// The server's port, and where the public endpoint leads to.
    pub(super) async fn addresses(&self, instance: &Instance, place: &Place) -> Result<(u16, Option<SocketAddr>)> {
        let loopback = match place {
            Place::Within(_) => Ipv4Addr::LOCALHOST,
            // One of its own, so that no other server of this machine is in the way.
            Place::Host => {
                let [a, b, c, _] = open::digest(&format!("{}{}", self.sockets.display(), instance.id));
                Ipv4Addr::new(127, a.clamp(1, 254), b, c.clamp(2, 254))
            }
        };
        let port = match (&instance.private, place, self.wanted.as_ref()) {
            (Some(private), ..) => private.port,
            (None, _, Some(had)) if had.instance.private.is_none() && same_place(&had.place, place) => had.port,
            (None, Place::Within(_), _) => 5432,
            (None, Place::Host, _) => {
                let free = place.listen(SocketAddr::new(loopback.into(), 0)).await;
                let free = free.and_then(|free| free.local_addr());
                free.map_err(Error::machine(format!("looking for a free port of {loopback}")))?.port()
            }
        };
        Ok((port, instance.public.map(|_| SocketAddr::new(loopback.into(), port))))
    }

    /// Opens the public endpoint, moves or closes it.
    pub(super) async fn open_door(&mut self) -> Result<()> {
        let Some(wanted) = &self.wanted else { return Ok(()) };
        let (Some(public), Some(door)) = (wanted.instance.public, wanted.door) else {
            if let Some((_, forward)) = self.forward.take() {
                forward.end().await;
            }
            self.say(|status| status.public = None);
            return Ok(());
        };
        let fits = |at: SocketAddr| at == public || (public.port() == 0 && at.ip() == public.ip());
        if let Some((to, forward)) = &self.forward
            && *to == door
            && fits(forward.listens())
        {
            return Ok(());
        }
        // The port it had is kept where any will do.
        let mut at = public;
        if let Some((_, forward)) = self.forward.take() {
            at = Some(forward.listens()).filter(|had| fits(*had)).unwrap_or(public);
            forward.end().await;
        }
        let forward = Forward::start(&Place::Host, at, wanted.place.clone(), door)
            .await
            .map_err(Error::machine(format!("listening on {public}")))?;
        self.say(|status| status.public = Some(forward.listens()));
        self.forward = Some((door, forward));
        Ok(())
    }
}

/// Whether two places are one network.
pub(super) fn same_place(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Host, Place::Host) => true,
        (Place::Within(one), Place::Within(other)) => matches!((one.inode(), other.inode()), (Ok(a), Ok(b)) if a == b),
        _ => false,
    }
}

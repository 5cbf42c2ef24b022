//! Where containers are in their private networks.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use stackproof_planes::{
    containers::Places,
    network::{self, Attachment, Fabric, Member, MemberSpec},
};

use crate::kernel::Cloud;

/// Where the containers of one service are in their private network. The first has the address that IPAM gave; further
/// ones take free addresses from the end of the range.
pub(super) struct Seats {
    fabric: Arc<Fabric>,
    key: String,
    cloud: Weak<Cloud>,
    attachment: Mutex<Option<Attachment>>,
    taken: Mutex<BTreeMap<String, IpAddr>>,
}

impl Seats {
    pub(super) fn new(fabric: Arc<Fabric>, key: &str, attachment: Option<Attachment>, cloud: Weak<Cloud>) -> Self {
        let (attachment, taken) = (Mutex::new(attachment), Mutex::default());
        Self { fabric, key: key.to_owned(), cloud, attachment, taken }
    }

    /// Moves containers to come to another place. Gives whether it is another one.
    pub(super) fn set(&self, attachment: Option<Attachment>) -> bool {
        let mut known = self.attachment.lock();
        let moved = *known != attachment;
        *known = attachment;
        moved
    }

    /// The place of one more container.
    fn next(&self, container: &str) -> network::Result<Vec<Attachment>> {
        let Some(attachment) = self.attachment.lock().clone() else { return Ok(Vec::new()) };
        let Some(first) = attachment.addresses.first().copied() else { return Ok(vec![attachment]) };
        let mut taken = self.taken.lock();
        let free = |address: &IpAddr| !taken.values().any(|other| other == address);
        let address = if free(&first) {
            Some(first)
        } else {
            let cloud = self.cloud.upgrade();
            let unused = cloud.map(|cloud| {
                cloud.store().read(|tables| crate::services::vpc_plane::unused(tables, &attachment.network))
            });
            unused.unwrap_or_default().into_iter().find(free)
        };
        let full =
            || network::Error::Wrong(format!("network {} has no free address for {}", attachment.network, self.key));
        let address = address.ok_or_else(full)?;
        taken.insert(container.to_owned(), address);
        Ok(vec![Attachment { network: attachment.network.clone(), addresses: vec![address] }])
    }
}

#[async_trait::async_trait]
impl Places for Seats {
    async fn take(&self, container: &str) -> network::Result<Arc<Member>> {
        let attachments = self.next(container)?;
        let taken = self.fabric.set_member(MemberSpec { id: container.to_owned(), attachments, doors: true }).await;
        if taken.is_err() {
            self.taken.lock().remove(container);
        }
        taken
    }

    async fn give_back(&self, container: &str) -> network::Result<()> {
        let gone = self.fabric.remove_member(container).await;
        self.taken.lock().remove(container);
        gone
    }
}

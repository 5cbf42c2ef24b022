//! Who runs containers: this machine's own kernel, or a daemon that has another.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::net::TcpStream;

use super::{Blobs, Container, ContainerSpec, Image, Logs, Result, Runtime, Usage};
use crate::network::Member;

/// Takes in images and starts containers. [`Runtime`] does by itself, [`crate::docker::Containers`] has a daemon do it.
#[async_trait::async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Takes in an image: its manifest, and its blobs from where they are. Done once for each.
    async fn add(&self, manifest: Vec<u8>, blobs: Arc<dyn Blobs>) -> Result<Image>;

    /// An image that was taken in before.
    fn image(&self, digest: &str) -> Result<Image>;

    /// Starts a container. When this returns, its program runs.
    async fn start(&self, spec: ContainerSpec, image: &Image, member: &Member, logs: Logs) -> Result<Container>;

    /// Ends all containers at once. From now on none starts.
    async fn close(&self) -> Result<()>;
}

#[async_trait::async_trait]
impl Engine for Runtime {
    async fn add(&self, manifest: Vec<u8>, blobs: Arc<dyn Blobs>) -> Result<Image> {
        Runtime::add(self, manifest, blobs).await
    }

    fn image(&self, digest: &str) -> Result<Image> {
        Runtime::image(self, digest)
    }

    async fn start(&self, spec: ContainerSpec, image: &Image, member: &Member, logs: Logs) -> Result<Container> {
        Runtime::start(self, spec, image, member, logs).await
    }

    async fn close(&self) -> Result<()> {
        Runtime::close(self).await
    }
}

/// A container's process and ports, as its engine knows them.
#[async_trait::async_trait]
pub(crate) trait Inside: Send + Sync {
    /// The number of its first process, as the engine's machine counts.
    fn pid(&self) -> i32;

    /// Where a port of it is reached.
    fn address(&self, port: u16) -> SocketAddr;

    /// Connects to a port of it.
    async fn connect(&self, port: u16) -> io::Result<TcpStream>;

    /// Whether it listens on a port.
    async fn listens(&self, port: u16) -> bool {
        self.connect(port).await.is_ok()
    }

    /// Whether it listens on a port where only it can reach it.
    async fn connect_itself(&self, port: u16) -> bool;

    /// What it uses.
    fn usage(&self) -> Result<Usage>;

    /// Where the files are that it has written; none: they cannot be seen from here.
    fn written(&self) -> Option<PathBuf>;

    /// Whether its first process would notice a signal.
    fn heeds(&self, signal: i32) -> bool;
}

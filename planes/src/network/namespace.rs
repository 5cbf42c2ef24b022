//! A network namespace, kept by an open file of this process.

use std::{fs::File, future::Future, os::fd::AsRawFd, path::PathBuf, sync::Arc};

use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::Handle;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::{Error, Result, links};

/// A network namespace. It ends when every clone of this and every process inside has.
#[derive(Clone)]
pub struct Namespace {
    label: Arc<str>,
    file: Arc<File>,
    links: Handle,
    _netlink: Arc<AbortOnDropHandle<()>>,
}

impl Namespace {
    /// Makes a new one, with nothing but its loopback interface.
    pub async fn create(label: impl Into<String>) -> Result<Self> {
        let label: String = label.into();
        let (file, netlink, links) = on_thread(move || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let file = File::open("/proc/thread-self/ns/net")?;
            let (netlink, links, _) = rtnetlink::new_connection()?;
            // Else the answers' way back decides which packets are taken, and a router that asks rules asks them twice.
            std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0")?;
            std::fs::write("/proc/sys/net/ipv4/conf/default/rp_filter", "0")?;
            // Nobody else can have an address here: it is good at once. Else a router waits a second for its own.
            for family in ["all", "default"] {
                match std::fs::write(format!("/proc/sys/net/ipv6/conf/{family}/accept_dad"), "0") {
                    // A machine without IPv6.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    other => other?,
                }
            }
            // Who runs here is no one the machine would know: any port is free to any user.
            std::fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")?;
            Ok((file, netlink, links))
        })
        .await
        .map_err(Error::machine(format!("making a network namespace for {label}")))?;
        let netlink = Arc::new(AbortOnDropHandle::new(tokio::spawn(netlink)));
        let made = Self { label: label.into(), file: Arc::new(file), links, _netlink: netlink };
        links::up(&made, links::LOOPBACK).await?;
        Ok(made)
    }

    /// What it is for.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A path under which any process with the right to can enter it, as long as this process lives.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }

    /// The number the kernel knows it by.
    pub fn inode(&self) -> Result<u64> {
        use std::os::unix::fs::MetadataExt;
        Ok(self.file.metadata().map_err(Error::machine("looking at a network namespace"))?.ino())
    }

    /// Runs something inside: sockets it opens and processes it starts stay there.
    ///
    /// It runs on a thread of its own, which ends with it: don't let it start processes that die with their parent's
    /// thread.
    pub async fn run<T, F>(&self, what: F) -> std::io::Result<T>
    where
        F: FnOnce() -> std::io::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let file = Arc::clone(&self.file);
        on_thread(move || {
            setns(&*file, CloneFlags::CLONE_NEWNET)?;
            what()
        })
        .await
    }

    /// Puts the present thread inside, for good.
    pub(crate) fn enter(&self) -> std::io::Result<()> {
        Ok(setns(&*self.file, CloneFlags::CLONE_NEWNET)?)
    }

    pub(super) fn links(&self) -> &Handle {
        &self.links
    }

    pub(super) fn descriptor(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Sets a switch of this namespace's own under `/proc/sys/net`.
    pub(super) async fn set(&self, switch: &'static str, value: &'static str) -> Result<()> {
        self.run(move || std::fs::write(format!("/proc/sys/net/{switch}"), value))
            .await
            .map_err(Error::machine(format!("setting net/{switch} of {}", self.label)))
    }
}

/// Runs on a new thread, never one of the runtime's: what it does to its namespaces ends with it.
fn on_thread<T, F>(what: F) -> impl Future<Output = std::io::Result<T>>
where
    F: FnOnce() -> std::io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    let (done, answer) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let started = std::thread::Builder::new().name("namespace".to_owned()).spawn(move || {
        let _inside = runtime.enter();
        // Whoever asked may have stopped waiting.
        let _ = done.send(what());
    });
    async move {
        started?;
        answer.await.map_err(|_| std::io::Error::other("the thread in the namespace panicked"))?
    }
}

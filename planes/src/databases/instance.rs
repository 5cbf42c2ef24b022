//! One instance: its folder, its server, and what is wanted of both.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use futures::future::BoxFuture;
use nix::sys::signal::Signal;
use parking_lot::Mutex as Quick;
use tokio::sync::{Mutex, watch};

use super::{
    Attached, Endpoints, Engine, Error, InstanceSpec, Result, State, access,
    configuration::{self, Listening},
    server::{Server, free_port, sweep},
};
use crate::network::{Fabric, Forward, Member, MemberSpec, Place};

/// How many lines of a server's are kept.
const LINES: usize = 10_000;
/// How long to wait before a server that died again is started again: doubled each time, up to the most.
const AGAIN: Duration = Duration::from_millis(100);
const AGAIN_AT_MOST: Duration = Duration::from_secs(10);

pub(super) struct Instance {
    home: PathBuf,
    engine: Arc<Engine>,
    fabric: Arc<Fabric>,
    lines: Arc<Quick<VecDeque<String>>>,
    state: watch::Sender<State>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    spec: Option<InstanceSpec>,
    member: Option<Arc<Member>>,
    listening: Option<Listening>,
    server: Option<Server>,
    public: Option<Forward>,
    /// Counts servers: a guard looks after one of them.
    generation: u64,
    stopped: bool,
}

impl Instance {
    pub(super) fn new(home: PathBuf, engine: Arc<Engine>, fabric: Arc<Fabric>) -> Arc<Self> {
        let state = watch::channel(State::Starting).0;
        Arc::new(Self { home, engine, fabric, lines: Arc::default(), state, inner: Mutex::default() })
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().iter().cloned().collect()
    }

    pub(super) async fn process(&self) -> Option<u32> {
        self.inner.lock().await.server.as_ref().map(Server::pid)
    }

    pub(super) async fn apply(self: &Arc<Self>, spec: InstanceSpec) -> Result<Endpoints> {
        let mut inner = self.inner.lock().await;
        let done = self.bring_about(&mut inner, spec).await;
        match &done {
            Ok(_) => self.state.send_replace(State::Ready),
            Err(error) => self.state.send_replace(State::Error { message: error.to_string() }),
        };
        done
    }

    async fn bring_about(self: &Arc<Self>, inner: &mut Inner, spec: InstanceSpec) -> Result<Endpoints> {
        let member =
            self.fabric.set_member(MemberSpec { id: spec.id.clone(), attachments: spec.private.clone(), doors: false });
        let member = member.await?;
        let listening = listening(&member, &spec, inner.listening.as_ref()).await?;
        let before = inner.spec.replace(spec.clone());
        let again = inner.listening.as_ref() != Some(&listening)
            || before.as_ref().is_none_or(|before| before.restarts != spec.restarts);
        let files = before.as_ref().is_none_or(|before| !same_files(before, &spec)) || again;
        (inner.member, inner.listening) = (Some(Arc::clone(&member)), Some(listening.clone()));
        self.lay(&spec).await?;
        if files {
            configuration::write(&self.engine, &self.home, &spec, &listening)?;
        }
        match &inner.server {
            Some(server) if !again && server.ended().borrow().is_none() => {
                if files {
                    server.reload();
                    if access::waits_for_restart(&self.home).await? {
                        self.start(inner).await?;
                    }
                }
            }
            _ => self.start(inner).await?,
        }
        access::bring_about(&self.home, before.as_ref(), &spec).await?;
        self.open(inner, &spec, &member, &listening).await
    }

    /// Its folder, with a cluster in it.
    async fn lay(&self, spec: &InstanceSpec) -> Result<()> {
        let data = self.home.join("data");
        if data.exists() {
            return Ok(());
        }
        self.engine.own(&self.home)?;
        self.engine.own(&self.home.join("socket"))?;
        let making = self.home.join("making");
        super::clear(&making)?;
        match &spec.made_of {
            Some(snapshot) => self.engine.copy(snapshot, &making).await?,
            None => self.engine.cluster(&making).await?,
        }
        std::fs::rename(&making, &data).map_err(Error::machine("keeping a cluster"))
    }

    /// Starts its server, after ending the one there is.
    async fn start(self: &Arc<Self>, inner: &mut Inner) -> Result<()> {
        if let Some(server) = inner.server.take() {
            server.stop(Signal::SIGINT).await;
        }
        sweep(&self.home).await?;
        let Some(member) = &inner.member else { return Ok(()) };
        let lines = Arc::clone(&self.lines);
        let hear = Box::new(move |line: &str| {
            let mut lines = lines.lock();
            if lines.len() == LINES {
                lines.pop_front();
            }
            lines.push_back(line.to_owned());
        });
        let server = Server::start(&self.engine, &self.home, &member.place, hear).await?;
        inner.generation += 1;
        tokio::spawn(guard(Arc::downgrade(self), server.ended(), inner.generation));
        inner.server = Some(server);
        Ok(())
    }

    /// Opens its public endpoint, or closes it.
    async fn open(
        &self,
        inner: &mut Inner,
        spec: &InstanceSpec,
        member: &Member,
        listening: &Listening,
    ) -> Result<Endpoints> {
        let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listening.port);
        let private = spec.private.iter().flat_map(|attachment| {
            let at = |address: &IpAddr| match member.place {
                Place::Host => here,
                Place::Within(_) => SocketAddr::new(*address, listening.port),
            };
            attachment.addresses.iter().map(move |a| Attached { network: attachment.network.clone(), at: at(a) })
        });
        let private = private.collect();
        let public = match (spec.public, &member.place) {
            (None, _) => {
                inner.public = None;
                None
            }
            (Some(_), Place::Host) => Some(here),
            (Some(port), place) => {
                let open = inner.public.as_ref().map(Forward::listens).filter(|at| port == 0 || at.port() == port);
                match open {
                    Some(at) => Some(at),
                    None => {
                        inner.public = None;
                        let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
                        let forward = Forward::start(&Place::Host, at, place.clone(), here).await;
                        let forward = forward.map_err(Error::machine(format!("listening at {at}")))?;
                        let at = forward.listens();
                        inner.public = Some(forward);
                        Some(at)
                    }
                }
            }
        };
        Ok(Endpoints { public, private })
    }

    /// Its server has died: starts another one, and goes on trying.
    async fn revive(self: &Arc<Self>, generation: u64, why: String) {
        let mut pause = AGAIN;
        loop {
            {
                let mut inner = self.inner.lock().await;
                if inner.stopped || inner.generation != generation {
                    return;
                }
                self.state.send_replace(State::Recovering { why: why.clone() });
                match self.start(&mut inner).await {
                    Ok(()) => {
                        self.state.send_replace(State::Ready);
                        return;
                    }
                    Err(error) => self.state.send_replace(State::Error { message: error.to_string() }),
                };
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN_AT_MOST);
        }
    }

    /// Ends its server; what it holds stays.
    pub(super) async fn stop(&self) {
        let mut inner = self.inner.lock().await;
        inner.stopped = true;
        inner.public = None;
        if let Some(server) = inner.server.take() {
            server.stop(Signal::SIGINT).await;
        }
        self.state.send_replace(State::Stopped);
    }
}

/// Waits for the end of a server that nobody wanted to end.
///
/// It starts another one, whose end is guarded in the same way: so the type of what it does has to be named.
fn guard(
    of: Weak<Instance>,
    mut ended: watch::Receiver<Option<std::process::ExitStatus>>,
    generation: u64,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let Ok(status) = ended.wait_for(Option::is_some).await.map(|status| *status) else { return };
        if let Some(instance) = of.upgrade() {
            let why = status.map_or_else(|| "it was lost".to_owned(), |status| status.to_string());
            instance.revive(generation, why).await;
        }
    })
}

/// Where the server is to listen: in a namespace of its own at its addresses, else at any free port.
async fn listening(member: &Member, spec: &InstanceSpec, before: Option<&Listening>) -> Result<Listening> {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match (&member.place, before) {
        (Place::Host, Some(before)) => Ok(before.clone()),
        (Place::Host, None) => {
            let port = match spec.public {
                Some(port) if port > 0 => port,
                _ => free_port(here).await?,
            };
            Ok(Listening { addresses: vec![here], port })
        }
        (Place::Within(_), _) => {
            let private: BTreeSet<IpAddr> = spec.private.iter().flat_map(|at| at.addresses.iter().copied()).collect();
            Ok(Listening { addresses: std::iter::once(here).chain(private).collect(), port: spec.port })
        }
    }
}

/// Whether the server's files are the same for both.
fn same_files(a: &InstanceSpec, b: &InstanceSpec) -> bool {
    let files = |spec: &InstanceSpec| {
        let settings: BTreeMap<String, String> = spec.settings.clone();
        (
            (spec.certificate.clone(), spec.key.clone(), settings),
            (spec.allowed.clone(), spec.public.is_some(), spec.private.clone(), spec.max_connections),
        )
    };
    files(a) == files(b)
}

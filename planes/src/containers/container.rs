//! One container that runs.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        TcpStream, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::Child,
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    ContainerSpec, Ended, Error, Exit, Helper, Image, Logs, Refused, Result, Stream, Usage,
    control::Control,
    engine::Inside,
    helper::{Order, Send, Told},
    image, runtime, trust,
};
use crate::network::{Member, Place};

/// How long the machine may take to set a container up.
const SET_UP: Duration = Duration::from_secs(60);
const SIGTERM: i32 = nix::libc::SIGTERM;
const SIGKILL: i32 = nix::libc::SIGKILL;

/// A container that was started. It ends when this is dropped.
pub struct Container {
    id: String,
    began: Instant,
    inside: Box<dyn Inside>,
    logs: Logs,
    ask: mpsc::UnboundedSender<i32>,
    exit: watch::Receiver<Option<Exit>>,
}

/// One whose process is this machine's.
struct Native {
    pid: i32,
    place: Place,
    address: IpAddr,
    control: Control,
    folder: PathBuf,
}

#[expect(clippy::too_many_arguments, reason = "each is one thing, and there is one caller")]
pub(super) async fn start(
    helper: &Helper,
    spec: &ContainerSpec,
    image: &Image,
    member: &Member,
    logs: Logs,
    folder: &Path,
    control: &Control,
    trust: Option<&str>,
) -> Result<Container> {
    let step = || format!("starting the helper of container {}", spec.id);
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(Error::machine(step()))?;
    ours.set_nonblocking(true).map_err(Error::machine(step()))?;
    let (hears, mut says) = UnixStream::from_std(ours).map_err(Error::machine(step()))?.into_split();
    let mut command = helper.command();
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = member.place.spawn(command).await.map_err(Error::machine(step()))?;
    let mut reading = JoinSet::new();
    if let Some(out) = child.stdout.take() {
        reading.spawn(logs.clone().read(spec.id.clone(), Stream::Out, out));
    }
    if let Some(err) = child.stderr.take() {
        reading.spawn(logs.clone().read(spec.id.clone(), Stream::Err, err));
    }
    let mut hears = BufReader::new(hears).lines();
    let order = order(spec, image, member, folder, control, trust);
    let begun = async {
        send(&mut says, &order).await?;
        hear(&mut hears).await
    };
    let told = match tokio::time::timeout(SET_UP, begun).await {
        Ok(told) => told.map_err(Error::machine(step())),
        Err(_) => Err(Error::Refused(Refused::SetUp { step: step(), reason: format!("no answer in {SET_UP:?}") })),
    };
    let pid = match told {
        Ok(Some(Told::Started { pid })) => pid,
        other => {
            // The end of the socket ends helper and container.
            drop((says, hears));
            child.wait().await.map_err(Error::machine("waiting for the helper"))?;
            return Err(match other {
                Err(error) => error,
                Ok(Some(Told::Refused(refused))) => refused.into(),
                Ok(_) => Refused::SetUp { step: step(), reason: "it ended without a word".to_owned() }.into(),
            });
        }
    };
    let (ask, asked) = mpsc::unbounded_channel();
    let (tell, exit) = watch::channel(None);
    let watching = Watching {
        id: spec.id.clone(),
        child,
        hears,
        says: Some(says),
        reading,
        control: control.clone(),
        folder: folder.to_owned(),
    };
    tokio::spawn(watching.run(asked, tell));
    let inside = Native {
        pid,
        place: member.place.clone(),
        address: member.address().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        control: control.clone(),
        folder: folder.to_owned(),
    };
    Ok(Container::new(spec.id.clone(), Box::new(inside), logs, ask, exit))
}

impl Container {
    /// One that has begun. Signals are sent to it through `ask`, whose end ends it; `exit` tells how it ended.
    pub(crate) fn new(
        id: String,
        inside: Box<dyn Inside>,
        logs: Logs,
        ask: mpsc::UnboundedSender<i32>,
        exit: watch::Receiver<Option<Exit>>,
    ) -> Self {
        Self { id, began: Instant::now(), inside, logs, ask, exit }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The process number of its first process, as the machine counts.
    pub fn pid(&self) -> i32 {
        self.inside.pid()
    }

    /// How long ago it began.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Where it listens, when it does.
    pub fn address(&self, port: u16) -> SocketAddr {
        self.inside.address(port)
    }

    /// Connects to a port of it, from inside of its network.
    pub async fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        self.inside.connect(port).await
    }

    /// Whether it listens on a port.
    pub(super) async fn listens(&self, port: u16) -> bool {
        self.inside.listens(port).await
    }

    /// Whether it listens on a port where only it can reach it.
    pub(super) async fn connect_itself(&self, port: u16) -> bool {
        self.inside.connect_itself(port).await
    }

    /// What it says.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// What it uses.
    pub fn usage(&self) -> Result<Usage> {
        self.inside.usage()
    }

    /// Where the files are that it has written; none: they cannot be seen from here.
    pub(super) fn written(&self) -> Option<PathBuf> {
        self.inside.written()
    }

    /// How it ended; none: it runs.
    pub fn exit(&self) -> Option<Exit> {
        self.exit.borrow().clone()
    }

    /// Waits until it has ended and nothing is left of it.
    pub async fn ended(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.map(|exit| exit.clone()) {
            Ok(Some(exit)) => exit,
            _ => Exit {
                ended: Ended::Lost("nobody watches over it any more".to_owned()),
                out_of_memory: 0,
                cpu: Duration::ZERO,
            },
        }
    }

    /// Sends a signal to its first process.
    pub fn signal(&self, signal: i32) {
        // Where nobody takes it, the container has ended.
        let _ = self.ask.send(signal);
    }

    /// Asks it to end, and ends it where it does not within the time given. A program that has nothing to do at its end
    /// is not waited for.
    pub async fn stop(&self, grace: Duration) -> Exit {
        if self.inside.heeds(SIGTERM) {
            self.signal(SIGTERM);
            if let Ok(exit) = tokio::time::timeout(grace, self.ended()).await {
                return exit;
            }
        }
        self.signal(SIGKILL);
        self.ended().await
    }
}

#[async_trait::async_trait]
impl Inside for Native {
    fn pid(&self) -> i32 {
        self.pid
    }

    fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    async fn connect(&self, port: u16) -> std::io::Result<TcpStream> {
        self.place.connect(self.address(port)).await
    }

    async fn connect_itself(&self, port: u16) -> bool {
        self.place.connect(SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)).await.is_ok()
    }

    fn usage(&self) -> Result<Usage> {
        self.control.usage()
    }

    fn written(&self) -> Option<PathBuf> {
        Some(self.folder.join("upper"))
    }

    /// As the first in its namespace it is sent only what it handles.
    fn heeds(&self, signal: i32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        caught >> (signal - 1) & 1 == 1
    }
}

/// What watches over a container, until nothing is left of it.
struct Watching {
    id: String,
    child: Child,
    hears: Hears,
    says: Option<OwnedWriteHalf>,
    reading: JoinSet<()>,
    control: Control,
    folder: PathBuf,
}

impl Watching {
    async fn run(mut self, mut asked: mpsc::UnboundedReceiver<i32>, tell: watch::Sender<Option<Exit>>) {
        let ended = loop {
            tokio::select! {
                signal = asked.recv(), if self.says.is_some() => match (signal, &mut self.says) {
                    (Some(signal), Some(says)) => if let Err(error) = send(says, &Send { signal }).await {
                        tracing::debug!(container = self.id, %error, "the helper takes no signals any more");
                        self.says = None;
                    },
                    // Nobody holds the container: the end of the socket ends it.
                    _ => self.says = None,
                },
                told = hear(&mut self.hears) => break match told {
                    Ok(Some(Told::Ended(ended))) => ended,
                    Ok(_) => Ended::Lost("its helper ended".to_owned()),
                    Err(error) => Ended::Lost(format!("its helper cannot be heard: {error}")),
                },
            }
        };
        self.says = None;
        if let Err(error) = self.child.wait().await {
            tracing::warn!(container = self.id, %error, "the helper of a container was not waited for");
        }
        while self.reading.join_next().await.is_some() {}
        let out_of_memory = self.control.out_of_memory().unwrap_or_else(|error| {
            tracing::warn!(container = self.id, %error, "it is unknown whether memory ran out");
            0
        });
        let cpu = self.control.usage().map_or(Duration::ZERO, |usage| usage.cpu);
        if let Err(error) = runtime::end(&self.control).await.and_then(|()| image::clear(&self.folder)) {
            tracing::error!(container = self.id, %error, "something is left of a container");
        }
        tell.send_replace(Some(Exit { ended, out_of_memory, cpu }));
    }
}

/// What is to be run: what is wanted laid over what the image says.
fn order(
    spec: &ContainerSpec,
    image: &Image,
    member: &Member,
    folder: &Path,
    control: &Control,
    trust: Option<&str>,
) -> Order {
    let config = image.config.config().as_ref();
    let list = |said: Option<&Option<Vec<String>>>| said.cloned().flatten().unwrap_or_default();
    let entrypoint = list(config.map(|config| config.entrypoint()));
    let cmd = list(config.map(|config| config.cmd()));
    // As everywhere: a command of one's own makes the image's arguments void.
    let (mut command, args) = match (spec.command.is_empty(), spec.args.is_empty()) {
        (true, true) => (entrypoint, cmd),
        (true, false) => (entrypoint, spec.args.clone()),
        (false, _) => (spec.command.clone(), spec.args.clone()),
    };
    command.extend(args);
    let mut env = BTreeMap::new();
    for said in list(config.map(|config| config.env())) {
        if let Some((name, value)) = said.split_once('=') {
            env.insert(name.to_owned(), value.to_owned());
        }
    }
    env.extend(spec.env.clone());
    if trust.is_some() {
        for name in trust::VARIABLES {
            env.entry(name.to_owned()).or_insert_with(|| trust::FILE.to_owned());
        }
    }
    let text = |said: Option<&Option<String>>| said.cloned().flatten().unwrap_or_default();
    let directory = text(config.map(|config| config.working_dir()));
    let mut hosts = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for address in &member.addresses {
        // Writing to a string cannot fail.
        let _ = writeln!(hosts, "{address} {}", spec.id);
    }
    Order {
        image: image.root.clone(),
        folder: folder.to_owned(),
        hostname: spec.id.clone(),
        resolv: member.nameserver.map(|server| format!("nameserver {server}\n")),
        hosts,
        trust: trust.map(str::to_owned),
        groups: control.doors(),
        command,
        env: env.into_iter().collect(),
        directory: if directory.is_empty() { "/".to_owned() } else { directory },
        user: text(config.map(|config| config.user())),
    }
}

async fn send<T: serde::Serialize>(to: &mut OwnedWriteHalf, what: &T) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line).await
}

/// What the helper tells. Reading on after having broken off loses nothing.
type Hears = Lines<BufReader<OwnedReadHalf>>;

async fn hear(from: &mut Hears) -> std::io::Result<Option<Told>> {
    match from.next_line().await? {
        Some(line) => Ok(Some(serde_json::from_str(&line)?)),
        None => Ok(None),
    }
}

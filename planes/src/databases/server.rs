//! One server process: started in its place, heard, and ended.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    net::IpAddr,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::{oneshot, watch};

use super::{Engine, Error, Result};
use crate::network::Place;

/// What a server says when it takes connections.
const READY: &str = "database system is ready to accept connections";
/// How long a server may take until it does: it may have to repeat a log.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether what an unclean end left is gone.
const LOOK: Duration = Duration::from_millis(10);
/// How often at most.
const LOOKS: u32 = 1000;
/// How many of its last words are told when it does not start.
const LAST_WORDS: usize = 3;

/// A running server.
pub(super) struct Server {
    pid: u32,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// Told each line a server says.
pub(super) type Hear = Box<dyn Fn(&str) + Send>;

impl Server {
    /// Starts one on the cluster of an instance's folder. When this returns, it takes connections.
    pub(super) async fn start(engine: &Engine, home: &Path, place: &Place, hear: Hear) -> Result<Self> {
        let mut command = engine.command("postgres");
        command.arg("-D").arg(home.join("data"));
        command.arg("-c").arg(format!("config_file={}/postgresql.conf", home.display()));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let (began, begun) = oneshot::channel();
        let (ready, mut is_ready) = watch::channel((false, Vec::<String>::new()));
        let (end, mut ended) = watch::channel(None);
        let place = place.clone();
        // A thread of its own, which lives as long as the server: the server dies with it, and so with this process.
        let living = std::thread::Builder::new().name("postgres".to_owned()).spawn(move || {
            let mut child = match spawn(&place, command) {
                Ok(child) => child,
                Err(error) => return drop(began.send(Err(error))),
            };
            // Whoever asked may have stopped waiting; then the server is ended by whoever looks at `ended`.
            drop(began.send(Ok(child.id())));
            for line in child.stderr.take().into_iter().flat_map(|said| BufReader::new(said).lines()) {
                let Ok(line) = line else { break };
                hear(&line);
                ready.send_if_modified(|(ready, words)| {
                    if *ready {
                        return false;
                    }
                    *ready = line.contains(READY);
                    words.push(line.clone());
                    true
                });
            }
            let status = child.wait().unwrap_or_else(|error| {
                tracing::error!(%error, "how a server ended was not learnt");
                ExitStatus::from_raw(0)
            });
            end.send_replace(Some(status));
        });
        living.map_err(Error::machine("starting a thread for a server"))?;
        let lost = || Error::NotStarted("the thread of the server ended".to_owned());
        let pid = begun.await.map_err(|_| lost())?.map_err(Error::machine("starting postgres"))?;
        let server = Self { pid, ended: ended.clone() };
        let came = tokio::select! {
            ready = is_ready.wait_for(|(ready, _)| *ready) => ready.is_ok(),
            _ = ended.wait_for(Option::is_some) => false,
            () = tokio::time::sleep(PATIENCE) => false,
        };
        if came {
            return Ok(server);
        }
        server.stop(Signal::SIGQUIT).await;
        let words = is_ready.borrow().1.clone();
        let last = words.len().saturating_sub(LAST_WORDS);
        Err(Error::NotStarted(words.get(last..).unwrap_or_default().join("; ")))
    }

    /// The process.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Has it read its files again.
    pub(super) fn reload(&self) {
        self.tell(Signal::SIGHUP);
    }

    fn tell(&self, signal: Signal) {
        if self.ended.borrow().is_some() {
            return;
        }
        match i32::try_from(self.pid).map(|pid| kill(Pid::from_raw(pid), signal)) {
            Ok(Ok(()) | Err(Errno::ESRCH)) => {}
            other => tracing::error!(?other, pid = self.pid, "a server could not be told something"),
        }
    }

    /// Waits for its end.
    pub(super) fn ended(&self) -> watch::Receiver<Option<ExitStatus>> {
        self.ended.clone()
    }

    /// Ends it, and waits for that.
    pub(super) async fn stop(&self, how: Signal) {
        self.tell(how);
        let mut ended = self.ended.clone();
        // An error means its thread is gone, and so is the server.
        let _gone = ended.wait_for(Option::is_some).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tell(Signal::SIGQUIT);
    }
}

/// Starts it on the present thread: in the place, to be ended when the thread ends.
fn spawn(place: &Place, mut command: Command) -> io::Result<std::process::Child> {
    if let Place::Within(space) = place {
        space.enter()?;
    }
    die_with_us(&mut command);
    command.spawn()
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "what a new process does before its program begins")]
fn die_with_us(command: &mut Command) {
    let ours = std::process::id();
    // SAFETY: only system calls that may follow a fork are made, and no memory is asked for.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGQUIT)?;
            let parent = u32::try_from(nix::unistd::getppid().as_raw()).unwrap_or_default();
            if parent == ours { Ok(()) } else { Err(io::Error::from(io::ErrorKind::BrokenPipe)) }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_us(_: &mut Command) {}

/// Where the server of a folder is asked, as its superuser.
pub(super) fn socket(home: &Path, database: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host_path(home.join("socket")).user(super::engine::SUPERUSER).dbname(database);
    config.application_name("stackproof");
    if let Some(port) = port_of(home) {
        config.port(port);
    }
    config
}

/// The port of a folder's server: its socket is named after it.
pub(super) fn port_of(home: &Path) -> Option<u16> {
    fs::read_dir(home.join("socket")).ok()?.find_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.strip_prefix(".s.PGSQL.")?.parse().ok()
    })
}

/// Ends a server that an unclean end left on a folder.
pub(super) async fn sweep(home: &Path) -> Result<()> {
    let file = home.join("data/postmaster.pid");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(Error::machine("looking for a server that was left")(error)),
    };
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok()) else { return Ok(()) };
    let serves = || {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let data = home.join("data");
        arguments.split(|byte| *byte == 0).any(|argument| argument == data.as_os_str().as_encoded_bytes())
    };
    let mut looks = tokio::time::interval(LOOK);
    for _ in 0..LOOKS {
        looks.tick().await;
        if !serves() {
            return match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(Error::machine("removing what a server left")(error))
                }
                _ => Ok(()),
            };
        }
        match kill(Pid::from_raw(pid), Signal::SIGQUIT) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(Error::machine("ending a server that was left")(error.into())),
        }
    }
    Err(Error::NotStarted(format!("process {pid}, left on {}, does not end", home.display())))
}

/// An address nobody listens on yet, of this machine's own network.
pub(super) async fn free_port(at: IpAddr) -> Result<u16> {
    let listener = tokio::net::TcpListener::bind((at, 0)).await.map_err(Error::machine("looking for a free port"))?;
    Ok(listener.local_addr().map_err(Error::machine("looking for a free port"))?.port())
}

//! The helper process that watches over one container.
//!
//! It is a program of its own, or the same one called anew: what a container needs cannot be done in a process with
//! threads. It is told what to run on its standard input, a socket, and tells there what becomes of it. When the socket
//! ends, so does the container: no container outlives who wanted it.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::{Pid, sethostname},
};
use serde::{Deserialize, Serialize};

use super::{Ended, Refused, init};

/// The argument that asks a program to be a helper.
const ASKED: &str = "stackproof-container";
const WATCH: &str = "watch";
const INIT: &str = "init";

/// How the helper is called.
#[derive(Clone, Debug)]
pub struct Helper {
    program: PathBuf,
}

impl Helper {
    /// A program whose `main` begins with [`run_if_asked`].
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// The program that runs now; its `main` has to begin with [`run_if_asked`].
    pub fn this_program() -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()? })
    }

    pub(super) fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        // A group of its own: what a terminal says to this process is not for containers.
        command.args([ASKED, WATCH]).process_group(0);
        command
    }
}

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The image's files, not to be changed.
    pub(super) image: PathBuf,
    /// The container's own folder, with `upper`, `work` and `merged`.
    pub(super) folder: PathBuf,
    pub(super) hostname: String,
    pub(super) resolv: Option<String>,
    pub(super) hosts: String,
    /// Certificates to be trusted, in PEM.
    pub(super) trust: Option<String>,
    /// The control groups' files to be written to.
    pub(super) groups: Vec<PathBuf>,
    pub(super) command: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) directory: String,
    pub(super) user: String,
}

/// What the helper tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Told {
    Started { pid: i32 },
    Refused(Refused),
    Ended(Ended),
}

/// What the helper is told after the order: a signal for the container.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Send {
    pub(super) signal: i32,
}

/// Where this process was started as a helper, is that and ends. To be called before anything else in `main`.
pub fn run_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() != Some(ASKED.as_ref()) {
        return;
    }
    let code = run(args.next());
    std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 1 });
}

fn run(part: Option<OsString>) -> ExitCode {
    let done = match part.as_ref().and_then(|part| part.to_str()) {
        Some(WATCH) => watch(),
        Some(INIT) => init::run(),
        _ => Err(io::Error::other("it is called by the local cloud, not by hand")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the container's helper: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The socket that standard input is.
pub(super) fn socket() -> io::Result<UnixStream> {
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

pub(super) fn say<T: Serialize>(mut to: impl Write, what: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)
}

pub(super) fn hear<T: for<'a> Deserialize<'a>>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

/// Names a step that failed.
pub(super) fn step<E: std::fmt::Display>(step: impl Into<String>) -> impl FnOnce(E) -> Refused {
    move |error| Refused::SetUp { step: step.into(), reason: error.to_string() }
}

/// The container's first process, as its watcher knows it.
#[derive(Default)]
struct Watched {
    pid: Option<Pid>,
    /// It is to end at once.
    doomed: bool,
}

impl Watched {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid
            && let Err(error) = kill(pid, signal)
        {
            eprintln!("the container's helper: {signal} was refused: {error}");
        }
    }
}

fn watch() -> io::Result<()> {
    let control = socket()?;
    let mut asked = BufReader::new(control.try_clone()?);
    let Some(order) = hear::<Order>(&mut asked)? else { return Ok(()) };
    let watched = Arc::new(Mutex::new(Watched::default()));
    // Begun now: later threads are refused, for they would be in the new namespaces.
    let listens = Arc::clone(&watched);
    std::thread::Builder::new().spawn(move || listen(asked, &listens))?;
    if let Err(refused) = set_up(&order) {
        return say(&control, &Told::Refused(refused));
    }
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new("/proc/self/exe")
        .args([ASKED, INIT])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    {
        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
        if watched.doomed {
            watched.signal(Signal::SIGKILL);
        }
    }
    let mut answer = String::new();
    // Where the first process dies early, its end tells of it.
    let heard = say(&ours, &order).and_then(|()| BufReader::new(&ours).read_to_string(&mut answer));
    match heard {
        Ok(_) if answer.is_empty() => say(&control, &Told::Started { pid: child.id().cast_signed() })?,
        Ok(_) => say(&control, &Told::Refused(serde_json::from_str(&answer)?))?,
        Err(error) => say(&control, &Told::Refused(step("starting the first process")(error)))?,
    }
    let status = loop {
        // Not reaped under someone's hands: its number stays its own as long as it may be signalled.
        let id = nix::sys::wait::Id::Pid(Pid::from_raw(child.id().cast_signed()));
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        match nix::sys::wait::waitid(id, flags) {
            Ok(_) => {
                let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
                watched.pid = None;
                break child.wait()?;
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Lost(status.to_string()),
    };
    say(&control, &Told::Ended(ended))
}

/// Does as told until there is nobody left to tell; then the container ends.
fn listen(mut asked: impl BufRead, watched: &Mutex<Watched>) {
    loop {
        let heard = hear::<Send>(&mut asked);
        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        match heard {
            Ok(Some(Send { signal })) => match Signal::try_from(signal) {
                Ok(signal) => watched.signal(signal),
                Err(error) => eprintln!("the container's helper: signal {signal}: {error}"),
            },
            Ok(None) | Err(_) => {
                watched.doomed = true;
                watched.signal(Signal::SIGKILL);
                return;
            }
        }
    }
}

/// Namespaces of its own, and the image's files with a layer of its own over them.
fn set_up(order: &Order) -> Result<(), Refused> {
    let spaces =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWPID;
    unshare(spaces).map_err(step("making the container's namespaces"))?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(step("keeping mounts to the container"))?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        order.image.display(),
        order.folder.join("upper").display(),
        order.folder.join("work").display()
    );
    let merged = order.folder.join("merged");
    mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .map_err(step("mounting the image with overlayfs"))?;
    sethostname(&order.hostname).map_err(step("setting the host name"))
}

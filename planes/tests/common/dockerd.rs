//! A Docker daemon for a test: the one that `DOCKER_HOST` names, or one of its own. A machine's own daemon is not used
//! unasked.
//!
//! One of its own has its socket and data in a folder that goes with the test, and its bridges and rules in a network
//! namespace that the test is in, too: nothing of this machine's network is changed.

use std::{
    future::Future,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

/// Set where a daemon has to be had.
const NEEDED: &str = "STACKPROOF_NEEDS_DOCKER";

struct Dockerd {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        // It unmounts what it has mounted.
        let _ = kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// Runs a test with the socket of a daemon; where none can be had, says so.
pub(crate) fn with_docker<F: Future<Output = ()>>(test: impl FnOnce(String) -> F + Send + 'static) {
    // A thread can be in a network of its own.
    let thread = std::thread::spawn(move || {
        let own;
        let socket = match std::env::var("DOCKER_HOST").ok().filter(|said| !said.is_empty()) {
            Some(socket) => socket,
            None => match start() {
                Ok((daemon, socket)) => {
                    own = daemon;
                    let _kept_to_the_end = &own;
                    return run(test(socket));
                }
                Err(why) => {
                    assert!(std::env::var_os(NEEDED).is_none(), "{NEEDED} is set, and there is no daemon: {why}");
                    skip(&why);
                    return;
                }
            },
        };
        run(test(socket));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[expect(clippy::explicit_write, reason = "what a test that passes prints is captured and not shown; this is")]
fn skip(why: &str) {
    writeln!(std::io::stderr(), "SKIPPED: not provable here, there is no Docker daemon: {why}").unwrap();
}

fn run(test: impl Future<Output = ()>) {
    // One thread, which is in the daemon's network.
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn start() -> Result<(Dockerd, String), String> {
    if !geteuid().is_root() {
        return Err("this user cannot start one; DOCKER_HOST can name one that runs (unix://…)".to_owned());
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = |name: &str| folder.path().join(name);
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("a network of its own: {error}"))?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    up.map_err(|error| format!("ip: {error}"))?;
    let socket = format!("unix://{}", path("docker.sock").display());
    // It ends with this thread, however that ends.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "dockerd"])
        .args(["--host", &socket, "--group", "root"])
        .args(["--data-root".as_ref(), path("data").as_os_str()])
        .args(["--exec-root".as_ref(), path("exec").as_os_str()])
        .args(["--pidfile".as_ref(), path("pid").as_os_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("dockerd: {error}"))?;
    let stderr = child.stderr.take().unwrap();
    let daemon = Dockerd { child, _folder: folder };
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let mut last = String::new();
    for line in lines.by_ref() {
        if line.contains("API listen on") {
            // Read on, or it would wait for its words to be read.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok((daemon, socket));
        }
        last = line;
    }
    Err(format!("dockerd ended: {last}"))
}

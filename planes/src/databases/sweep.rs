//! Ends servers nobody holds any more.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use super::{Error, Result, files};

/// How long a server may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How far two tellings of a process's start may be apart, in seconds.
const APART: u64 = 3;
/// A second of the kernel's tellings.
pub(super) const TICKS: u64 = 100;

/// Waits for its owner's end, however that comes, then ends the servers of the folder at once. A number given out again
/// to another process is not mistaken: that one does not work in the server's folder.
const WATCHER: &str = r#"
trap '' INT TERM HUP
read -r _
for file in "$1"/instances/*/[ab]/postmaster.pid; do
    [ -s "$file" ] || continue
    read -r pid < "$file"
    [ "/proc/$pid/cwd" -ef "${file%/*}" ] && kill -QUIT "$pid"
done
rm -rf "$2"
"#;

/// A process that outlives us by a moment. It does its work when the child's input is closed, and keeps the lock until
/// then, so that it does not meet the servers of whoever takes the folder next.
pub(super) fn watcher(folder: &Path, sockets: &Path, lock: &File) -> Result<Child> {
    let lock = lock.try_clone().map_err(Error::machine("sharing the lock of the databases' folder"))?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", WATCHER, "databases"]).arg(folder).arg(sockets);
    shell.stdin(Stdio::piped()).stdout(lock).stderr(Stdio::null()).process_group(0).current_dir("/");
    shell.spawn().map_err(Error::machine("starting who ends the servers when we are gone"))
}

/// Ends what an unclean end left running in a folder. Tells how many servers that were.
pub(super) async fn sweep(folder: &Path) -> Result<usize> {
    let mut ended = 0;
    for data in data_folders(&folder.join("instances")) {
        let Some(pid) = running(&data) else { continue };
        for signal in [Signal::SIGQUIT, Signal::SIGKILL] {
            match kill(pid, signal) {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(error) => return Err(Error::machine(format!("ending process {pid}"))(error.into())),
            }
            if tokio::time::timeout(PATIENCE, gone(&data, pid)).await.is_ok() {
                break;
            }
        }
        ended += 1;
    }
    // Where the sockets were, which another of us told here.
    if let Ok(sockets) = fs::read_link(folder.join("sockets")) {
        files::remove(&sockets)?;
    }
    files::remove(&folder.join("sockets"))?;
    Ok(ended)
}

fn data_folders(instances: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(instances) else { return Vec::new() };
    entries.flatten().flat_map(|entry| ["a", "b"].map(|slot| entry.path().join(slot))).collect()
}

/// The server of a data folder, if it runs: it says so in its file, works there, and began when it says.
fn running(data: &Path) -> Option<Pid> {
    let told = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = told.lines();
    let pid: i32 = lines.next()?.trim().parse().ok()?;
    let began: u64 = lines.nth(1)?.trim().parse().ok()?;
    let works = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    let same = works == fs::canonicalize(data).ok()? && started(pid)?.abs_diff(began) <= APART;
    same.then(|| Pid::from_raw(pid))
}

/// When a process began, in seconds since 1970.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / TICKS)
}

async fn gone(data: &Path, pid: Pid) {
    let mut again = tokio::time::interval(Duration::from_millis(5));
    loop {
        again.tick().await;
        // One that ended and was not waited for works nowhere.
        if fs::read_link(format!("/proc/{pid}/cwd")).ok() != fs::canonicalize(data).ok() {
            return;
        }
    }
}

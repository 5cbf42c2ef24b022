//! What a local cloud has of the machine while it runs, and what of that is there after it.
//!
//! Only what belongs to this cloud is looked at, so that others can run beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What one cloud has of the machine.
pub(crate) struct Traces {
    /// Its processes, and when each began: a number may be given out again.
    processes: BTreeMap<i32, u64>,
    /// Its network namespaces, held open so that no number is given out again.
    namespaces: BTreeMap<u64, File>,
    /// The sockets that listen on this machine, and their addresses.
    listeners: BTreeMap<String, String>,
    /// The folder of what runs.
    folder: PathBuf,
    /// The folder of the databases' sockets.
    sockets: Option<PathBuf>,
    /// Memory of all processes in bytes, shared pages told in parts.
    pub(crate) memory: u64,
}

impl Traces {
    /// Of the cloud with this process, which runs things in this folder.
    pub(crate) fn of(cloud: i32, folder: &Path) -> Self {
        let parents: Vec<(i32, i32)> = processes().filter_map(|pid| Some((pid, stat(pid)?.0))).collect();
        let mut found = BTreeSet::from([cloud]);
        while let Some((pid, _)) = parents.iter().find(|(pid, parent)| found.contains(parent) && !found.contains(pid)) {
            found.insert(*pid);
        }
        let listening = listening();
        let own = fs::metadata("/proc/self/ns/net").map(|own| own.ino()).unwrap_or_default();
        let mut traces = Self {
            processes: found.iter().filter_map(|pid| Some((*pid, stat(*pid)?.1))).collect(),
            namespaces: BTreeMap::new(),
            listeners: BTreeMap::new(),
            folder: folder.to_owned(),
            sockets: fs::read_link(folder.join("databases/sockets")).ok(),
            memory: found.iter().map(|pid| memory(*pid)).sum(),
        };
        for file in found.iter().flat_map(|pid| open_files(*pid)) {
            let target = fs::read_link(&file).unwrap_or_default().display().to_string();
            if let Some(inode) = numbered(&target, "socket:[") {
                let at = listening.get(inode).map(|at| (inode.to_owned(), at.clone()));
                traces.listeners.extend(at);
            }
            if numbered(&target, "net:[").is_some()
                && let Ok(space) = File::open(&file)
                && let Ok(known) = space.metadata()
                && known.ino() != own
            {
                traces.namespaces.insert(known.ino(), space);
            }
        }
        traces
    }

    /// How many processes, network namespaces and listening sockets it has.
    pub(crate) fn count(&self) -> (usize, usize, usize) {
        (self.processes.len(), self.namespaces.len(), self.listeners.len())
    }

    /// What of it is still there.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (pid, began) in &self.processes {
            if stat(*pid).is_some_and(|(_, now)| now == *began) {
                left.push(format!("process {}", shown(*pid)));
            }
        }
        // But for this test, which holds them open to look at them.
        for pid in processes().filter(|pid| i32::try_from(std::process::id()) != Ok(*pid)) {
            let holds = |file: PathBuf| fs::metadata(&file).is_ok_and(|it| self.namespaces.contains_key(&it.ino()));
            let files = open_files(pid).into_iter().filter(|file| {
                fs::read_link(file).is_ok_and(|target| target.display().to_string().starts_with("net:["))
            });
            if files.chain([PathBuf::from(format!("/proc/{pid}/ns/net"))]).any(holds) {
                left.push(format!("network namespace, held by process {}", shown(pid)));
            }
        }
        let listening = listening();
        let still = self.listeners.iter().filter(|(inode, _)| listening.contains_key(*inode));
        left.extend(still.map(|(_, at)| format!("port {at}")));
        if let Some(sockets) = self.sockets.as_ref().filter(|sockets| sockets.exists()) {
            left.push(format!("folder {}", sockets.display()));
        }
        left
    }

    /// What is there of a cloud that nothing runs of any more.
    pub(crate) fn after_the_end(&self, containers: &[String]) -> Vec<String> {
        let mut left = self.left();
        let folder = self.folder.display().to_string();
        for pid in processes() {
            let works = ["cwd", "root"].map(|link| fs::read_link(format!("/proc/{pid}/{link}")).unwrap_or_default());
            let told = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let named = String::from_utf8_lossy(&told).contains(&folder);
            if named || works.iter().any(|at| at.starts_with(&self.folder)) {
                left.push(format!("process {}", shown(pid)));
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(mounts.lines().filter(|mount| mount.contains(&folder)).map(|mount| format!("mount {mount}")));
        left.extend(groups(containers).into_iter().map(|group| format!("control group {}", group.display())));
        let running = self.folder.join("containers/running");
        left.extend(entries(&running).into_iter().map(|folder| format!("folder {}", folder.display())));
        left
    }
}

/// The control groups of these containers.
pub(crate) fn groups(containers: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut look = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = look.pop() {
        for inside in entries(&folder).into_iter().filter(|inside| inside.is_dir() && !inside.is_symlink()) {
            let name = inside.file_name().unwrap_or_default().display().to_string();
            if containers.iter().any(|id| name.starts_with(id)) {
                found.push(inside);
            } else {
                look.push(inside);
            }
        }
    }
    found
}

/// What is in a folder, if it is there.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn processes() -> impl Iterator<Item = i32> {
    entries(Path::new("/proc")).into_iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok())
}

/// A process's parent, and when it began; none where it has ended, also if nobody waited for it yet.
fn stat(pid: i32) -> Option<(i32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (!["Z", "X"].contains(fields.first()?)).then_some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

fn shown(pid: i32) -> String {
    let told = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("{pid} {}", String::from_utf8_lossy(&told).replace('\0', " "))
}

fn memory(pid: i32) -> u64 {
    let told = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kilobytes = told.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn open_files(pid: i32) -> Vec<PathBuf> {
    let mut files = entries(Path::new(&format!("/proc/{pid}/fd")));
    files.push(format!("/proc/{pid}/ns/net").into());
    files
}

/// `socket:[123]`.
fn numbered<'t>(target: &'t str, kind: &str) -> Option<&'t str> {
    target.strip_prefix(kind)?.strip_suffix(']')
}

/// The sockets that listen on this machine, by their numbers.
fn listening() -> BTreeMap<String, String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let listens = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(3) == Some(&"0A")).then(|| (fields[9].to_owned(), fields[1].to_owned()))
    };
    tables.iter().flat_map(|table| table.lines()).filter_map(listens).collect()
}

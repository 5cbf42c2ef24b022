//! Control groups: what a container may use, and what it does use. Version 1 and 2.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Error, Limits, Result};

/// The folder of all groups made here.
const OURS: &str = "stackproof";
/// Over which time processor use is levelled, in microseconds.
const PERIOD: u64 = 100_000;
/// How often a folder is made that others remove.
const TRIES: u32 = 100;
const CONTROLLERS: [&str; 4] = ["memory", "cpu", "cpuacct", "pids"];

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Memory in bytes, without what could be given back at once.
    pub memory: u64,
    /// Time on processors since it began.
    pub cpu: Duration,
}

/// The control group of one container: a folder for each hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Control {
    version: u8,
    folders: Vec<(String, PathBuf)>,
}

impl Control {
    /// Where the group of a container will be. Nothing is made yet.
    pub(super) fn plan(id: &str) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).map_err(Error::machine(format!("reading {path}")));
        locate(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?, id).ok_or_else(|| Error::NotSupported {
            missing: "control groups with memory, cpu and pids".to_owned(),
            next_step: "mount them below /sys/fs/cgroup".to_owned(),
        })
    }

    /// Makes the group with these limits.
    pub(super) fn make(&self, limits: &Limits) -> Result<()> {
        for (controllers, folder) in &self.folders {
            let step = || format!("making control group {}", folder.display());
            if self.version == 2 {
                self.delegate(folder).map_err(Error::machine(step()))?;
            }
            make(folder).map_err(Error::machine(step()))?;
            for (controller, file, value) in self.settings(limits) {
                if controllers.split(',').any(|one| one == controller) {
                    set(&folder.join(file), &value)?;
                }
            }
        }
        Ok(())
    }

    /// In version 2 every folder above has to hand its controllers down.
    fn delegate(&self, folder: &Path) -> io::Result<()> {
        let Some(ours) = folder.parent() else { return Ok(()) };
        fs::create_dir_all(ours)?;
        for above in [ours.parent(), Some(ours)].into_iter().flatten() {
            fs::write(above.join("cgroup.subtree_control"), "+memory +cpu +pids")?;
        }
        Ok(())
    }

    fn settings(&self, limits: &Limits) -> Vec<(&'static str, &'static str, String)> {
        let mut settings = Vec::new();
        if let Some(memory) = limits.memory {
            match self.version {
                1 => settings.push(("memory", "memory.limit_in_bytes", memory.to_string())),
                _ => settings.extend([
                    ("memory", "memory.max", memory.to_string()),
                    ("memory", "memory.swap.max", "0".to_owned()),
                ]),
            }
        }
        if let Some(cpu) = limits.cpu {
            let quota = u64::from(cpu) * PERIOD / 1000;
            match self.version {
                1 => settings.extend([
                    ("cpu", "cpu.cfs_period_us", PERIOD.to_string()),
                    ("cpu", "cpu.cfs_quota_us", quota.to_string()),
                ]),
                _ => settings.push(("cpu", "cpu.max", format!("{quota} {PERIOD}"))),
            }
        }
        if let Some(processes) = limits.processes {
            settings.push(("pids", "pids.max", processes.to_string()));
        }
        settings
    }

    /// The files a process writes `0` to, to be in the group.
    pub(super) fn doors(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|(_, folder)| folder.join("cgroup.procs")).collect()
    }

    /// What is used now.
    pub(super) fn usage(&self) -> Result<Usage> {
        let (used, inactive, memory) = match self.version {
            1 => ("memory.usage_in_bytes", "total_inactive_file", self.folder("memory")),
            _ => ("memory.current", "inactive_file", self.folder("memory")),
        };
        let used = number(&read(&memory.join(used))?);
        let inactive = field(&read(&memory.join("memory.stat"))?, inactive).unwrap_or(0);
        let cpu = match self.version {
            1 => Duration::from_nanos(number(&read(&self.folder("cpuacct").join("cpuacct.usage"))?)),
            _ => {
                let stat = read(&self.folder("cpu").join("cpu.stat"))?;
                Duration::from_micros(field(&stat, "usage_usec").unwrap_or(0))
            }
        };
        Ok(Usage { memory: used.saturating_sub(inactive), cpu })
    }

    /// How many processes were killed because memory had run out.
    pub(super) fn out_of_memory(&self) -> Result<u64> {
        let file = if self.version == 1 { "memory.oom_control" } else { "memory.events" };
        Ok(field(&read(&self.folder("memory").join(file))?, "oom_kill").unwrap_or(0))
    }

    /// The processes inside.
    pub(super) fn processes(&self) -> Result<Vec<i32>> {
        let mut found = Vec::new();
        for door in self.doors() {
            match fs::read_to_string(&door) {
                Ok(text) => found.extend(text.lines().filter_map(process)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::machine(format!("reading {}", door.display()))(error)),
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes the group, which must be empty.
    pub(super) fn remove(&self) -> Result<()> {
        for (_, folder) in &self.folders {
            match fs::remove_dir(folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::machine(format!("removing {}", folder.display()))(error)),
            }
            // The folder of all goes with its last group.
            if let Some(ours) = folder.parent() {
                let _still_used = fs::remove_dir(ours);
            }
        }
        Ok(())
    }

    fn folder(&self, controller: &str) -> PathBuf {
        let found = self.folders.iter().find(|(names, _)| names.split(',').any(|one| one == controller));
        found.map(|(_, folder)| folder.clone()).unwrap_or_default()
    }
}

/// Finds the hierarchies this process is in.
fn locate(mounts: &str, own: &str, id: &str) -> Option<Control> {
    let mut one = Vec::new();
    let mut two = None;
    for mount in mounts.lines() {
        let Some((left, right)) = mount.split_once(" - ") else { continue };
        let (left, right): (Vec<_>, Vec<_>) = (left.split(' ').collect(), right.split(' ').collect());
        let (Some(root), Some(point), Some(kind), Some(options)) =
            (left.get(3), left.get(4), right.first(), right.get(2))
        else {
            continue;
        };
        if *kind == "cgroup2" {
            two = Some(PathBuf::from(point));
        }
        let names: Vec<_> = options.split(',').filter(|option| CONTROLLERS.contains(option)).collect();
        if *kind != "cgroup" || names.is_empty() {
            continue;
        }
        let path = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            names.iter().any(|name| controllers.split(',').any(|one| one == *name)).then(|| parts.next())?
        })?;
        let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
        one.push((names.join(","), Path::new(point).join(below).join(OURS).join(id)));
    }
    let has = |name: &str| one.iter().any(|(names, _)| names.split(',').any(|one| one == name));
    if CONTROLLERS.iter().all(|name| has(name)) {
        return Some(Control { version: 1, folders: one });
    }
    let folder = two?.join(OURS).join(id);
    Some(Control { version: 2, folders: vec![("memory,cpu,pids".to_owned(), folder)] })
}

/// Makes a folder and that of all groups, which another cloud may just be removing.
fn make(folder: &Path) -> io::Result<()> {
    for _ in 0..TRIES {
        match fs::create_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
    }
    fs::create_dir_all(folder)
}

/// A process as a group tells it. One that cannot be seen from here is told as 0, which as a number to be killed would
/// be this process and its group.
fn process(line: &str) -> Option<i32> {
    line.parse().ok().filter(|process| *process > 0)
}

fn set(file: &Path, value: &str) -> Result<()> {
    fs::write(file, value).map_err(Error::machine(format!("setting {} to {value}", file.display())))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(Error::machine(format!("reading {}", file.display())))
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_cannot_be_seen_is_none() {
        assert_eq!(["12", "0", "-1", "x", ""].map(process), [Some(12), None, None, None, None]);
    }

    #[test]
    fn hierarchies_are_found_as_distributions_lay_them() {
        let mounts = "30 1 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
                      31 1 0:27 / /sys/fs/cgroup/memory rw,relatime shared:1 - cgroup cgroup rw,memory\n\
                      32 1 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      33 1 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        let own = "4:pids:/user\n3:memory:/user\n2:cpu,cpuacct:/\n0::/user";
        let found = locate(mounts, own, "c").unwrap();
        assert_eq!(found.version, 1);
        assert_eq!(found.folder("cpuacct"), Path::new("/sys/fs/cgroup/cpu,cpuacct/stackproof/c"));
        assert_eq!(found.folder("memory"), Path::new("/sys/fs/cgroup/memory/user/stackproof/c"));

        let found = locate("33 1 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "0::/user.slice", "c").unwrap();
        assert_eq!(found.version, 2);
        assert_eq!(found.folder("memory"), Path::new("/sys/fs/cgroup/stackproof/c"));
        assert_eq!(locate("", "0::/", "c"), None);
    }
}

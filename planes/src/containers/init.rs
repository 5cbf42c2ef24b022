//! The container's first process, from its birth to the moment it becomes the image's program.

use std::{
    collections::HashSet,
    fs,
    io::{self, BufReader},
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use caps::{CapSet, Capability};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::{
        prctl,
        signal::Signal,
        stat::{Mode, SFlag, makedev, mknod, umask},
    },
    unistd::{Gid, Uid, chdir, pivot_root, setgid, setgroups, setsid, setuid},
};

use super::{
    Refused,
    helper::{Order, hear, say, socket, step},
    trust,
};

/// What the root of a container may do besides being root of its files.
const KEPT: [Capability; 10] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETPCAP,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_SYS_CHROOT,
];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What would tell of the machine, or change it.
const HIDDEN: [&str; 6] =
    ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/sysrq-trigger", "/proc/kpagecount"];
const UNCHANGEABLE: [&str; 4] = ["/proc/sys", "/proc/bus", "/proc/fs", "/proc/irq"];

/// Becomes the program. It comes back only to say why it could not, on the socket.
pub(super) fn run() -> io::Result<()> {
    let control = socket()?;
    let Some(order) = hear::<Order>(&mut BufReader::new(&control))? else { return Ok(()) };
    match become_it(&order) {
        Ok(never) => match never {},
        Err(refused) => say(&control, &refused),
    }
}

fn become_it(order: &Order) -> Result<std::convert::Infallible, Refused> {
    for group in &order.groups {
        fs::write(group, "0").map_err(step(format!("entering control group {}", group.display())))?;
    }
    setsid().map_err(step("leaving the helper's session"))?;
    // From here on, every path is one of the image's.
    let root = order.folder.join("merged");
    chdir(&root).map_err(step("entering the image"))?;
    pivot_root(".", ".").map_err(step("making the image the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(step("leaving the machine's files"))?;
    chdir("/").map_err(step("entering the image"))?;

    umask(Mode::empty());
    mounts()?;
    umask(Mode::from_bits_truncate(0o022));
    folder("/tmp", 0o1777)?;
    if let Some(resolv) = &order.resolv {
        file("/etc/resolv.conf", resolv)?;
    }
    file("/etc/hosts", &order.hosts)?;
    file("/etc/hostname", &format!("{}\n", order.hostname))?;
    if let Some(certificates) = &order.trust {
        file(trust::FILE, certificates)?;
        trust::add(certificates)?;
    }

    let user = user(&order.user)?;
    fs::create_dir_all(&order.directory).map_err(step(format!("making {}", order.directory)))?;
    chdir(Path::new(&order.directory)).map_err(step(format!("entering {}", order.directory)))?;
    lessen(&user)?;

    let mut env = order.env.clone();
    for (name, value) in [("PATH", PATH), ("HOME", user.home.as_str()), ("HOSTNAME", order.hostname.as_str())] {
        if !env.iter().any(|(known, _)| known == name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    let (program, args) = order.command.split_first().ok_or_else(|| Refused::NotFound { program: String::new() })?;
    let path = find(program, &env)?;
    let error = Command::new(path).arg0(program).args(args).env_clear().envs(env).stdin(Stdio::null()).exec();
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "its interpreter or loader is not in the image".to_owned(),
        _ => error.to_string(),
    };
    Err(Refused::NotRunnable { program: program.clone(), reason })
}

fn mounts() -> Result<(), Refused> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let on = |kind: &str, at: &str, flags, options: Option<&str>| {
        folder(at, 0o755)?;
        mount(Some(kind), at, Some(kind), flags, options).map_err(step(format!("mounting {at}")))
    };
    on("proc", "/proc", plain, None)?;
    on("sysfs", "/sys", plain | MsFlags::MS_RDONLY, None)?;
    on("tmpfs", "/dev", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, Some("mode=755,size=64k"))?;
    for (name, major, minor) in
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
    {
        let path = format!("/dev/{name}");
        mknod(path.as_str(), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(major, minor))
            .map_err(step(format!("making {path}")))?;
    }
    on("devpts", "/dev/pts", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, Some("newinstance,ptmxmode=0666,mode=0620"))?;
    on("tmpfs", "/dev/shm", plain, Some("mode=1777,size=64m"))?;
    for (link, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(to, format!("/dev/{link}")).map_err(step(format!("linking /dev/{link}")))?;
    }
    let bind = MsFlags::MS_BIND;
    for path in HIDDEN.into_iter().filter(|path| Path::new(path).exists()) {
        mount(Some("/dev/null"), path, None::<&str>, bind, None::<&str>).map_err(step(format!("hiding {path}")))?;
    }
    for path in UNCHANGEABLE.into_iter().filter(|path| Path::new(path).exists()) {
        mount(Some(path), path, None::<&str>, bind | MsFlags::MS_REC, None::<&str>)
            .and_then(|()| {
                let again = bind | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | plain;
                mount(None::<&str>, path, None::<&str>, again, None::<&str>)
            })
            .map_err(step(format!("guarding {path}")))?;
    }
    Ok(())
}

fn folder(path: &str, mode: u32) -> Result<(), Refused> {
    if !Path::new(path).is_dir() {
        fs::create_dir_all(path)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
            .map_err(step(format!("making {path}")))?;
    }
    Ok(())
}

/// Replaces a file, also one that is a link to nowhere.
fn file(path: &str, content: &str) -> Result<(), Refused> {
    folder("/etc", 0o755)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(step(format!("replacing {path}"))(error)),
        _ => fs::write(path, content).map_err(step(format!("writing {path}"))),
    }
}

struct User {
    id: Uid,
    group: Gid,
    groups: Vec<Gid>,
    home: String,
}

/// A user as images say it: nothing, a name or a number, with or without a group.
fn user(said: &str) -> Result<User, Refused> {
    let nobody = || Refused::NoUser { user: said.to_owned() };
    let read = |path: &str| match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(step(format!("reading {path}"))),
    };
    let (passwd, groups) = (read("/etc/passwd")?, read("/etc/group")?);
    let (name, group) = said.split_once(':').map_or((said, None), |(name, group)| (name, Some(group)));
    let name = if name.is_empty() { "0" } else { name };
    let entry = |text: &str, key: &str| -> Option<Vec<String>> {
        let rows = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
        rows.filter(|row| row.len() > 2).find(|row| row[0] == key || row[2] == key)
    };
    let row = entry(&passwd, name);
    let id = row.as_ref().map_or(name, |row| &row[2]).parse().map_err(|_| nobody())?;
    let group_id = match group {
        Some(group) => entry(&groups, group).map_or(group.to_owned(), |row| row[2].clone()),
        None => row.as_ref().and_then(|row| row.get(3)).map_or("0".to_owned(), Clone::clone),
    };
    let group_id = group_id.parse().map_err(|_| nobody())?;
    let login = row.as_ref().map_or(name, |row| &row[0]);
    let mut all = vec![Gid::from_raw(group_id)];
    for line in groups.lines().filter(|_| group.is_none()) {
        let row: Vec<_> = line.split(':').collect();
        if let [_, _, number, members] = row[..]
            && members.split(',').any(|member| member == login)
            && let Ok(number) = number.parse()
        {
            all.push(Gid::from_raw(number));
        }
    }
    let home = row.as_ref().and_then(|row| row.get(5)).filter(|home| !home.is_empty());
    Ok(User {
        id: Uid::from_raw(id),
        group: Gid::from_raw(group_id),
        groups: all,
        home: home.map_or("/".to_owned(), Clone::clone),
    })
}

/// Gives up what the program is not to have.
fn lessen(user: &User) -> Result<(), Refused> {
    let kept: HashSet<_> = if user.id.is_root() { KEPT.into() } else { HashSet::new() };
    let had = caps::read(None, CapSet::Bounding).map_err(step("reading what may be done"))?;
    for given_up in had.difference(&kept) {
        caps::drop(None, CapSet::Bounding, *given_up).map_err(step(format!("giving up {given_up}")))?;
    }
    for set in [CapSet::Ambient, CapSet::Inheritable] {
        caps::clear(None, set).map_err(step("giving up what is inherited"))?;
    }
    setgroups(&user.groups).map_err(step("entering the user's groups"))?;
    setgid(user.group).map_err(step("entering the user's group"))?;
    setuid(user.id).map_err(step("becoming the user"))?;
    prctl::set_no_new_privs().map_err(step("giving up new privileges"))?;
    // After the change of user, which would undo it.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(step("ending with the helper"))
}

/// The program's path, looked for as a shell would.
fn find(program: &str, env: &[(String, String)]) -> Result<PathBuf, Refused> {
    let missing = || Refused::NotFound { program: program.to_owned() };
    if program.contains('/') {
        let path = PathBuf::from(program);
        return if path.exists() { Ok(path) } else { Err(missing()) };
    }
    let path = env.iter().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value);
    let folders = path.split(':').filter(|folder| !folder.is_empty());
    folders.map(|folder| Path::new(folder).join(program)).find(|path| path.is_file()).ok_or_else(missing)
}

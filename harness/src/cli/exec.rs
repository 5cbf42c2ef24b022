//! `stackproof cloud exec`: a command that finds the local cloud by Scaleway's host names.
//!
//! On Linux, for root, the command gets a network of its own, which the local cloud makes, and sees files of its own for
//! names and roots: whatever it is, it reaches the real names and ports with verified certificates. Elsewhere it is led
//! through the gateway by environment variables, which not every program reads. Either way this process *becomes* the
//! command: its exit code, signals, terminal and folder are the command's own.

use std::{
    fs::{self, File},
    io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
};

use clap::Args;
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    unistd::geteuid,
};
use stackproof::{
    Failure, Workspace,
    target::{CloudHome, Entrance, NoEntrance},
};

/// Which command, and how it finds the cloud.
#[derive(Args)]
pub(crate) struct Exec {
    /// Lead it by environment variables only, and leave its network as it is.
    #[arg(long)]
    proxy: bool,
    /// Put it into this private network too, as a bastion or VPN would: its name or identifier.
    #[arg(long, conflicts_with = "proxy")]
    network: Option<String>,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<String>,
}

const RESOLV: &str = "/etc/resolv.conf";
const NSSWITCH: &str = "/etc/nsswitch.conf";
/// Where systems keep the roots that their programs trust.
const ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",                  // older Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",                            // openSUSE
    "/etc/ssl/cert.pem",                                 // Alpine's libressl, Arch
];
/// Where a cache of names is asked, which knows only the machine's.
const CACHES: [&str; 2] = ["/run/nscd/socket", "/var/run/nscd/socket"];

/// Becomes the command.
pub(crate) async fn run(home: &CloudHome, exec: Exec) -> Result<(), Failure> {
    let running = home.running().await?;
    let (program, arguments) = exec.command.split_first().ok_or_else(|| Failure::usage("name a command"))?;
    let mut child = std::process::Command::new(program);
    child.args(arguments);
    let variables = stackproof::pulumi::plain_environment(&Workspace::find()?)?;
    let mut environment = running.environment(false);
    if !exec.proxy {
        let control = running.control().ok_or_else(|| Failure::environment("the local cloud has no control API"))?;
        let bundle = environment.get("SSL_CERT_FILE").map(PathBuf::from);
        let entered = if geteuid().is_root() {
            let entrance = control.enter(exec.network.as_deref()).await;
            entrance.and_then(|entrance| enter(&entrance, home.folder(), bundle.as_deref()))
        } else {
            Err(NoEntrance::Refused("a network of its own takes root".to_owned()))
        };
        match (entered, &exec.network) {
            (Ok(()), _) => environment = environment.without_proxy(),
            (Err(NoEntrance::Lost(failure)), _) => return Err(failure),
            (Err(NoEntrance::Refused(why)), Some(network)) => {
                return Err(Failure::environment(format!("the command cannot be put into private network {network}"))
                    .because(why)
                    .next("stackproof cloud status"));
            }
            (Err(NoEntrance::Refused(why)), None) => anstream::eprintln!(
                "stackproof: only what honours HTTPS_PROXY reaches the local cloud (psql, docker and browsers do not): {why}"
            ),
        }
    }
    environment.apply_std(&mut child);
    child.envs(variables);
    // Whom a bucket policy has to name so that its deployer is not shut out.
    child.env("STACKPROOF_OWNER_ID", running.owner_id());
    let error = child.exec();
    Err(Failure::environment(format!("{program} could not be run")).because(error))
}

/// Puts this thread, and so what it becomes, into the network, with the files that go with it.
fn enter(entrance: &Entrance, folder: &Path, bundle: Option<&Path>) -> Result<(), NoEntrance> {
    // Some machines allow networks and forbid mounts: that has to be known before anything has changed.
    unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>))
        .map_err(|error| NoEntrance::Refused(format!("mounts of its own are refused: {error}")))?;
    put(entrance, folder, bundle).map_err(|(step, error)| {
        let failure =
            Failure::environment("the command's network could not be made").because(format!("{step}: {error}"));
        NoEntrance::Lost(failure.next("stackproof cloud exec --proxy -- COMMAND"))
    })?;
    entrance.keep().map_err(NoEntrance::Lost)
}

fn put(entrance: &Entrance, folder: &Path, bundle: Option<&Path>) -> Result<(), (String, io::Error)> {
    let machine = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let resolv = folder.join("resolv.conf");
    write(&resolv, &resolv_conf(&machine(RESOLV), entrance))?;
    lay(&resolv, Path::new(RESOLV))?;
    if Path::new(NSSWITCH).exists() {
        let nsswitch = folder.join("nsswitch.conf");
        write(&nsswitch, &nsswitch_conf(&machine(NSSWITCH)))?;
        lay(&nsswitch, Path::new(NSSWITCH))?;
    }
    for cache in CACHES.map(Path::new).into_iter().filter(|path| path.exists()) {
        // No socket: nobody asks there.
        lay(&resolv, cache)?;
    }
    for roots in ROOTS.map(Path::new).into_iter().filter(|path| path.exists()) {
        if let Some(bundle) = bundle {
            lay(bundle, roots)?;
        }
    }
    let step = || format!("entering {}", entrance.namespace.display());
    let namespace = File::open(&entrance.namespace).map_err(|error| (step(), error))?;
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|error| (step(), error.into()))
}

/// Lays a file over another one, for this process and what it starts.
fn lay(file: &Path, over: &Path) -> Result<(), (String, io::Error)> {
    let bind = || mount(Some(file), over, None::<&str>, MsFlags::MS_BIND, None::<&str>);
    let laid = match bind() {
        // A command around this one has a file there that was replaced since: nothing can be laid over it.
        Err(Errno::ENOENT) => umount2(over, MntFlags::MNT_DETACH).and_then(|()| bind()),
        laid => laid,
    };
    laid.map_err(|error| (format!("laying {} over {}", file.display(), over.display()), error.into()))
}

/// Writes a file that anyone may read: the command may become another user.
fn write(path: &Path, text: &str) -> Result<(), (String, io::Error)> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    // Put in place at once: an earlier command has the old one laid over.
    let whole = || -> io::Result<()> {
        let file = tempfile::NamedTempFile::new_in(folder)?;
        fs::write(file.path(), text)?;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    whole().map_err(|error| (format!("writing {}", path.display()), error))
}

/// The machine's, with another server.
fn resolv_conf(machine: &str, entrance: &Entrance) -> String {
    servers(machine, &entrance.nameserver.to_string())
}

fn servers(machine: &str, server: &str) -> String {
    let kept = machine.lines().filter(|line| !line.trim_start().starts_with("nameserver"));
    let mut text = format!("nameserver {server}\n");
    text.extend(kept.flat_map(|line| [line, "\n"]));
    text
}

/// The machine's, but that hosts are looked up in its file and by DNS: most other services ask the machine's network.
fn nsswitch_conf(machine: &str) -> String {
    let hosts = |line: &&str| line.trim_start().starts_with("hosts:");
    let mut text: String = machine.lines().filter(|line| !hosts(line)).flat_map(|line| [line, "\n"]).collect();
    // It knows the machine's own name, and asks nobody.
    let own = machine.lines().filter(hosts).any(|line| line.contains("myhostname"));
    text.push_str(if own { "hosts: files myhostname dns\n" } else { "hosts: files dns\n" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_of_the_clouds_server_only() {
        let machine = "# by the machine\nnameserver 10.0.0.1\n nameserver 10.0.0.2\nsearch example.org\n";
        assert_eq!(servers(machine, "127.0.0.53"), "nameserver 127.0.0.53\n# by the machine\nsearch example.org\n");
        let machine = "passwd: files systemd\nhosts: mymachines resolve [!UNAVAIL=return] files dns\n";
        assert_eq!(nsswitch_conf(machine), "passwd: files systemd\nhosts: files dns\n");
        assert_eq!(nsswitch_conf("hosts: files myhostname mdns dns"), "hosts: files myhostname dns\n");
    }
}

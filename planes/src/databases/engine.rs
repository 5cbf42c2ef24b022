//! The PostgreSQL of this machine: where its programs are, and who runs them.

use std::{
    env, fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fs4::FileExt;
use nix::unistd::{Gid, Uid, User, chown, geteuid};

use super::{Error, Result, clear};

/// The environment variable that names the folder of PostgreSQL's programs.
const FOLDER: &str = "STACKPROOF_POSTGRES_BIN";
/// Where distributions put one folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The superuser of every cluster; nobody but the plane logs in as it.
pub(super) const SUPERUSER: &str = "_rdb_superadmin";

/// The PostgreSQL of this machine.
#[derive(Clone, Debug)]
pub struct Engine {
    programs: PathBuf,
    version: String,
    template: PathBuf,
    /// Who runs it: PostgreSQL refuses to run as root.
    runs_as: Option<(Uid, Gid)>,
}

impl Engine {
    /// Finds it. Clusters are copied from a template that is made once below `cache`.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(cache: &Path) -> Result<Self> {
        let programs = programs()?;
        let version = Command::new(programs.join("postgres")).arg("--version").output();
        let version = version.map_err(Error::machine("asking PostgreSQL for its version"))?;
        let version = String::from_utf8_lossy(&version.stdout).trim().replace("postgres (PostgreSQL) ", "");
        let runs_as = if geteuid().is_root() { Some(unprivileged()?) } else { None };
        let major = version.split('.').next().unwrap_or_default();
        let template = cache.join(format!("cluster-{major}"));
        Ok(Self { programs, version, template, runs_as })
    }

    /// Which version it is, such as `15.13`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Makes a folder that the server may use.
    pub(super) fn own(&self, folder: &Path) -> Result<()> {
        let step = || Error::machine(format!("making {}", folder.display()));
        fs::create_dir_all(folder).map_err(step())?;
        self.give(folder)
    }

    /// Lets the server have a file or folder.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.runs_as else { return Ok(()) };
        let given = chown(path, Some(user), Some(group));
        given.map_err(|error| Error::machine(format!("giving {} to PostgreSQL", path.display()))(error.into()))
    }

    /// A program of PostgreSQL's, run as who may.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).current_dir("/");
        if let Some((user, group)) = self.runs_as {
            command.uid(user.as_raw()).gid(group.as_raw());
        }
        command
    }

    /// Runs a program to its end.
    pub(super) async fn run(&self, tool: &'static str, arguments: impl FnOnce(&mut Command)) -> Result<()> {
        let mut command = self.command(tool);
        arguments(&mut command);
        let output = tokio::process::Command::from(command).kill_on_drop(true).output().await;
        let output = output.map_err(Error::machine(format!("starting {tool}")))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Error::Tool { tool, said: said.trim().lines().last().unwrap_or("it said nothing").to_owned() })
    }

    /// Puts a new, empty cluster into a folder that does not exist yet.
    pub(super) async fn cluster(&self, data: &Path) -> Result<()> {
        let template = self.template().await?;
        self.copy(&template, data).await
    }

    /// Copies a cluster that no server runs on.
    pub(super) async fn copy(&self, from: &Path, data: &Path) -> Result<()> {
        let copied = tokio::process::Command::new("cp")
            .args(["--archive", "--reflink=auto"])
            .args([from, data])
            .kill_on_drop(true)
            .output()
            .await
            .map_err(Error::machine("starting cp"))?;
        if copied.status.success() {
            return Ok(());
        }
        Err(Error::Tool { tool: "cp", said: String::from_utf8_lossy(&copied.stderr).trim().to_owned() })
    }

    /// The template, made by whoever comes first.
    async fn template(&self) -> Result<PathBuf> {
        if self.template.exists() {
            return Ok(self.template.clone());
        }
        let parent = self.template.parent().unwrap_or(Path::new("/")).to_owned();
        self.own(&parent)?;
        let lock = self.template.with_extension("lock");
        let held = tokio::task::spawn_blocking(move || {
            let file = fs::File::create(lock)?;
            FileExt::lock(&file)?;
            Ok::<_, io::Error>(file)
        });
        let held = held.await.map_err(|error| io::Error::other(error.to_string()));
        let _held = held.and_then(|held| held).map_err(Error::machine("waiting for who makes the template"))?;
        if self.template.exists() {
            return Ok(self.template.clone());
        }
        let making = self.template.with_extension("making");
        clear(&making)?;
        self.run("initdb", |command| {
            command.arg("--pgdata").arg(&making);
            command.args(["--username", SUPERUSER, "--auth", "reject", "--encoding", "UTF8", "--locale", "C.UTF-8"]);
            command.args(["--no-sync", "--no-instructions", "--wal-segsize", "1"]);
        })
        .await?;
        fs::rename(&making, &self.template).map_err(Error::machine("keeping the template"))?;
        Ok(self.template.clone())
    }
}

fn programs() -> Result<PathBuf> {
    let has = |folder: &PathBuf| folder.join("postgres").is_file() && folder.join("initdb").is_file();
    if let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) {
        return if has(&folder) {
            Ok(folder)
        } else {
            Err(Error::NoEngine(format!("{FOLDER} names {}, which has no postgres and initdb", folder.display())))
        };
    }
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONS)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).chain(on_path).find(has).ok_or_else(|| {
        Error::NoEngine(format!(
            "install it (Debian: apt install postgresql), or set {FOLDER} to the folder of postgres and initdb"
        ))
    })
}

/// Somebody who is not root: PostgreSQL's own user where there is one.
fn unprivileged() -> Result<(Uid, Gid)> {
    for name in ["postgres", "nobody"] {
        let found = User::from_name(name).map_err(|error| Error::machine("looking up a user")(error.into()))?;
        if let Some(user) = found {
            return Ok((user.uid, user.gid));
        }
    }
    Err(Error::NoEngine("PostgreSQL does not run as root, and there is no user postgres or nobody".to_owned()))
}

//! Which PostgreSQL this machine has, and who runs it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid, User, getegid, geteuid};
use tokio::process::Command;

use super::{Error, Result};

/// Where to look first: folders with the programs, as in `PATH`.
const VARIABLE: &str = "STACKPROOF_POSTGRES_BIN";
/// Where Debian and its like keep all versions.
const PACKAGED: &str = "/usr/lib/postgresql";

/// The programs of one version.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) major: u32,
    /// All of it: `15.14`.
    pub(super) version: String,
    bin: PathBuf,
    pub(super) account: Account,
}

/// Whom the servers run as: they refuse to be root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    /// Whether that is somebody else than we.
    pub(super) other: bool,
}

impl Account {
    /// Us, or somebody without rights where we are root.
    pub(super) fn detect() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self { uid: geteuid(), gid: getegid(), other: false });
        }
        for name in ["postgres", "nobody"] {
            let found = User::from_name(name)
                .map_err(|error| Error::machine(format!("looking for the user {name}"))(error.into()))?;
            if let Some(user) = found.filter(|user| !user.uid.is_root()) {
                return Ok(Self { uid: user.uid, gid: user.gid, other: true });
            }
        }
        Err(Error::Wrong("PostgreSQL does not run as root, and there is neither a user postgres nor nobody".to_owned()))
    }

    /// Gives it a file or folder.
    pub(super) fn own(&self, path: &Path) -> Result<()> {
        if self.other {
            std::os::unix::fs::lchown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
                .map_err(Error::machine(format!("giving {} to the servers' user", path.display())))?;
        }
        Ok(())
    }

    /// Lets a program run as it.
    pub(super) fn run_as(&self, command: &mut Command) {
        if self.other {
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
    }

    /// Says which folder on the way it cannot pass.
    pub(super) fn can_reach(&self, path: &Path) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        if !self.other {
            return Ok(());
        }
        for folder in path.ancestors() {
            let there =
                std::fs::metadata(folder).map_err(Error::machine(format!("looking at {}", folder.display())))?;
            let bit = match () {
                () if there.uid() == self.uid.as_raw() => 0o100,
                () if there.gid() == self.gid.as_raw() => 0o010,
                () => 0o001,
            };
            if there.mode() & bit == 0 {
                return Err(Error::Wrong(format!(
                    "PostgreSQL does not run as root, and the user it runs as cannot pass {}: let others enter it \
                     (chmod o+x), or keep the state elsewhere",
                    folder.display()
                )));
            }
        }
        Ok(())
    }
}

impl Engine {
    /// A program of it, run as its account and told nothing by our environment.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PATH", &self.bin).current_dir("/");
        command.stdin(std::process::Stdio::null());
        command.kill_on_drop(true);
        self.account.run_as(&mut command);
        command
    }
}

/// All versions of this machine, by their first number.
pub(super) async fn find(account: Account) -> BTreeMap<u32, Engine> {
    let listed = |name: &str| std::env::var_os(name).unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&listed(VARIABLE)).collect();
    if let Ok(versions) = std::fs::read_dir(PACKAGED) {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.extend(std::env::split_paths(&listed("PATH")));
    let mut found = BTreeMap::new();
    for bin in folders {
        // What PATH has is most often a wrapper's link to one of those above.
        if !["postgres", "initdb", "pg_basebackup", "pg_dump", "pg_restore"].iter().all(|name| bin.join(name).is_file())
        {
            continue;
        }
        let Some((major, version)) = version(bin.join("postgres").as_os_str()).await else { continue };
        found.entry(major).or_insert(Engine { major, version, bin, account });
    }
    found
}

/// The nearest to what is wanted; the newer of two.
pub(super) fn nearest(engines: &BTreeMap<u32, Engine>, wanted: u32) -> Result<&Engine> {
    engines.values().rev().min_by_key(|engine| engine.major.abs_diff(wanted)).ok_or_else(|| {
        Error::Wrong(format!(
            "no PostgreSQL on this machine: install it, or name the folder of its programs in {VARIABLE}"
        ))
    })
}

async fn version(program: &OsStr) -> Option<(u32, String)> {
    let said = Command::new(program).arg("--version").kill_on_drop(true).output().await.ok()?;
    parse(std::str::from_utf8(&said.stdout).ok()?)
}

/// `postgres (PostgreSQL) 15.14 (Debian …)`.
fn parse(said: &str) -> Option<(u32, String)> {
    let version = said.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    let major = version.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()?;
    Some((major, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some((15, "15.14".to_owned())));
        assert_eq!(parse("postgres (PostgreSQL) 18beta1\n"), Some((18, "18beta1".to_owned())));
        assert_eq!(parse("something else"), None);
    }

    #[test]
    fn the_nearest_version_is_taken_and_the_newer_of_two() {
        let account = Account { uid: geteuid(), gid: getegid(), other: false };
        let engines: BTreeMap<u32, Engine> = [14, 16]
            .map(|major| (major, Engine { major, version: major.to_string(), bin: PathBuf::new(), account }))
            .into();
        assert_eq!([13, 14, 15, 17].map(|wanted| nearest(&engines, wanted).unwrap().major), [14, 14, 16, 16]);
        assert!(nearest(&BTreeMap::new(), 15).is_err());
    }
}

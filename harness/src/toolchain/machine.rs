//! The machine as the tools are searched on it: a value, so that tests can bring their own.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::cache::Cache;
use crate::Failure;
use crate::workspace::Workspace;

/// Folders, each with one folder a PostgreSQL version in it, and what lies between that and the programs.
const POSTGRES_ROOTS: [(&str, &str); 6] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// Where to look, and where to install.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// The search path.
    pub(crate) path: OsString,
    /// The user's own Pulumi home, with the official plugins in it.
    pub(crate) pulumi_home: Option<PathBuf>,
    /// Folders that may hold PostgreSQL's programs, best first, after those of the search path.
    pub(crate) postgres: Vec<PathBuf>,
    /// Where tools are installed.
    pub(crate) cache: Cache,
    /// Where their pinned sources are.
    pub(crate) workspace: Workspace,
}

impl Machine {
    /// This machine, for this user.
    pub(crate) fn here() -> Result<Self, Failure> {
        let home = directories::BaseDirs::new().map(|folders| folders.home_dir().join(".pulumi"));
        Ok(Self {
            path: std::env::var_os("PATH").unwrap_or_default(),
            pulumi_home: std::env::var_os("PULUMI_HOME").map(PathBuf::from).or(home),
            postgres: postgres_folders(),
            cache: Cache::of_user()?,
            workspace: Workspace::find()?,
        })
    }

    /// Every program of this name on the search path, first found first; what stackproof installed is left out.
    pub(crate) fn programs(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        std::env::split_paths(&self.path)
            .filter(|folder| !folder.starts_with(self.cache.root()))
            .map(move |folder| folder.join(name))
            .filter(|program| is_program(program))
    }

    /// The first program of this name on the search path.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        self.programs(name).next()
    }
}

/// Whether this is a file that may be executed.
pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Where Debian, Red Hat, Homebrew and Postgres.app put PostgreSQL, the newest version first.
fn postgres_folders() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (root, programs) in POSTGRES_ROOTS {
        for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix("postgresql@").or(name.strip_prefix("pgsql-")).unwrap_or(&name);
            if let Ok(version) = version.parse() {
                found.push((version, entry.path().join(programs)));
            }
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
pub(crate) mod fake {
    //! A machine in a temporary folder, with programs that are shell scripts.

    use super::*;

    /// A machine with nothing on it but a shell.
    pub(crate) struct Bench {
        pub(crate) home: tempfile::TempDir,
        pub(crate) machine: Machine,
    }

    impl Bench {
        pub(crate) fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let root = home.path().canonicalize().unwrap();
            let machine = Machine {
                path: root.join("bin").into(),
                pulumi_home: Some(root.join("pulumi-home")),
                postgres: Vec::new(),
                cache: Cache::at(root.join("cache")),
                workspace: Workspace { root: root.join("checkout") },
            };
            Self { home, machine }
        }

        /// Puts a program that prints this text into a folder below the home.
        pub(crate) fn program(&self, path: &str, prints: &str) -> PathBuf {
            self.script(path, &format!("echo '{prints}'"))
        }

        /// Puts a shell script into a folder below the home.
        pub(crate) fn script(&self, path: &str, script: &str) -> PathBuf {
            let program = self.file(path, &format!("#!/bin/sh\n{script}\n"));
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            program
        }

        /// Puts a file into a folder below the home.
        pub(crate) fn file(&self, path: &str, content: &str) -> PathBuf {
            let file = self.home.path().canonicalize().unwrap().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, content).unwrap();
            file
        }
    }
}

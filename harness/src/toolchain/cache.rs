//! The per-user cache tools are installed into.
//!
//! An installed tool is a symbolic link `tools/KEY` to the folder it was built
//! in, `tools/KEY.XXXXXX`. The link is made last, by a rename, so it either is
//! there with everything behind it or is not there; the folder never moves, so
//! what was built may know its own path (a virtual environment does). A lock
//! file per key lets one process build while others wait, and whoever holds it
//! sweeps what an interrupted build left.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::{Failure, Progress};

/// The environment variable that moves the cache.
pub const CACHE_VARIABLE: &str = "STACKPROOF_CACHE";

/// The per-user cache.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The folder `STACKPROOF_CACHE` names, else the platform's cache folder for stackproof.
    pub fn of_user() -> Result<Self, Failure> {
        if let Some(root) = std::env::var_os(CACHE_VARIABLE).filter(|root| !root.is_empty()) {
            let root = std::path::absolute(&root)
                .map_err(|error| Failure::usage(format!("{CACHE_VARIABLE} is no usable path: {error}")))?;
            return Ok(Self::at(root));
        }
        let folders = directories::ProjectDirs::from("", "", "stackproof").ok_or_else(|| {
            Failure::environment("this user has no home folder to keep tools in")
                .next(format!("set {CACHE_VARIABLE} to a folder that can be written"))
        })?;
        Ok(Self::at(folders.cache_dir().to_owned()))
    }

    /// A cache in this folder, which need not exist yet.
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file the build of `key` writes its output to.
    pub(crate) fn log(&self, key: &str) -> PathBuf {
        self.root.join("logs").join(format!("{key}.log"))
    }

    /// The folder `key` was installed in, if it is complete.
    pub(crate) fn installed(&self, key: &str) -> Option<PathBuf> {
        self.root.join("tools").join(key).canonicalize().ok().filter(|folder| folder.is_dir())
    }

    /// The folder `key` is installed in, after `build` filled it if nobody had.
    ///
    /// `build` is given an empty folder that will be the tool's for good. Should it
    /// fail or be killed, nothing is installed.
    pub(crate) fn install(
        &self,
        key: &str,
        progress: &Progress,
        build: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<PathBuf, Failure> {
        if let Some(folder) = self.installed(key) {
            return Ok(folder);
        }
        let tools = self.root.join("tools");
        for folder in [&tools, &self.root.join("locks"), &self.root.join("logs")] {
            std::fs::create_dir_all(folder).map_err(|error| self.unusable(&error))?;
        }
        let _lock = self.lock(key, progress).map_err(|error| self.unusable(&error))?;
        if let Some(folder) = self.installed(key) {
            return Ok(folder);
        }
        self.sweep(key, None).map_err(|error| self.unusable(&error))?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("{key}."))
            .tempdir_in(&tools)
            .map_err(|error| self.unusable(&error))?;
        build(folder.path())?;
        let folder = folder.keep();
        self.publish(key, &folder).map_err(|error| self.unusable(&error))?;
        // Once more: what a killed stackproof had started may have gone on writing for a while.
        self.sweep(key, Some(&folder)).map_err(|error| self.unusable(&error))?;
        Ok(folder)
    }

    /// Forgets an installed tool that turned out to be unusable, so that the next need installs it again.
    pub(crate) fn forget(&self, key: &str) {
        // Should the link stay, the tool is found unusable again: nothing is lost by going on.
        let _ = std::fs::remove_file(self.root.join("tools").join(key));
    }

    fn lock(&self, key: &str, progress: &Progress) -> io::Result<File> {
        let lock = File::create(self.root.join("locks").join(format!("{key}.lock")))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let step = progress.step(format!("waiting for another stackproof that is installing {key}"));
                lock.lock()?;
                step.done();
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(lock)
    }

    /// Removes what interrupted builds of `key` left, but for `kept`. Only the lock's holder may.
    fn sweep(&self, key: &str, kept: Option<&Path>) -> io::Result<()> {
        let prefix = format!("{key}.");
        for entry in std::fs::read_dir(self.root.join("tools"))? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) && Some(entry.path().as_path()) != kept {
                let removed = match entry.file_type()?.is_dir() {
                    true => std::fs::remove_dir_all(entry.path()),
                    false => std::fs::remove_file(entry.path()),
                };
                // Leftovers cost disk space only: a build goes ahead without their removal.
                if let Err(error) = removed {
                    tracing::debug!(path = %entry.path().display(), %error, "leftover stays");
                }
            }
        }
        Ok(())
    }

    fn publish(&self, key: &str, folder: &Path) -> io::Result<()> {
        let link = self.root.join("tools").join(key);
        let fresh = self.root.join("tools").join(format!("{key}.link"));
        let target = folder.file_name().unwrap_or(folder.as_os_str());
        std::os::unix::fs::symlink(target, &fresh)?;
        std::fs::rename(fresh, link)
    }

    pub(crate) fn unusable(&self, error: &io::Error) -> Failure {
        Failure::environment(format!("the tool cache {} cannot be written: {error}", self.root.display()))
            .next(format!("free space or fix its permissions, or set {CACHE_VARIABLE} to another folder"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn parallel_installs_build_once() {
        let home = tempfile::tempdir().unwrap();
        let builds = AtomicUsize::new(0);
        let barrier = std::sync::Barrier::new(4);
        let folders: Vec<PathBuf> = std::thread::scope(|scope| {
            let install = || {
                barrier.wait();
                Cache::at(home.path().to_owned()).install("tool-1", &Progress::Silent, |folder| {
                    builds.fetch_add(1, Ordering::SeqCst);
                    std::thread::park_timeout(std::time::Duration::from_millis(100));
                    std::fs::write(folder.join("tool"), "built").unwrap();
                    Ok(())
                })
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(install)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        assert_eq!(builds.into_inner(), 1);
        assert!(folders.iter().all(|folder| folder.join("tool").is_file()));
    }

    #[test]
    fn a_failed_build_leaves_nothing_installed() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::at(home.path().to_owned());
        let failed = cache.install("tool-1", &Progress::Silent, |folder| {
            std::fs::write(folder.join("half"), "").unwrap();
            Err(Failure::environment("the build broke"))
        });
        assert_eq!(failed, Err(Failure::environment("the build broke")));
        assert_eq!(cache.installed("tool-1"), None);
        assert_eq!(std::fs::read_dir(home.path().join("tools")).unwrap().count(), 0);
    }

    #[test]
    fn an_interrupted_build_is_invisible_and_swept_by_the_next() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::at(home.path().to_owned());
        let half = home.path().join("tools/tool-1.killed");
        std::fs::create_dir_all(&half).unwrap();
        std::fs::write(half.join("tool"), "half").unwrap();
        assert_eq!(cache.installed("tool-1"), None);
        let folder = cache
            .install("tool-1", &Progress::Silent, |folder| {
                // What the killed build had started is still writing.
                std::fs::create_dir_all(&half).unwrap();
                std::fs::write(folder.join("tool"), "whole").unwrap();
                Ok(())
            })
            .unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("tool")).unwrap(), "whole");
        assert!(!half.exists());
    }

    #[test]
    fn a_dangling_link_counts_as_not_installed() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::at(home.path().to_owned());
        let build = |folder: &Path| {
            std::fs::write(folder.join("tool"), "built").unwrap();
            Ok(())
        };
        let first = cache.install("tool-1", &Progress::Silent, build).unwrap();
        std::fs::remove_dir_all(&first).unwrap();
        let second = cache.install("tool-1", &Progress::Silent, build).unwrap();
        assert!(second.join("tool").is_file());
    }
}

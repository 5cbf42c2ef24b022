//! The Go compiler, and the tools built with it from the pinned modules under `tools/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::identity::{Version, digest_of_inputs};
use super::machine::{Machine, is_program};
use super::run::{ask, run};
use crate::{Failure, Progress};

/// The first Go that fetches the newer one a module asks for by itself.
const OLDEST: Version = Version(1, 21, 0);

/// The Go compiler on this machine, or why there is none to build `what` with.
pub(crate) fn find(machine: &Machine, what: &str, instead: &str) -> Result<PathBuf, Failure> {
    let usual = Path::new("/usr/local/go/bin/go").to_owned();
    let fix = format!("install Go 1.26 or newer with your package manager, or {instead}");
    let Some(go) = machine.program("go").or_else(|| Some(usual).filter(|go| is_program(go))) else {
        return Err(Failure::environment(format!("go not found: it is needed to build {what}")).next(fix));
    };
    match ask(&go, &["env", "GOVERSION"]).as_deref().and_then(Version::in_text) {
        Some(version) if version >= OLDEST => Ok(go),
        version => {
            let version = version.map_or("of unknown version".to_owned(), |version| version.to_string());
            Err(Failure::environment(format!("go is too old to build {what}: {} is {version}", go.display())).next(fix))
        }
    }
}

/// The name a tool built from this module is installed under: the same sources, the same name.
pub(crate) fn key(module: &Path, name: &str, version: &str) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::environment(format!("the pinned sources {} cannot be read: {error}", module.display()))
            .next("git checkout -- tools")
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(module)
        .map_err(unreadable)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let source = path.extension().is_some_and(|ending| ending == "go");
            source || path.ends_with("go.mod") || path.ends_with("go.sum")
        })
        .collect();
    files.sort();
    let words = [std::env::consts::OS, std::env::consts::ARCH, version];
    Ok(format!("{name}-{version}-{}", digest_of_inputs(&words, &files).map_err(unreadable)?))
}

/// A pinned module whose dependencies bring tests of their own.
pub(crate) struct GoModule {
    machine: Machine,
    folder: PathBuf,
    go: PathBuf,
}

impl GoModule {
    /// The module in this folder below `tools/`, for what it is needed for.
    ///
    /// # Errors
    /// When Go is missing or too old.
    pub(crate) fn at(folder: &Path, what: &str) -> Result<Self, Failure> {
        let machine = Machine::here()?;
        let go = find(&machine, what, "run it where Go is")?;
        Ok(Self { machine, folder: folder.to_owned(), go })
    }

    /// Where the sources of a module lie that this one requires; downloaded if need be.
    ///
    /// # Errors
    /// When they cannot be had.
    pub(crate) fn sources_of(&self, required: &str) -> Result<PathBuf, Failure> {
        let ask = |words: &[&str]| {
            let output = undisturbed(&self.go, &self.folder).args(words).arg(required).output();
            let output = output.map_err(|error| error.to_string())?;
            if output.status.success() {
                return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
            }
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        };
        ask(&["mod", "download"])
            .and_then(|_| ask(&["list", "-m", "-f", "{{.Dir}}"]))
            .map(PathBuf::from)
            .map_err(|why| Failure::environment(format!("the sources of {required} cannot be had")).because(why))
    }

    /// The tests of a package of a dependency, as a program; built if it is not there yet.
    ///
    /// # Errors
    /// When it cannot be built.
    pub(crate) fn test_program(
        &self,
        name: &str,
        version: &str,
        package: &str,
        what: &str,
        progress: &Progress,
    ) -> Result<PathBuf, Failure> {
        let key = key(&self.folder, name, version)?;
        let folder = self.machine.cache.install(&key, progress, |folder| {
            let step = progress.step(what);
            let mut command = undisturbed(&self.go, &self.folder);
            command.args(["test", "-c", "-ldflags=-s -w", "-o"]).arg(folder.join("tests")).arg(package);
            run(&mut command, &step, &self.machine.cache.log(&key))?;
            step.done();
            Ok(())
        })?;
        Ok(folder.join("tests"))
    }
}

/// `go build` in this module, undisturbed by a workspace around it or by the user's flags.
pub(crate) fn build(go: &Path, module: &Path) -> Command {
    let mut command = undisturbed(go, module);
    command.arg("build").arg("-v");
    command
}

fn undisturbed(go: &Path, module: &Path) -> Command {
    let mut command = Command::new(go);
    command.current_dir(module).env("GOWORK", "off").env_remove("GOFLAGS");
    command
}

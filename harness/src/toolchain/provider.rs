//! The Scaleway provider plugin: the official one if Pulumi has downloaded it, else ours, built from
//! the Terraform provider's Go module.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::identity::{Version, identify};
use super::machine::Machine;
use super::run::run;
use super::{Provenance, Search, Tool, go};
use crate::{Failure, Progress};

/// The version the program's Python package asks for.
pub(crate) const VERSION: &str = "1.55.1";
/// The name of its program.
pub(crate) const PROGRAM: &str = "pulumi-resource-scaleway";

/// The folder a Pulumi home keeps it in.
pub(crate) fn folder_in(pulumi_home: &Path) -> PathBuf {
    pulumi_home.join("plugins").join(format!("resource-scaleway-v{VERSION}"))
}

/// Which provider plugin serves, or how to come by one.
pub(crate) fn find(machine: &Machine) -> Result<Search, Failure> {
    let search = Search::new("provider");
    if let Some(home) = &machine.pulumi_home {
        // Ours is linked into the Pulumi homes of runs; the official one is a file of its own.
        let program = folder_in(home).join(PROGRAM);
        let ours = program.canonicalize().is_ok_and(|program| program.starts_with(machine.cache.root()));
        let partial = folder_in(home).with_extension("1.partial").exists();
        if !ours
            && !partial
            && let Some(tool) = tool(machine, program, Provenance::Official)
        {
            return Ok(search.found(tool));
        }
    }
    let key = go::key(&module(machine), "provider", VERSION)?;
    if let Some(tool) = built(machine, &key) {
        return Ok(search.found(tool));
    }
    Ok(match compiler(machine) {
        Ok(_) => search.installable("will be built from its Go modules on first need, about 5 minutes"),
        Err(failure) => search.missing(failure),
    })
}

/// Our provider plugin, built if it is not there yet.
pub(crate) fn install(machine: &Machine, progress: &Progress) -> Result<Tool, Failure> {
    let go = compiler(machine)?;
    let module = module(machine);
    let key = go::key(&module, "provider", VERSION)?;
    machine.cache.install(&key, progress, |folder| {
        let step =
            progress.step(format!("building the Scaleway provider {VERSION} from its Go modules (about 5 minutes)"));
        let log = machine.cache.log(&key);
        let mut command = go::build(&go, &module);
        command.arg("-ldflags=-s -w").arg("-o").arg(folder.join(PROGRAM)).arg(".");
        run(&mut command, &step, &log)?;
        let mut schema = Command::new(folder.join(PROGRAM));
        schema.args(["schema", "-o"]).arg(folder).current_dir(folder);
        run(&mut schema, &step, &log)?;
        step.done();
        Ok(())
    })?;
    built(machine, &key).ok_or_else(|| super::unusable("the Scaleway provider", &machine.cache.log(&key)))
}

fn module(machine: &Machine) -> PathBuf {
    machine.workspace.tools().join("provider")
}

fn compiler(machine: &Machine) -> Result<PathBuf, Failure> {
    let official = format!("pulumi plugin install resource scaleway {VERSION} (the official plugin)");
    go::find(machine, &format!("the Scaleway provider {VERSION}"), &format!("run {official}"))
}

fn built(machine: &Machine, key: &str) -> Option<Tool> {
    let folder = machine.cache.installed(key)?;
    let complete = ["schema.json", "bridge-metadata.json"].iter().all(|file| folder.join(file).is_file());
    complete.then(|| tool(machine, folder.join(PROGRAM), Provenance::Built))?
}

fn tool(machine: &Machine, program: PathBuf, provenance: Provenance) -> Option<Tool> {
    // A plugin does not tell its version without an engine: the folder it lies in does.
    let identity = identify(&machine.cache, &program, |_| Some(VERSION.to_owned()))?;
    Some(Tool::of("provider", program, Version::in_text(VERSION)?, provenance, identity))
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake::Bench;
    use super::*;

    #[test]
    fn the_official_plugin_wins_over_a_built_one() {
        let bench = Bench::new();
        bench.file("checkout/tools/provider/go.mod", "module provider");
        let key = go::key(&module(&bench.machine), "provider", VERSION).unwrap();
        let fill = |folder: &Path| {
            for file in [PROGRAM, "schema.json", "bridge-metadata.json"] {
                std::fs::write(folder.join(file), "").unwrap();
            }
            Ok(())
        };
        bench.machine.cache.install(&key, &Progress::Silent, fill).unwrap();
        assert_eq!(find(&bench.machine).unwrap().tool.unwrap().provenance, Provenance::Built);
        let official = bench.program("pulumi-home/plugins/resource-scaleway-v1.55.1/pulumi-resource-scaleway", "");
        let tool = find(&bench.machine).unwrap().tool.unwrap();
        assert_eq!((tool.path, tool.provenance), (official, Provenance::Official));
    }

    #[test]
    fn without_go_the_one_line_says_what_to_do() {
        let bench = Bench::new();
        bench.file("checkout/tools/provider/go.mod", "module provider");
        // The usual place of Go may exist on the machine the test runs on; a Go that is too old hides it.
        bench.program("bin/go", "go1.18.1");
        let missing = find(&bench.machine).unwrap().missing.unwrap();
        assert!(missing.what.starts_with("go is too old to build the Scaleway provider 1.55.1"), "{}", missing.what);
        assert!(missing.next.contains("pulumi plugin install resource scaleway 1.55.1"), "{}", missing.next);
    }

    #[test]
    fn the_pinned_versions_agree_with_the_locked_packages() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
        let locked = read("infra/requirements-dev.txt");
        assert!(locked.contains(&format!("pulumiverse-scaleway=={VERSION} ")));
        assert!(locked.contains(&format!("pulumi=={} ", super::super::pulumi::PINNED)));
        assert!(read("tools/provider/provider.go").contains(&format!("version = \"{VERSION}\"")));
        assert!(read("tools/pulumi/go.mod").contains(&format!("pulumi/pkg/v3 v{}", super::super::pulumi::PINNED)));
    }
}

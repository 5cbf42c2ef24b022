//! The scw CLI: the user's own if it is new enough, else the pinned one, built from its Go module.

use std::path::Path;

use super::identity::{Version, identify};
use super::machine::Machine;
use super::run::{ask, run};
use super::{Provenance, Search, Tool, go};
use crate::{Failure, Progress};

/// The version the scenarios are tried with, and that is built where there is none.
const PINNED: &str = "2.55.0";
const OLDEST: Version = Version(2, 55, 0);

/// Which scw serves, or how to come by one.
pub(crate) fn find(machine: &Machine) -> Result<Search, Failure> {
    let mut search = Search::new("scw");
    for program in machine.programs("scw") {
        match tool(machine, &program, Provenance::Machine) {
            Some((version, tool)) if version >= OLDEST => return Ok(search.found(tool)),
            Some((version, _)) => {
                search.notes.push(format!("{} is scw {version}, older than {OLDEST}: passed over", program.display()))
            }
            None => search.notes.push(format!("{} does not tell its version: passed over", program.display())),
        }
    }
    let module = machine.workspace.tools().join("scw");
    let built = machine.cache.installed(&go::key(&module, "scw", PINNED)?);
    if let Some((_, tool)) = built.and_then(|folder| tool(machine, &folder.join("scw"), Provenance::Built)) {
        return Ok(search.found(tool));
    }
    Ok(match compiler(machine) {
        Ok(_) => search.installable("will be built from its Go module on first need, about 4 minutes"),
        Err(failure) => search.missing(failure),
    })
}

/// The pinned scw, built if it is not there yet.
pub(crate) fn install(machine: &Machine, progress: &Progress) -> Result<Tool, Failure> {
    let go = compiler(machine)?;
    let module = machine.workspace.tools().join("scw");
    let key = go::key(&module, "scw", PINNED)?;
    let folder = machine.cache.install(&key, progress, |folder| {
        let step = progress.step(format!("building scw {PINNED} from its Go module (about 4 minutes)"));
        let mut command = go::build(&go, &module);
        command.args(["-trimpath", "-ldflags=-s -w", "-o"]).arg(folder.join("scw"));
        command.arg("github.com/scaleway/scaleway-cli/v2/cmd/scw");
        run(&mut command, &step, &machine.cache.log(&key))?;
        step.done();
        Ok(())
    })?;
    let built = tool(machine, &folder.join("scw"), Provenance::Built).map(|(_, tool)| tool);
    built.ok_or_else(|| super::unusable("scw", &machine.cache.log(&key)))
}

fn compiler(machine: &Machine) -> Result<std::path::PathBuf, Failure> {
    go::find(machine, &format!("scw {PINNED}"), &format!("put scw {OLDEST} or newer on PATH"))
}

fn tool(machine: &Machine, program: &Path, provenance: Provenance) -> Option<(Version, Tool)> {
    let identity = identify(&machine.cache, program, |program| ask(program, &["version"]))?;
    let version = Version::in_text(&identity.version)?;
    Some((version, Tool::of("scw", program.to_owned(), version, provenance, identity)))
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake::Bench;
    use super::*;

    #[test]
    fn the_users_own_scw_serves_unless_it_is_too_old() {
        let bench = Bench::new();
        bench.file("checkout/tools/scw/go.mod", "module scw");
        let own = bench.program("bin/scw", "Version          2.56.1");
        assert_eq!(find(&bench.machine).unwrap().tool.unwrap().path, own);
        bench.program("bin/scw", "Version          2.9.0 (an old one)");
        let search = find(&bench.machine).unwrap();
        assert_eq!(search.notes, [format!("{} is scw 2.9.0, older than 2.55.0: passed over", own.display())]);
    }

    #[test]
    fn the_pinned_version_is_that_of_the_module() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let module = std::fs::read_to_string(root.join("tools/scw/go.mod")).unwrap();
        assert!(module.contains(&format!("scaleway-cli/v2 v{PINNED} ")), "tools/scw/go.mod pins another scw");
    }
}

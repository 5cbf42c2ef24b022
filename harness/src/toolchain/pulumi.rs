//! The Pulumi CLI: the user's own if it is new enough, else the pinned one, built from its Go module.

use std::path::Path;

use super::identity::{Version, identify};
use super::machine::Machine;
use super::run::{ask, run};
use super::{Provenance, Search, Tool, go};
use crate::{Failure, Progress};

/// The version stackproof is tested with, and builds where there is none.
pub(crate) const PINNED: &str = "3.259.0";
/// The oldest that is used when found. Nothing below the pinned one is tested.
pub(crate) const OLDEST: Version = Version(3, 200, 0);

/// Which pulumi serves, or how to come by one.
pub(crate) fn find(machine: &Machine) -> Result<Search, Failure> {
    let mut search = Search::new("pulumi");
    for program in machine.programs("pulumi") {
        let version = identify(&machine.cache, &program, |program| ask(program, &["version"]));
        match version.map(|identity| (Version::in_text(&identity.version), identity)) {
            Some((Some(version), identity)) if version >= OLDEST => {
                return Ok(search.found(Tool::of("pulumi", program, version, Provenance::Machine, identity)));
            }
            Some((Some(version), _)) => search
                .notes
                .push(format!("{} is pulumi {version}, older than {OLDEST}: passed over", program.display())),
            _ => search.notes.push(format!("{} does not tell its version: passed over", program.display())),
        }
    }
    let module = machine.workspace.tools().join("pulumi");
    let key = go::key(&module, "pulumi", PINNED)?;
    if let Some(tool) = built(machine, &key) {
        return Ok(search.found(tool));
    }
    Ok(match compiler(machine) {
        Ok(_) => search.installable("will be built from its Go module on first need, about 6 minutes"),
        Err(failure) => search.missing(failure),
    })
}

/// The pinned pulumi, built if it is not there yet.
pub(crate) fn install(machine: &Machine, progress: &Progress) -> Result<Tool, Failure> {
    let go = compiler(machine)?;
    let module = machine.workspace.tools().join("pulumi");
    let key = go::key(&module, "pulumi", PINNED)?;
    machine.cache.install(&key, progress, |folder| {
        let step = progress.step(format!("building pulumi {PINNED} from its Go module (about 6 minutes)"));
        let version = format!("github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PINNED}");
        let mut command = go::build(&go, &module);
        command.arg("-trimpath").arg(format!("-ldflags=-s -w -X {version}"));
        command.arg("-o").arg(folder.join("pulumi")).arg("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi");
        run(&mut command, &step, &machine.cache.log(&key))?;
        step.done();
        Ok(())
    })?;
    built(machine, &key).ok_or_else(|| super::unusable("pulumi", &machine.cache.log(&key)))
}

fn compiler(machine: &Machine) -> Result<std::path::PathBuf, Failure> {
    go::find(machine, &format!("pulumi {PINNED}"), &format!("put pulumi {OLDEST} or newer on PATH"))
}

fn built(machine: &Machine, key: &str) -> Option<Tool> {
    let program = machine.cache.installed(key)?.join("pulumi");
    let ask_version = |program: &Path| ask(program, &["version"]);
    let identity = identify(&machine.cache, &program, ask_version)?;
    let version = Version::in_text(&identity.version)?;
    Some(Tool::of("pulumi", program, version, Provenance::Built, identity))
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake::Bench;
    use super::*;

    fn bench() -> Bench {
        let bench = Bench::new();
        bench.file("checkout/tools/pulumi/go.mod", "module pulumi");
        bench
    }

    #[test]
    fn the_users_own_newer_pulumi_wins() {
        let bench = bench();
        let own = bench.program("bin/pulumi", "v3.300.1");
        let tool = find(&bench.machine).unwrap().tool.unwrap();
        assert_eq!((tool.path, tool.version.as_str(), tool.provenance), (own, "3.300.1", Provenance::Machine));
    }

    #[test]
    fn a_pulumi_that_is_too_old_is_passed_over_with_a_note_for_the_next_on_the_path() {
        let mut bench = bench();
        let old = bench.program("bin/pulumi", "v3.150.0");
        let newer = bench.program("opt/pulumi", "v3.259.0");
        bench.machine.path = std::env::join_paths([old.parent().unwrap(), newer.parent().unwrap()]).unwrap();
        let search = find(&bench.machine).unwrap();
        assert_eq!(search.tool.unwrap().path, newer);
        assert_eq!(search.notes, [format!("{} is pulumi 3.150.0, older than 3.200.0: passed over", old.display())]);
    }

    #[test]
    fn where_there_is_none_it_is_built_once_and_found_from_then_on() {
        let bench = bench();
        // Plays `go env GOVERSION` and `go build … -o FILE PACKAGE`.
        bench.script(
            "bin/go",
            r#"PATH=/usr/bin:/bin; [ "$1" = env ] && { echo go1.26.1; exit; }
while [ "$1" != -o ]; do shift; done; printf '#!/bin/sh\necho v3.259.0\n' > "$2"; chmod +x "$2""#,
        );
        let before = find(&bench.machine).unwrap();
        assert!(before.tool.is_none() && before.installable.unwrap().contains("6 minutes"));
        let tool = install(&bench.machine, &Progress::Silent).unwrap();
        assert_eq!((tool.version.as_str(), &tool.provenance), ("3.259.0", &Provenance::Built));
        assert_eq!(find(&bench.machine).unwrap().tool.unwrap(), tool);
        let before = find(&bench.machine).unwrap().tool.unwrap().path;
        bench.file("checkout/tools/pulumi/go.sum", "another dependency");
        assert!(find(&bench.machine).unwrap().tool.is_none(), "{before:?} is of other sources");
    }
}

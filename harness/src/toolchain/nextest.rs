//! cargo-nextest, the test runner: the user's own if it is new enough, else the wheel's.

use std::path::{Path, PathBuf};

use super::identity::{Version, identify};
use super::machine::Machine;
use super::run::ask;
use super::{Provenance, Search, Tool, python};
use crate::Failure;

const OLDEST: Version = Version(0, 9, 100);
const PROGRAM: &str = "cargo-nextest";

/// Which nextest serves, or how to come by one.
pub(crate) fn find(machine: &Machine) -> Result<Search, Failure> {
    let mut search = Search::new("nextest");
    for program in machine.programs(PROGRAM) {
        match tool(machine, program.clone(), Provenance::Machine) {
            Some((version, tool)) if version >= OLDEST => return Ok(search.found(tool)),
            Some((version, _)) => search
                .notes
                .push(format!("{} is nextest {version}, older than {OLDEST}: passed over", program.display())),
            None => search.notes.push(format!("{} does not tell its version: passed over", program.display())),
        }
    }
    let environment = python::environment(machine);
    if let Some(folder) = environment.folder(machine)? {
        if let Some((_, tool)) = tool(machine, folder.join("bin").join(PROGRAM), Provenance::Registry) {
            return Ok(search.found(tool));
        }
        let missing = Failure::environment("cargo-nextest not found: no wheel carries it for this platform");
        return Ok(search.missing(missing.next("cargo install cargo-nextest --locked")));
    }
    Ok(match environment.find(machine)?.missing {
        None => search.installable("will be installed with the Python packages"),
        Some(_) => search.missing(
            Failure::environment("cargo-nextest not found: it comes with the Python packages, or of its own")
                .next("cargo install cargo-nextest --locked"),
        ),
    })
}

fn tool(machine: &Machine, program: PathBuf, provenance: Provenance) -> Option<(Version, Tool)> {
    let ask_version = |program: &Path| ask(program, &["nextest", "--version"]);
    let identity = identify(&machine.cache, &program, ask_version)?;
    let version = Version::in_text(&identity.version)?;
    Some((version, Tool::of("nextest", program, version, provenance, identity)))
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake::Bench;
    use super::*;

    #[test]
    fn the_users_own_nextest_wins_unless_it_is_too_old() {
        let bench = Bench::new();
        bench.file("checkout/infra/requirements-dev.txt", "");
        let own = bench.program("bin/cargo-nextest", "cargo-nextest 0.9.151");
        assert_eq!(find(&bench.machine).unwrap().tool.unwrap().path, own);
        bench.program("bin/cargo-nextest", "cargo-nextest 0.9.7 (an old one)");
        let search = find(&bench.machine).unwrap();
        assert_eq!(search.tool, None);
        assert_eq!(search.notes, [format!("{} is nextest 0.9.7, older than 0.9.100: passed over", own.display())]);
    }
}

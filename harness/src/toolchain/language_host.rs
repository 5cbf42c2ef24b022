//! The Python language host: the one the user's pulumi came with, else ours.
//!
//! pulumi looks for it beside its own program, links resolved, and warns about one it
//! finds on PATH alone. So ours lies in a folder with a hard link (else a copy) of pulumi.

use std::path::{Path, PathBuf};

use super::identity::{Version, digest_of_inputs, identify};
use super::machine::{Machine, is_program};
use super::{Provenance, Search, Tool};
use crate::{Failure, Progress};

/// The name of its program.
const PROGRAM: &str = "pulumi-language-python";

/// The language host this pulumi brings, or is served by from PATH.
pub(crate) fn find_own(machine: &Machine, pulumi: &Tool) -> Option<Tool> {
    if pulumi.provenance == Provenance::Built {
        return None;
    }
    let beside = pulumi.path.canonicalize().ok().and_then(|real| Some(real.parent()?.join(PROGRAM)));
    // Version managers put shims of both programs side by side.
    let beside_shim = pulumi.path.parent().map(|folder| folder.join(PROGRAM));
    let official = beside.into_iter().chain(beside_shim).find(|program| is_program(program));
    let (program, provenance) = match official {
        Some(program) => (program, Provenance::Official),
        None => (machine.program(PROGRAM)?, Provenance::Machine),
    };
    // It has no version of its own: it is released with pulumi.
    let identity = identify(&machine.cache, &program, |_| Some(pulumi.version.clone()))?;
    Some(Tool::of("language-host", program, Version::in_text(&pulumi.version)?, provenance, identity))
}

/// Which language host serves this pulumi, or how to come by one.
pub(crate) fn find(machine: &Machine, pulumi: Option<&Tool>, python: Option<&Tool>) -> Result<Search, Failure> {
    let search = Search::new("language-host");
    if let Some(own) = pulumi.and_then(|pulumi| find_own(machine, pulumi)) {
        return Ok(search.found(own));
    }
    if let (Some(pulumi), Some(python)) = (pulumi, python)
        && let Some(folder) = machine.cache.installed(&key(machine, pulumi, python)?)
        && let Some(tool) = ours(machine, pulumi, &folder)
    {
        return Ok(search.found(tool));
    }
    Ok(search.installable("will be put beside pulumi on first need, at once"))
}

/// The language host that serves this pulumi, and the pulumi to call so that it does.
pub(crate) fn install(
    machine: &Machine,
    progress: &Progress,
    pulumi: &Tool,
    python: &Tool,
) -> Result<(Tool, PathBuf), Failure> {
    if let Some(own) = find_own(machine, pulumi) {
        return Ok((own, pulumi.path.clone()));
    }
    let key = key(machine, pulumi, python)?;
    let folder = machine.cache.install(&key, progress, |folder| {
        let fill = || {
            let real = pulumi.path.canonicalize()?;
            let beside = folder.join("pulumi");
            std::fs::hard_link(&real, &beside).or_else(|_| std::fs::copy(&real, &beside).map(drop))?;
            let script = std::fs::read_to_string(source(machine))?;
            let body = script.split_once('\n').map_or("", |(_, body)| body);
            let host = folder.join(PROGRAM);
            std::fs::write(&host, format!("{}{body}", first_lines(&python.path)))?;
            std::fs::set_permissions(&host, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        };
        fill().map_err(|error: std::io::Error| machine.cache.unusable(&error))
    })?;
    let tool = ours(machine, pulumi, &folder).ok_or_else(|| {
        Failure::environment(format!("the language host in {} cannot be read", folder.display()))
            .next(format!("rm -r {}, then stackproof doctor --install", folder.display()))
    })?;
    Ok((tool, folder.join("pulumi")))
}

/// The pulumi with our language host beside it, if that is the one in use and installed.
pub(crate) fn pulumi_beside(host: &Tool) -> Option<PathBuf> {
    (host.provenance == Provenance::Built).then(|| host.path.with_file_name("pulumi"))
}

/// The first lines of a script for this interpreter. The kernel cuts long first lines short and splits them
/// at spaces: there the shell is the interpreter, and hands over in a line that Python takes for a string.
fn first_lines(python: &Path) -> String {
    let python = python.display().to_string();
    if python.len() < 120 && !python.contains(char::is_whitespace) {
        return format!("#!{python}\n");
    }
    format!("#!/bin/sh\n''''exec '{}' \"$0\" \"$@\" # '''\n", python.replace('\'', r"'\''"))
}

fn source(machine: &Machine) -> PathBuf {
    machine.workspace.tools().join("language-host").join(PROGRAM)
}

fn key(machine: &Machine, pulumi: &Tool, python: &Tool) -> Result<String, Failure> {
    let source = source(machine);
    let digest = digest_of_inputs(&[&pulumi.sha256, &python.path.to_string_lossy()], std::slice::from_ref(&source));
    let digest = digest.map_err(|error| {
        Failure::environment(format!("the language host {} cannot be read: {error}", source.display()))
            .next("git checkout -- tools")
    })?;
    Ok(format!("pulumi-with-host-{}-{digest}", pulumi.version))
}

fn ours(machine: &Machine, pulumi: &Tool, folder: &Path) -> Option<Tool> {
    let program = folder.join(PROGRAM);
    let identity = identify(&machine.cache, &program, |_| Some(pulumi.version.clone()))?;
    Some(Tool::of("language-host", program, Version::in_text(&pulumi.version)?, Provenance::Built, identity))
}

#[cfg(test)]
mod tests {
    use super::super::machine::fake::Bench;
    use super::*;

    fn tool(name: &'static str, path: PathBuf, provenance: Provenance) -> Tool {
        Tool { name, path, version: "3.259.0".into(), provenance, sha256: "00".into() }
    }

    #[test]
    fn the_host_an_official_pulumi_brings_is_used_and_ours_steps_aside() {
        let bench = Bench::new();
        let real = bench.program("opt/pulumi/pulumi", "v3.259.0");
        let host = bench.program("opt/pulumi/pulumi-language-python", "");
        let link = bench.home.path().join("bin/pulumi");
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(real, &link).unwrap();
        let pulumi = tool("pulumi", link.clone(), Provenance::Machine);
        let python = tool("python", "/venv/bin/python".into(), Provenance::Registry);
        let (found, call) = install(&bench.machine, &Progress::Silent, &pulumi, &python).unwrap();
        assert_eq!((found.path, found.provenance, call), (host, Provenance::Official, link));
    }

    #[test]
    fn a_pulumi_without_a_host_is_linked_beside_ours_which_names_the_interpreter() {
        let bench = Bench::new();
        bench.file("checkout/tools/language-host/pulumi-language-python", "#!/usr/bin/env python3\nserve()\n");
        let pulumi = tool("pulumi", bench.program("bin/pulumi", "v3.259.0"), Provenance::Machine);
        let python = tool("python", "/venv/bin/python".into(), Provenance::Registry);
        assert!(find(&bench.machine, Some(&pulumi), Some(&python)).unwrap().installable.is_some());
        let (host, call) = install(&bench.machine, &Progress::Silent, &pulumi, &python).unwrap();
        assert_eq!(std::fs::read_to_string(&host.path).unwrap(), "#!/venv/bin/python\nserve()\n");
        assert_eq!(call.canonicalize().unwrap().parent(), host.path.parent());
        assert_eq!(find(&bench.machine, Some(&pulumi), Some(&python)).unwrap().tool, Some(host));
    }

    #[test]
    fn a_path_no_first_line_can_hold_is_handed_over_by_the_shell() {
        let home = tempfile::Builder::new().prefix("a b").tempdir().unwrap();
        let script = home.path().join("host");
        std::fs::write(&script, format!("{}print('served')\n", first_lines(Path::new("/a b/python")))).unwrap();
        assert_eq!(
            std::fs::read_to_string(script).unwrap(),
            "#!/bin/sh\n''''exec '/a b/python' \"$0\" \"$@\" # '''\nprint('served')\n"
        );
    }
}

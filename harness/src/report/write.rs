//! Puts a report into its directory, whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{Manifest, Report, html, junit, markdown};
use crate::Failure;
use crate::acceptance::write_whole;

/// Writes every format, the evidence of the run and the manifest into `directory`; answers the manifest's digest.
///
/// An earlier report there is replaced as a whole, so no file of it survives. A
/// directory that holds anything else is left alone.
pub fn write(report: &Report, run: &Path, directory: &Path) -> Result<String, Failure> {
    refuse_foreign(directory)?;
    let beside = sibling(directory, "writing");
    remove(&beside)?;
    let mut json = serde_json::to_vec_pretty(report).map_err(|error| Failure::failed(error.to_string()))?;
    json.push(b'\n');
    write_whole(&beside.join("report.json"), &json)?;
    write_whole(&beside.join("report.html"), html::render(report).as_bytes())?;
    write_whole(&beside.join("report.md"), markdown::render(report).as_bytes())?;
    write_whole(&beside.join("junit.xml"), &junit::render(report)?)?;
    copy_evidence(&run.join("evidence"), &beside.join("evidence"))?;
    let digest = Manifest::of(&beside)?.write(&beside)?;
    remove(directory)?;
    fs::rename(&beside, directory)
        .map_err(|error| Failure::environment(format!("cannot write {}", directory.display())).because(error))?;
    Ok(digest)
}

fn refuse_foreign(directory: &Path) -> Result<(), Failure> {
    let holds_something = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if directory.is_file() || (holds_something && Manifest::read(directory).is_err()) {
        return Err(Failure::usage(format!("{} exists and is no report", directory.display()))
            .because("a report replaces its directory as a whole")
            .next("name another one: --report DIR"));
    }
    Ok(())
}

fn copy_evidence(from: &Path, to: &Path) -> Result<(), Failure> {
    if !from.is_dir() {
        return Ok(());
    }
    for entry in WalkDir::new(from).sort_by_file_name() {
        let entry = entry.map_err(|error| Failure::environment("cannot read the evidence").because(error))?;
        let path = entry.path();
        if entry.file_type().is_file() && !entry.file_name().as_encoded_bytes().starts_with(b".writing-") {
            let bytes = fs::read(path)
                .map_err(|error| Failure::environment(format!("cannot read {}", path.display())).because(error))?;
            write_whole(&to.join(path.strip_prefix(from).unwrap_or(path)), &bytes)?;
        }
    }
    Ok(())
}

fn sibling(directory: &Path, word: &str) -> PathBuf {
    let name = directory.file_name().map_or_else(|| "report".into(), |name| name.to_string_lossy());
    directory.with_file_name(format!(".{name}-{word}-{}", std::process::id()))
}

fn remove(directory: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::environment(format!("cannot replace {}", directory.display())).because(error))
        }
        _ => Ok(()),
    }
}

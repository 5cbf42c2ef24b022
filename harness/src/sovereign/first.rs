//! A state in a folder of this machine, as a run of Pulumi's that was killed leaves it: locked, or half written.

use std::{fs, io, path::Path};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use serde_json::Value;

use crate::Failure;

/// Puts a folder right that Pulumi keeps a stack's state in: removes the locks of processes that are gone, and brings back
/// the copy that Pulumi keeps of a checkpoint which is not whole; without a copy nothing was saved yet.
///
/// # Errors
/// When the folder cannot be used.
pub(super) fn mend(folder: &Path, project: &str, stack: &str) -> Result<(), Failure> {
    let mended = unlock(&folder.join(".pulumi/locks/organization").join(project).join(stack))
        .and_then(|()| restore(&folder.join(".pulumi/stacks").join(project).join(format!("{stack}.json"))));
    mended.map_err(|error| {
        Failure::environment(format!("{} cannot be used", folder.display()))
            .because(error)
            .next(format!("ls -lR {}", folder.display()))
    })
}

fn unlock(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let lock: Value = serde_json::from_slice(&fs::read(&path)?).unwrap_or_default();
        let pid = lock["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        // One that cannot be read was being written when its process ended.
        if !pid.is_some_and(runs) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Whether a process can still do something. One that was killed is there until its parent has heard of it.
fn runs(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_dead = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']));
    !is_dead && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
}

fn restore(checkpoint: &Path) -> io::Result<()> {
    let is_whole = |path: &Path| -> io::Result<Option<bool>> {
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => Ok(Some(serde_json::from_slice::<Value>(&read?).is_ok())),
        }
    };
    if is_whole(checkpoint)? != Some(false) {
        return Ok(());
    }
    let copy = checkpoint.with_extension("json.bak");
    if is_whole(&copy)? == Some(true) { fs::copy(copy, checkpoint).map(drop) } else { fs::remove_file(checkpoint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(".pulumi").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn left(folder: &tempfile::TempDir, name: &str) -> Option<String> {
        mend(folder.path(), "p", "s").unwrap();
        fs::read_to_string(folder.path().join(".pulumi").join(name)).ok()
    }

    #[test]
    fn the_lock_of_a_process_that_is_gone_is_removed_and_others_are_not() {
        let lock = "locks/organization/p/s/1.json";
        let own = format!("{{\"pid\": {}}}", std::process::id());
        assert_eq!(left(&folder(&[(lock, &own)]), lock), Some(own));
        assert_eq!(left(&folder(&[(lock, r#"{"pid": 2147483647}"#)]), lock), None);
        assert_eq!(left(&folder(&[(lock, "")]), lock), None);
    }

    #[test]
    fn a_half_written_checkpoint_is_what_it_was_before() {
        let (now, copy) = ("stacks/p/s.json", "stacks/p/s.json.bak");
        assert_eq!(left(&folder(&[(now, "{\"new\": 1}"), (copy, "{}")]), now).as_deref(), Some("{\"new\": 1}"));
        assert_eq!(left(&folder(&[(now, "{\"ne"), (copy, "{}")]), now).as_deref(), Some("{}"));
        assert_eq!(left(&folder(&[(now, ""), (copy, "")]), now), None);
        assert_eq!(left(&folder(&[]), now), None);
    }
}

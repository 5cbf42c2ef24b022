//! MinIO, the S3 server that the state's own tests run on beside the local cloud's: built from its Go module, since it
//! is distributed no other way any more.

use super::identity::identify;
use super::machine::Machine;
use super::run::{ask, run};
use super::{Provenance, Tool, go};
use crate::{Failure, Progress};

/// When the pinned version was made; it has no other name.
const PINNED: &str = "20260212201848";

/// The pinned MinIO, built if it is not there yet.
///
/// # Errors
/// When Go is missing, or it cannot be built.
pub(super) fn install(machine: &Machine, progress: &Progress) -> Result<Tool, Failure> {
    let module = machine.workspace.tools().join("minio");
    let key = go::key(&module, "minio", PINNED)?;
    let folder = machine.cache.install(&key, progress, |folder| {
        let go = go::find(machine, "MinIO", "run stackproof accept, which needs none")?;
        let step = progress.step("building MinIO from its Go module (some minutes)");
        let mut command = go::build(&go, &module);
        command.args(["-trimpath", "-ldflags=-s -w", "-o"]).arg(folder.join("minio")).arg("github.com/minio/minio");
        run(&mut command, &step, &machine.cache.log(&key))?;
        step.done();
        Ok(())
    })?;
    let program = folder.join("minio");
    let identity = identify(&machine.cache, &program, |program| ask(program, &["--version"]))
        .ok_or_else(|| super::unusable("MinIO", &machine.cache.log(&key)))?;
    let version = PINNED.to_owned();
    Ok(Tool { name: "minio", path: program, version, provenance: Provenance::Built, sha256: identity.sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_version_is_that_of_the_module() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let module = std::fs::read_to_string(root.join("tools/minio/go.mod")).unwrap();
        assert!(module.contains(&format!("minio/minio v0.0.0-{PINNED}-")), "tools/minio/go.mod pins another MinIO");
    }
}

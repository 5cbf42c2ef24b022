//! The sample application's image: one static program, from scratch, so that nothing is pulled.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use oci_client::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use serde_json::json;
use tokio::process::Command;

use super::source::{Blob, Manifest, Source, digest};
use crate::{Failure, Progress, Workspace};

/// The package of the application.
const PACKAGE: &str = "stackproof-app";
/// Who it runs as: nobody that any system knows.
const USER: &str = "65532:65532";

/// Builds the application and lays it into an image.
///
/// # Errors
/// When cargo cannot build it; what cargo said is told.
pub async fn build(workspace: &Workspace, progress: &Progress) -> Result<Source, Failure> {
    let step = progress.step("building the sample application".to_owned());
    let program = compile(workspace).await?;
    step.done();
    let program = std::fs::read(&program)
        .map_err(|error| Failure::failed(format!("{} cannot be read", program.display())).because(error))?;
    lay(&program)
}

/// A static program: the image has no libraries.
async fn compile(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let triple = triple()?;
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--profile", "image", "--package", PACKAGE, "--target", &triple, "--message-format", "json"])
        .env(flags, "-C target-feature=+crt-static")
        .current_dir(&workspace.root)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| Failure::environment("cargo could not be run").because(error))?;
    let program = String::from_utf8_lossy(&built.stdout).lines().rev().find_map(executable);
    match program {
        Some(program) if built.status.success() => Ok(program),
        _ => Err(Failure::failed("the sample application could not be built")
            .because(String::from_utf8_lossy(&built.stderr).trim().to_owned())
            .next(format!("cargo build --package {PACKAGE}"))),
    }
}

/// The program that a message of cargo's names, if it is about one.
fn executable(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    Some(Path::new(message.get("executable")?.as_str()?).to_owned())
}

fn triple() -> Result<String, Failure> {
    match std::env::consts::ARCH {
        architecture @ ("x86_64" | "aarch64") => Ok(format!("{architecture}-unknown-linux-gnu")),
        other => Err(Failure::environment(format!("there is no sample image for {other}"))
            .next("stackproof image push SOURCE, of an image of your own")),
    }
}

pub(super) fn lay(program: &[u8]) -> Result<Source, Failure> {
    let failed = |error: std::io::Error| Failure::failed("the sample image could not be made").because(error);
    let mut header = tar::Header::new_gnu();
    header.set_size(program.len() as u64);
    header.set_mode(0o555);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "app", program).map_err(failed)?;
    let layer = archive.into_inner().map_err(failed)?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Entrypoint": ["/app"],
            "User": USER,
            "ExposedPorts": {"8080/tcp": {}},
            "Labels": {"org.opencontainers.image.title": "stackproof sample application"},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MEDIA_TYPE,
        "config": {"mediaType": IMAGE_CONFIG_MEDIA_TYPE, "digest": digest(&config), "size": config.len()},
        "layers": [{"mediaType": IMAGE_LAYER_MEDIA_TYPE, "digest": digest(&layer), "size": layer.len()}],
    });
    let manifest = Manifest::new(OCI_IMAGE_MEDIA_TYPE, manifest.to_string().into_bytes());
    Ok(Source { blobs: vec![Blob::memory(config), Blob::memory(layer)], manifests: vec![manifest] })
}

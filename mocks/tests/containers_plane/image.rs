//! An image of one static program, as a registry takes it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What is pushed.
pub(crate) struct Image {
    /// Configuration and layer.
    pub(crate) blobs: [Vec<u8>; 2],
    pub(crate) manifest: Vec<u8>,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The program, built once; the tests of `planes` use the same.
fn app() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../planes/tests/fixtures/app.rs");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("app");
        fs::create_dir_all(&folder).unwrap();
        let built = folder.join(hex::encode(&Sha256::digest(fs::read(&source).unwrap())[..8]));
        if !built.exists() {
            let making = folder.join(format!("making-{}", std::process::id()));
            let done = Command::new("rustc")
                .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
                .args([&making, &source])
                .status()
                .unwrap();
            assert!(done.success(), "the test program was not built");
            fs::rename(&making, &built).unwrap();
        }
        built
    })
}

/// An image that serves; `change` is laid over its configuration.
pub(crate) fn serving(change: &Value) -> Image {
    let mut layer = tar::Builder::new(Vec::new());
    let program = fs::read(app()).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    layer.append_data(&mut header, "bin/app", program.as_slice()).unwrap();
    let layer = layer.into_inner().unwrap();
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let mut config = json!({
        "architecture": machine, "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        "config": {"Entrypoint": ["app"], "Cmd": ["serve"]},
    });
    config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let config = config.to_string().into_bytes();
    let described = |kind: &str, bytes: &[u8]| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(bytes), "size": bytes.len()});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", &config), "layers": [described("layer.v1.tar", &layer)],
    });
    Image { blobs: [config, layer], manifest: manifest.to_string().into_bytes() }
}

//! Images for tests, made of one static program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
};

use serde_json::json;
use sha2::{Digest, Sha256};
use stackproof_planes::containers::{Folder, Helper, Image, Runtime};

pub(crate) fn helper() -> Helper {
    Helper::at(env!("CARGO_BIN_EXE_stackproof-container"))
}

/// The program, built once for each test binary.
fn app() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/app.rs");
        let text = fs::read(&source).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("app");
        fs::create_dir_all(&folder).unwrap();
        let built = folder.join(hex::encode(&Sha256::digest(&text)[..8]));
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

fn blob(folder: &Path, content: &[u8]) -> (String, usize) {
    let hex = hex::encode(Sha256::digest(content));
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(&hex), content).unwrap();
    (format!("sha256:{hex}"), content.len())
}

fn entry(builder: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    builder.append_data(&mut header, path, content).unwrap();
}

/// Lays an image into a folder; gives its manifest. `change` is laid over the configuration.
pub(crate) fn lay(folder: &Path, change: serde_json::Value) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    entry(&mut layer, "bin/app", 0o755, &fs::read(app()).unwrap());
    entry(&mut layer, "etc/passwd", 0o644, b"root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\n");
    entry(&mut layer, "etc/group", 0o644, b"root:x:0:\nweb:x:1001:\nextra:x:1002:other,web\n");
    entry(&mut layer, "etc/ssl/certs/ca-certificates.crt", 0o644, b"the world's roots\n");
    let layer = layer.into_inner().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &layer).unwrap();
    let (layer_digest, layer_size) = blob(folder, &packed.finish().unwrap());
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let mut config = json!({
        "architecture": machine, "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", hex::encode(Sha256::digest(&layer)))] },
        "config": { "Entrypoint": ["app"], "Cmd": ["serve"], "Env": ["FROM=image", "OVER=image"],
                    "WorkingDir": "/srv/data", "User": "web" },
    });
    for (key, value) in change.as_object().unwrap() {
        match value.as_object() {
            Some(inner) => inner.iter().for_each(|(k, v)| config[key][k] = v.clone()),
            None => config[key] = value.clone(),
        }
    }
    let (config_digest, config_size) = blob(folder, config.to_string().as_bytes());
    json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config_size },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer_digest, "size": layer_size }],
    })
    .to_string()
    .into_bytes()
}

/// A runtime with one image.
pub(crate) async fn runtime(folder: &Path, change: serde_json::Value) -> (Arc<Runtime>, Image) {
    let runtime = Runtime::open(&folder.join("runtime"), helper()).await.unwrap();
    let image = add(&runtime, folder, change).await;
    (Arc::new(runtime), image)
}

pub(crate) async fn add(runtime: &Runtime, folder: &Path, change: serde_json::Value) -> Image {
    let layout = folder.join("layout");
    let manifest = lay(&layout, change);
    runtime.add(manifest, Arc::new(Folder(layout))).await.unwrap()
}

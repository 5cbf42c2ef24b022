//! An image made in memory, for a stack that is tried before there is an application.

use oci_client::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use serde_json::json;

use super::source::{Blob, Manifest, Source, digest};
use crate::Failure;

const TEXT: &str = "This image stands in for an application that is not there yet. It runs nothing.\n\
    `stackproof image push SOURCE` puts the real one in its place.\n";

/// The image: one layer with one text file, from scratch. It is the same each time.
pub(super) fn make() -> Result<Source, Failure> {
    let failed = |error: std::io::Error| Failure::failed("the stand-in image could not be made").because(error);
    let mut header = tar::Header::new_gnu();
    header.set_size(TEXT.len() as u64);
    header.set_mode(0o444);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "stand-in.txt", TEXT.as_bytes()).map_err(failed)?;
    let layer = archive.into_inner().map_err(failed)?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"org.opencontainers.image.title": "stackproof stand-in"}},
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

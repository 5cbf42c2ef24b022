//! An image as the archive that a daemon loads.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::Path,
};

use serde_json::json;

use crate::containers::{
    Blobs, Error, Result,
    image::{checked, hex_of, read},
    layer::{LARGEST, plain},
};

/// Packs an image, under a name. Its layers are unpacked, as not every daemon knows every way of packing, and held
/// against their digests. Gives its configuration, and the archive from its beginning.
pub(super) fn pack(folder: &Path, manifest: &[u8], blobs: &dyn Blobs, name: &str) -> Result<(Vec<u8>, File)> {
    let (manifest, config) = read(manifest, blobs)?;
    let packing = || Error::machine("packing an image for Docker");
    let mut archive = tar::Builder::new(tempfile::tempfile_in(folder).map_err(packing())?);
    let config_name = format!("{}.json", hex_of(manifest.config().digest().as_ref()).unwrap_or_default());
    entry(&mut archive, &config_name, config.len() as u64, config.as_slice()).map_err(packing())?;
    let mut layers = Vec::new();
    for (number, layer) in manifest.layers().iter().enumerate() {
        let digest = layer.digest().as_ref();
        let mut from = checked(blobs, digest)?;
        let mut unpacked = tempfile::tempfile_in(folder).map_err(packing())?;
        let size =
            unpack(&mut from, &mut unpacked).map_err(|error| Error::Image(format!("layer {digest}: {error}")))?;
        from.finish()?;
        let name = format!("{number}/layer.tar");
        entry(&mut archive, &name, size, &mut unpacked).map_err(packing())?;
        layers.push(name);
    }
    let index = json!([{ "Config": config_name, "RepoTags": [name], "Layers": layers }]).to_string();
    entry(&mut archive, "manifest.json", index.len() as u64, index.as_bytes()).map_err(packing())?;
    let mut file = archive.into_inner().map_err(packing())?;
    file.rewind().map_err(packing())?;
    Ok((config, file))
}

fn unpack(from: &mut impl Read, into: &mut File) -> io::Result<u64> {
    let size = io::copy(&mut plain(from)?.take(LARGEST + 1), into)?;
    if size > LARGEST {
        return Err(io::Error::other(format!("it is larger than {LARGEST} bytes")));
    }
    into.rewind()?;
    Ok(size)
}

fn entry(archive: &mut tar::Builder<File>, path: &str, size: u64, content: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, path, content)
}

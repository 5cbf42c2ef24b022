//! What is pushed: the manifests of an image and the blobs they name.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::Path,
};

use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageIndex, OciImageManifest,
};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    archive::{Files, Part},
    sample,
};
use crate::Failure;

/// The largest document read; registries take manifests up to this size.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// How deep indexes may name indexes.
const DEEPEST: usize = 8;

/// An image to be pushed.
#[derive(Debug)]
pub struct Source {
    /// Configurations and layers.
    pub(super) blobs: Vec<Blob>,
    /// Manifests, what is named before what names it: the last one is the image.
    pub(super) manifests: Vec<Manifest>,
}

/// A configuration or a layer.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) digest: String,
    pub(super) part: Part,
}

/// A manifest or an index.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) bytes: Vec<u8>,
}

impl Blob {
    pub(super) fn memory(bytes: Vec<u8>) -> Self {
        Self { digest: digest(&bytes), part: Part::Memory(bytes) }
    }
}

impl Manifest {
    pub(super) fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { media_type: media_type.to_owned(), digest: digest(&bytes), bytes }
    }
}

/// The digest of these bytes as references and descriptors write it.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Source {
    /// Reads an OCI image layout (a folder, or a tar archive of one) or an archive of `docker save`.
    ///
    /// # Errors
    /// When it is neither, holds several images, or lacks a part of its image.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let unreadable = |error: io::Error| {
            Failure::usage(format!("{shown} cannot be read")).because(error).next(format!("ls -l {shown}"))
        };
        let found = fs::metadata(path).map_err(unreadable)?;
        let files = if found.is_dir() {
            Files::of_folder(path).map_err(unreadable)?
        } else {
            refuse_compressed(path).map_err(unreadable)??;
            Files::of_archive(path).map_err(|error| not_an_image(path).because(error))?
        };
        read(files).map_err(|Unusable { what, next }| match next {
            Some(next) => Failure::usage(format!("{shown}: {what}")).next(next),
            None => not_an_image(path).because(what),
        })
    }

    /// An image made in memory, from scratch: one layer with one static program, which it runs.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn of_program(program: &[u8]) -> Result<Self, Failure> {
        sample::lay(program)
    }

    /// The digest of the image.
    pub fn digest(&self) -> &str {
        self.manifests.last().map_or("", |manifest| manifest.digest.as_str())
    }

    /// How many bytes its blobs have.
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.part.size()).sum()
    }
}

fn not_an_image(path: &Path) -> Failure {
    Failure::usage(format!("{} is no container image that can be pushed", path.display()))
        .next("docker save IMAGE --output image.tar, or docker buildx build --output type=oci,dest=image.tar .")
}

fn refuse_compressed(path: &Path) -> io::Result<Result<(), Failure>> {
    let mut start = [0; 4];
    let read = fs::File::open(path)?.read(&mut start)?;
    let (what, command) = match start.get(..read).unwrap_or_default() {
        [0x1f, 0x8b, ..] => ("gzip", "gunzip --keep"),
        [0x28, 0xb5, 0x2f, 0xfd] => ("zstd", "unzstd"),
        _ => return Ok(Ok(())),
    };
    Ok(Err(Failure::usage(format!("{} is compressed with {what}", path.display()))
        .because("its layers are read in place, so the archive itself must be a plain tar file")
        .next(format!("{command} {}", path.display()))))
}

/// Why files are no image.
#[derive(Debug)]
struct Unusable {
    what: String,
    next: Option<&'static str>,
}

impl From<String> for Unusable {
    fn from(what: String) -> Self {
        Self { what, next: None }
    }
}

fn read(files: Files) -> Result<Source, Unusable> {
    if files.get("index.json").is_some() {
        let index: OciImageIndex = document(&files, "index.json")?;
        return of_layout(&files, &index);
    }
    if files.get("manifest.json").is_some() {
        return of_docker(files);
    }
    Err("it has neither index.json (an OCI layout) nor manifest.json (docker save)".to_owned().into())
}

fn document<T: serde::de::DeserializeOwned>(files: &Files, name: &str) -> Result<T, Unusable> {
    let bytes = match files.read(name, LARGEST_DOCUMENT) {
        Some(read) => read.map_err(|error| format!("{name} cannot be read: {error}"))?,
        None => return Err(format!("{name} is not in it").into()),
    };
    serde_json::from_slice(&bytes).map_err(|error| format!("{name} cannot be read: {error}").into())
}

const ONE_IMAGE: &str = "save a single image: docker save IMAGE:TAG --output image.tar";

fn of_layout(files: &Files, index: &OciImageIndex) -> Result<Source, Unusable> {
    let roots: BTreeSet<&str> = index.manifests.iter().map(|entry| entry.digest.as_str()).collect();
    let (1, Some(root)) = (roots.len(), index.manifests.first()) else {
        return Err(Unusable { what: format!("it holds {} images, not one", roots.len()), next: Some(ONE_IMAGE) });
    };
    let mut walk = Walk { files, met: BTreeSet::new(), blobs: Vec::new(), manifests: Vec::new() };
    walk.manifest(&root.digest, &root.media_type, 0)?;
    Ok(Source { blobs: walk.blobs, manifests: walk.manifests })
}

/// Collects what an image needs, from its manifest on.
struct Walk<'a> {
    files: &'a Files,
    met: BTreeSet<String>,
    blobs: Vec<Blob>,
    manifests: Vec<Manifest>,
}

impl Walk<'_> {
    fn manifest(&mut self, named: &str, media_type: &str, depth: usize) -> Result<(), Unusable> {
        if depth > DEEPEST {
            return Err("its indexes name one another too deeply".to_owned().into());
        }
        if !self.met.insert(named.to_owned()) {
            return Ok(());
        }
        let name = place(named)?;
        let bytes = match self.files.read(&name, LARGEST_DOCUMENT) {
            Some(read) => read.map_err(|error| format!("{name} cannot be read: {error}"))?,
            None => {
                return Err(Unusable {
                    what: format!("it names the manifest {named}, but does not have it"),
                    next: Some("docker save --platform linux/amd64 IMAGE:TAG --output image.tar"),
                });
            }
        };
        if digest(&bytes) != named {
            return Err(format!("{name} is damaged: its digest is {}", digest(&bytes)).into());
        }
        let wrong = |error: serde_json::Error| format!("{name} is no manifest: {error}");
        match media_type {
            OCI_IMAGE_INDEX_MEDIA_TYPE | IMAGE_MANIFEST_LIST_MEDIA_TYPE => {
                let index: OciImageIndex = serde_json::from_slice(&bytes).map_err(wrong)?;
                for child in &index.manifests {
                    self.manifest(&child.digest, &child.media_type, depth + 1)?;
                }
            }
            _ => {
                let manifest: OciImageManifest = serde_json::from_slice(&bytes).map_err(wrong)?;
                for needed in std::iter::once(&manifest.config).chain(&manifest.layers) {
                    self.blob(needed)?;
                }
            }
        }
        self.manifests.push(Manifest::new(media_type, bytes));
        Ok(())
    }

    fn blob(&mut self, needed: &OciDescriptor) -> Result<(), Unusable> {
        if !self.met.insert(needed.digest.clone()) {
            return Ok(());
        }
        let name = place(&needed.digest)?;
        match self.files.get(&name) {
            Some(part) if i64::try_from(part.size()) == Ok(needed.size) => {
                self.blobs.push(Blob { digest: needed.digest.clone(), part: part.clone() });
                Ok(())
            }
            Some(part) => {
                Err(format!("{name} is damaged: it has {} bytes instead of {}", part.size(), needed.size).into())
            }
            // Layers with addresses of their own need not be pushed.
            None if needed.urls.as_ref().is_some_and(|urls| !urls.is_empty()) => Ok(()),
            None => Err(format!("it names the blob {}, but does not have it", needed.digest).into()),
        }
    }
}

/// Where a layout keeps what has this digest.
fn place(digest: &str) -> Result<String, Unusable> {
    match digest.split_once(':') {
        Some(("sha256", value)) if value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(format!("blobs/sha256/{value}"))
        }
        _ => Err(format!("{digest} is no digest that registries take").into()),
    }
}

/// An image in the `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

/// Reads what Docker before version 25 saves: it has no manifest of its own, so one is made.
fn of_docker(files: Files) -> Result<Source, Unusable> {
    let saved: Vec<Saved> = document(&files, "manifest.json")?;
    let [image] = saved.as_slice() else {
        return Err(Unusable { what: format!("it holds {} images, not one", saved.len()), next: Some(ONE_IMAGE) });
    };
    let blob = |name: &String| -> Result<Blob, Unusable> {
        let part = files.get(name).ok_or_else(|| format!("it names {name}, but does not have it"))?;
        let digest = digest_of(part).map_err(|error| format!("{name} cannot be read: {error}"))?;
        Ok(Blob { digest, part: part.clone() })
    };
    let config = blob(&image.config)?;
    let layers = image.layers.iter().map(blob).collect::<Result<Vec<_>, _>>()?;
    let describe = |media_type: &str, blob: &Blob| json!({"mediaType": media_type, "digest": blob.digest, "size": blob.part.size()});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MEDIA_TYPE,
        "config": describe(IMAGE_CONFIG_MEDIA_TYPE, &config),
        "layers": layers.iter().map(|layer| describe(IMAGE_LAYER_MEDIA_TYPE, layer)).collect::<Vec<_>>(),
    });
    let manifest = Manifest::new(OCI_IMAGE_MEDIA_TYPE, manifest.to_string().into_bytes());
    let mut met = BTreeSet::new();
    let blobs = std::iter::once(config).chain(layers).filter(|blob| met.insert(blob.digest.clone())).collect();
    Ok(Source { blobs, manifests: vec![manifest] })
}

fn digest_of(part: &Part) -> io::Result<String> {
    let (mut reader, mut hasher, mut buffer) = (part.open()?, Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(format!("sha256:{}", hex::encode(hasher.finalize())));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;

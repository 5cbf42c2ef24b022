//! Images: a manifest and its blobs, checked and unpacked once.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use oci_spec::image::{ImageConfiguration, ImageManifest};
use sha2::{Digest, Sha256};

use super::{Error, Result, layer};

/// What the folder of an image that is being unpacked ends with.
const UNFINISHED: &str = "making";

/// How large a configuration may be.
const CONFIG_LIMIT: u64 = 4 << 20;

/// Where blobs come from.
pub trait Blobs: Send + Sync + 'static {
    /// Opens a blob by its digest (`sha256:…`).
    fn open(&self, digest: &str) -> io::Result<Box<dyn Read + Send>>;
}

/// Blobs in a folder, as an OCI image layout has them: `blobs/sha256/…`.
pub struct Folder(
    /// The folder.
    pub PathBuf,
);

impl Blobs for Folder {
    fn open(&self, digest: &str) -> io::Result<Box<dyn Read + Send>> {
        let hex = hex_of(digest).ok_or_else(|| io::Error::other(format!("{digest:?} is no digest")))?;
        Ok(Box::new(File::open(self.0.join("blobs/sha256").join(hex))?))
    }
}

/// An image that can be run.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of its manifest.
    pub digest: String,
    /// What it says of itself.
    pub config: ImageConfiguration,
    pub(super) root: PathBuf,
}

impl Image {
    /// One that an engine keeps in a way of its own.
    pub(crate) fn kept_elsewhere(digest: String, config: ImageConfiguration) -> Self {
        Self { digest, config, root: PathBuf::new() }
    }
}

/// The hexadecimal part of a digest.
pub(crate) fn hex_of(digest: &str) -> Option<&str> {
    digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The digest of a manifest.
pub(crate) fn digest_of(manifest: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(manifest)))
}

/// Reads a manifest, and the configuration of an image for this machine.
pub(crate) fn read(manifest: &[u8], blobs: &dyn Blobs) -> Result<(ImageManifest, Vec<u8>)> {
    let manifest =
        ImageManifest::from_reader(manifest).map_err(|error| Error::Image(format!("its manifest: {error}")))?;
    let mut config = Vec::new();
    let mut from = checked(blobs, manifest.config().digest().as_ref())?;
    from.by_ref()
        .take(CONFIG_LIMIT)
        .read_to_end(&mut config)
        .map_err(Error::machine("reading an image's configuration"))?;
    from.finish()?;
    suits(&parse(&config)?)?;
    Ok((manifest, config))
}

/// Checks a manifest and its blobs, and unpacks them below `images`, unless they are there already.
pub(super) fn unpack(images: &Path, manifest: &[u8], blobs: &dyn Blobs) -> Result<Image> {
    let digest = digest_of(manifest);
    if let Some(image) = load(images, &digest)? {
        return Ok(image);
    }
    let (manifest, config) = read(manifest, blobs)?;

    let folder = folder(images, &digest)?;
    let making = folder.with_extension(UNFINISHED);
    clear(&making)?;
    let root = making.join("root");
    std::fs::create_dir_all(&root).map_err(Error::machine("making a folder for an image"))?;
    for layer in manifest.layers() {
        let digest = layer.digest().as_ref();
        let mut from = checked(blobs, digest)?;
        layer::apply(&root, &mut from).map_err(|error| Error::Image(format!("layer {digest}: {error}")))?;
        from.finish()?;
    }
    std::fs::write(making.join("config.json"), &config).map_err(Error::machine("keeping an image's configuration"))?;
    match std::fs::rename(&making, &folder) {
        Ok(()) => {}
        Err(error) => return Err(Error::machine("keeping an image")(error)),
    }
    load(images, &digest)?.ok_or_else(|| Error::Image(format!("{digest} vanished while it was unpacked")))
}

/// An image that was unpacked before.
pub(super) fn load(images: &Path, digest: &str) -> Result<Option<Image>> {
    let folder = folder(images, digest)?;
    match std::fs::read(folder.join("config.json")) {
        Ok(config) => Ok(Some(Image { digest: digest.to_owned(), config: parse(&config)?, root: folder.join("root") })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::machine("reading an image's configuration")(error)),
    }
}

/// Removes what an unclean end left half unpacked.
pub(super) fn clear_unfinished(images: &Path) -> Result<()> {
    let step = || format!("looking through {}", images.display());
    for there in std::fs::read_dir(images).map_err(Error::machine(step()))? {
        let folder = there.map_err(Error::machine(step()))?.path();
        if folder.extension().is_some_and(|extension| extension == UNFINISHED) {
            clear(&folder)?;
        }
    }
    Ok(())
}

pub(super) fn clear(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::machine(format!("clearing {}", folder.display()))(error)),
    }
}

fn folder(images: &Path, digest: &str) -> Result<PathBuf> {
    let hex = hex_of(digest).ok_or_else(|| Error::Image(format!("{digest:?} is no digest")))?;
    Ok(images.join(hex))
}

pub(crate) fn parse(config: &[u8]) -> Result<ImageConfiguration> {
    ImageConfiguration::from_reader(config).map_err(|error| Error::Image(format!("its configuration: {error}")))
}

fn suits(config: &ImageConfiguration) -> Result<()> {
    let here = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let (system, machine) = (config.os().to_string(), config.architecture().to_string());
    if (system.as_str(), machine.as_str()) == ("linux", here) {
        return Ok(());
    }
    Err(Error::Image(format!("it is for {system}/{machine}, this machine is linux/{here}")))
}

pub(crate) fn checked(blobs: &dyn Blobs, digest: &str) -> Result<Checked> {
    let from = blobs.open(digest).map_err(|error| Error::Image(format!("blob {digest}: {error}")))?;
    Ok(Checked { from, digest: digest.to_owned(), hash: Sha256::new() })
}

/// A blob, its content held against its digest.
pub(crate) struct Checked {
    from: Box<dyn Read + Send>,
    digest: String,
    hash: Sha256,
}

impl Read for Checked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.hash.update(&into[..count]);
        Ok(count)
    }
}

impl Checked {
    /// Reads what is left; the content has to be that of the digest.
    pub(crate) fn finish(mut self) -> Result<()> {
        io::copy(&mut self, &mut io::sink()).map_err(|error| Error::Image(format!("blob {}: {error}", self.digest)))?;
        let is = hex::encode(self.hash.finalize());
        if Some(is.as_str()) == hex_of(&self.digest) {
            return Ok(());
        }
        Err(Error::Image(format!("the content of blob {} has digest sha256:{is}", self.digest)))
    }
}

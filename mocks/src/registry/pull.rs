//! Images as the cloud itself pulls them, to run them.

use std::io::{self, Cursor, Read};

use oci_spec::image::{Arch, ImageIndex, Os};
use stackproof_planes::containers::Blobs as Source;

use super::records::{self, BLOB, Blob, MANIFEST, Manifest, NAMESPACE};
use crate::kernel::{Blobs, Digest, Tables};

/// An image to run: the digest of what its reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// The key of the repository's contents in the store.
    prefix: String,
    /// The digest of the manifest or index.
    digest: String,
}

/// What an image's reference names now: `rg.<region>.scw.cloud/<namespace>/<image>[:<tag>|@<digest>]`.
///
/// # Errors
/// Why it names nothing here.
pub(crate) fn pin(tables: &Tables, reference: &str) -> Result<Pinned, String> {
    let missing = |what: &str| format!("{what} (image {reference})");
    let (host, rest) = reference.split_once('/').ok_or_else(|| missing("the image names no registry"))?;
    let region = host.strip_prefix("rg.").and_then(|host| host.strip_suffix(".scw.cloud"));
    let region = region.ok_or_else(|| missing("images are pulled from Scaleway's registries only"))?;
    let (name, digest) = rest.split_once('@').map_or((rest, None), |(name, digest)| (name, Some(digest)));
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) => (name, tag),
        None => (name, "latest"),
    };
    let (namespace, image) = name.split_once('/').ok_or_else(|| missing("the image names no namespace"))?;
    let in_region =
        tables.all(NAMESPACE).find(|(_, record)| record.text("name") == namespace && record.text("region") == region);
    let (id, _) = in_region.ok_or_else(|| missing("there is no such registry namespace"))?;
    let prefix = records::contents_of(id, image);
    let digest = match digest {
        Some(digest) => digest.to_owned(),
        None => {
            let (image, _) = records::image(tables, id, image).ok_or_else(|| missing("there is no such image"))?;
            let tags = records::tags(tables, image);
            let (_, tag) = tags.get(tag).ok_or_else(|| missing("the image has no such tag"))?;
            tag.text("digest").to_owned()
        }
    };
    let known: Option<Manifest> = records::read(tables, MANIFEST, &format!("{prefix}{digest}"));
    known.map(|_| Pinned { prefix, digest }).ok_or_else(|| missing("the image has no such digest"))
}

impl Pinned {
    /// The manifest of the image for this machine.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn manifest(&self, tables: &Tables, blobs: &Blobs) -> Result<Vec<u8>, String> {
        let mut digest = self.digest.clone();
        loop {
            let manifest: Option<Manifest> = records::read(tables, MANIFEST, &format!("{}{digest}", self.prefix));
            let manifest = manifest.ok_or_else(|| format!("manifest {digest} is not in the registry any more"))?;
            let bytes = blobs.get(&manifest.content).map_err(|error| error.to_string())?;
            if manifest.children.is_empty() {
                return Ok(bytes.to_vec());
            }
            let index = ImageIndex::from_reader(bytes.as_ref()).map_err(|error| error.to_string())?;
            let here = match std::env::consts::ARCH {
                "aarch64" => Arch::ARM64,
                _ => Arch::Amd64,
            };
            let suits = index.manifests().iter().find(|child| {
                child.platform().as_ref().is_some_and(|on| *on.os() == Os::Linux && *on.architecture() == here)
            });
            let suits = suits.ok_or_else(|| format!("the index {digest} has no image for linux/{here}"))?;
            digest = suits.digest().to_string();
        }
    }

    /// Where the blobs of the image are.
    pub(crate) fn blobs(&self, tables: &Tables, blobs: &Blobs) -> impl Source + use<> {
        let of = tables.under(BLOB, &self.prefix, None).filter_map(|(key, record)| {
            Some((key.strip_prefix(&self.prefix)?.to_owned(), record.to::<Blob>().ok()?.content))
        });
        Contents { of: of.collect(), blobs: blobs.clone() }
    }
}

struct Contents {
    of: std::collections::BTreeMap<String, Digest>,
    blobs: Blobs,
}

impl Source for Contents {
    fn open(&self, digest: &str) -> io::Result<Box<dyn Read + Send>> {
        let content = self.of.get(digest).ok_or_else(|| io::Error::other("it is not in the registry"))?;
        Ok(Box::new(Cursor::new(self.blobs.get(content).map_err(io::Error::other)?)))
    }
}

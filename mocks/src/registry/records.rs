//! What the registry keeps beside the resources of its API: blobs, manifests and uploads of repositories.
//!
//! A repository is the image of a namespace. Its contents are kept under its own
//! name, so that a blob is there for those who may pull from the repository it
//! was pushed to, though its bytes are kept once.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::{Digest, Record, Tables, Transaction, rfc3339};

/// The kind of namespaces.
pub(crate) const NAMESPACE: &str = "registry.namespace";
/// The kind of images.
pub(crate) const IMAGE: &str = "registry.image";
/// The kind of tags.
pub(crate) const TAG: &str = "registry.tag";
/// The kind of blobs, by repository and digest.
pub(super) const BLOB: &str = "registry.blob";
/// The kind of manifests, by repository and digest.
pub(super) const MANIFEST: &str = "registry.manifest";
/// The kind of unfinished uploads, by repository and identifier.
pub(super) const UPLOAD: &str = "registry.upload";

/// Bytes that are kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Blob {
    pub(super) content: Digest,
    pub(super) size: u64,
}

/// A manifest or an index.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) content: Digest,
    pub(super) size: u64,
    pub(super) media_type: String,
    /// The layers, by digest, with their sizes.
    #[serde(default)]
    pub(super) layers: BTreeMap<String, u64>,
    /// The manifests an index names.
    #[serde(default)]
    pub(super) children: Vec<String>,
}

/// An unfinished upload: the pieces there are so far.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) pieces: Vec<Blob>,
}

impl Upload {
    /// How many bytes there are so far.
    pub(super) fn size(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.size).sum()
    }
}

/// A record as the type it was kept as. What does not fit is not there: it was written by another release.
pub(super) fn read<T: DeserializeOwned>(tables: &Tables, kind: &str, key: &str) -> Option<T> {
    let read = tables.get(kind, key)?.to();
    read.inspect_err(|error| tracing::error!(%error, kind, "a record of the registry cannot be read")).ok()
}

/// What the keys of a repository's contents begin with.
pub(super) fn contents_of(namespace: &str, image: &str) -> String {
    format!("{namespace}/{image}\0")
}

/// Forgets all that was pushed to an image of a namespace, or to all of them. The bytes stay: others may have them.
pub(crate) fn forget_contents(tx: &mut Transaction<'_>, namespace: &str, image: Option<&str>) {
    let prefix = image.map_or_else(|| format!("{namespace}/"), |image| contents_of(namespace, image));
    for kind in [BLOB, MANIFEST, UPLOAD] {
        let keys: Vec<String> = tx.tables().under(kind, &prefix, None).map(|(key, _)| key.to_owned()).collect();
        for key in keys {
            tx.remove(kind, &key);
        }
    }
}

/// The image of this name, if it is not being deleted.
pub(super) fn image<'t>(tables: &'t Tables, namespace: &str, name: &str) -> Option<(&'t str, &'t Record)> {
    tables.all(IMAGE).map(|(key, image)| (key, image.as_ref())).find(|(_, image)| {
        (image.text("namespace_id"), image.text("name")) == (namespace, name) && image.text("status") != "deleting"
    })
}

/// The tags of an image, by name.
pub(super) fn tags<'t>(tables: &'t Tables, image_id: &str) -> BTreeMap<&'t str, (&'t str, &'t Record)> {
    let tags = tables.all(TAG).filter(|(_, tag)| tag.text("image_id") == image_id);
    tags.map(|(key, tag)| (tag.text("name"), (key, tag.as_ref()))).collect()
}

/// Brings an image's tags and size up to date, and its namespace's size and count. The size of an
/// image is that of the layers its tags lead to, each counted once (SDK).
pub(crate) fn recount_image(tx: &mut Transaction<'_>, image_id: &str) {
    let Some(mut image) = tx.get(IMAGE, image_id).map(|image| Record::clone(image)) else { return };
    let namespace = image.text("namespace_id").to_owned();
    let prefix = contents_of(&namespace, image.text("name"));
    let tables = tx.tables();
    let tags = tags(tables, image_id);
    let names: Vec<&str> = tags.keys().copied().collect();
    let mut layers: BTreeMap<String, u64> = BTreeMap::new();
    let mut met: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<String> = tags.values().map(|(_, tag)| tag.text("digest").to_owned()).collect();
    while let Some(digest) = open.pop() {
        if let Some(manifest) = read::<Manifest>(tables, MANIFEST, &format!("{prefix}{digest}"))
            && met.insert(digest)
        {
            layers.extend(manifest.layers);
            open.extend(manifest.children);
        }
    }
    let (names, size) = (json!(names), total(layers.values().copied()));
    image.body.insert("tags".into(), names);
    image.body.insert("size".into(), size.into());
    image.body.insert("updated_at".into(), rfc3339(tx.now()).into());
    tx.put(IMAGE, image_id, image);
    tx.event(IMAGE, image_id, "updated", None);
    recount_namespace(tx, &namespace, None);
}

/// Brings a namespace's size and count up to date, without the image that is about to go.
pub(crate) fn recount_namespace(tx: &mut Transaction<'_>, namespace: &str, without: Option<&str>) {
    let Some(mut record) = tx.get(NAMESPACE, namespace).map(|record| Record::clone(record)) else { return };
    let images: Vec<&Record> = tx
        .tables()
        .all(IMAGE)
        .filter(|(key, image)| {
            image.text("namespace_id") == namespace && image.text("status") != "deleting" && Some(*key) != without
        })
        .map(|(_, image)| image.as_ref())
        .collect();
    let size = total(images.iter().filter_map(|image| image.body.get("size").and_then(Value::as_u64)));
    record.body.insert("image_count".into(), images.len().into());
    record.body.insert("size".into(), size.into());
    record.body.insert("updated_at".into(), rfc3339(tx.now()).into());
    tx.put(NAMESPACE, namespace, record);
    tx.event(NAMESPACE, namespace, "updated", None);
}

/// The sum of sizes that clients have said.
fn total(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

//! Manifests and indexes. One that is pushed makes the image and the tag of the JSON API.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use oci_spec::{
    distribution::ErrorCode,
    image::{Descriptor, ImageIndex, ImageManifest, MediaType},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    access::Repository,
    door::{DIGEST, Visit, answer},
    path::Named,
    records::{self, BLOB, Blob, IMAGE, MANIFEST, Manifest, TAG},
    refusal::{Answered, Refused, invalid, refuse, unknown},
};
use crate::kernel::{Digest, Record, Tables, Transaction, rfc3339};

/// The largest manifest: what the specification asks registries to take at least.
const LARGEST: usize = 4 * 1024 * 1024;
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// `GET` and `HEAD` of a manifest.
pub(super) fn get(visit: &Visit<'_>, named: &Named, head_only: bool) -> Answered<Response<Body>> {
    let repository = &visit.repository;
    let (digest, manifest) = visit.registry.store.read(|tables| {
        let digest = resolve(tables, repository, named)?;
        let manifest: Option<Manifest> = records::read(tables, MANIFEST, &repository.key(&digest));
        Ok::<_, Refused>((digest, manifest.ok_or_else(|| missing(repository, named))?))
    })?;
    let body = if head_only { Body::empty() } else { Body::from(visit.registry.blobs.get(&manifest.content)?) };
    let headers = [
        (header::CONTENT_TYPE, manifest.media_type),
        (header::CONTENT_LENGTH, manifest.size.to_string()),
        (header::ETAG, format!("\"{digest}\"")),
        (DIGEST, digest),
    ];
    Ok(answer(StatusCode::OK, headers, body))
}

/// `PUT` of a manifest, by tag or digest.
pub(super) async fn put(visit: &Visit<'_>, named: &Named, body: Body) -> Answered<Response<Body>> {
    let bytes = match Limited::new(body, LARGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("a manifest may have at most {LARGEST} bytes");
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ManifestInvalid, message));
        }
        Err(_) => return Err(invalid(ErrorCode::ManifestInvalid, "the manifest ended early; send it again")),
    };
    let content = Digest::of(&bytes);
    let digest = format!("sha256:{}", content.as_str());
    if let Named::Digest(asked) = named
        && *asked != digest
    {
        let message = format!("the manifest sent has the digest {digest}, not {asked}");
        return Err(invalid(ErrorCode::DigestInvalid, message));
    }
    let document = Document::read(&bytes, visit.header(header::CONTENT_TYPE))?;
    visit.registry.blobs.put(&bytes)?;
    visit.registry.store.write::<_, Refused>(|tx| {
        visit.repository.still_there(tx.tables())?;
        document.check(tx.tables(), &visit.repository)?;
        let manifest = Manifest {
            content,
            size: bytes.len() as u64,
            media_type: document.media_type,
            layers: document.layers,
            children: document.children.into_iter().map(|child| child.digest).collect(),
        };
        tx.put(MANIFEST, &visit.repository.key(&digest), Record::of(&manifest));
        let image = image(tx, &visit.repository);
        if let Named::Tag(name) = named {
            tag(tx, &image, name, &digest);
        }
        records::recount_image(tx, &image);
        Ok(())
    })?;
    let location = format!("/v2/{}/manifests/{digest}", visit.repository.name);
    Ok(answer(StatusCode::CREATED, [(header::LOCATION, location), (DIGEST, digest)], Body::empty()))
}

/// `DELETE` of a tag, or of a manifest with all its tags.
pub(super) fn delete(visit: &Visit<'_>, named: &Named) -> Answered<Response<Body>> {
    let repository = &visit.repository;
    visit.registry.store.write::<_, Refused>(|tx| {
        let digest = resolve(tx.tables(), repository, named)?;
        let key = repository.key(&digest);
        if tx.get(MANIFEST, &key).is_none() {
            return Err(missing(repository, named));
        }
        let found = records::image(tx.tables(), &repository.namespace, &repository.image);
        let Some(image) = found.map(|(id, _)| id.to_owned()) else { return Err(missing(repository, named)) };
        let tags: Vec<String> = records::tags(tx.tables(), &image)
            .into_iter()
            .filter(|(name, (_, tag))| match named {
                Named::Tag(asked) => name == asked,
                Named::Digest(asked) => tag.text("digest") == asked,
            })
            .map(|(_, (id, _))| id.to_owned())
            .collect();
        for id in tags {
            tx.remove(TAG, &id);
            tx.event(TAG, &id, "deleted", None);
        }
        if let Named::Digest(_) = named {
            tx.remove(MANIFEST, &key);
        }
        records::recount_image(tx, &image);
        Ok(())
    })?;
    Ok(answer(StatusCode::ACCEPTED, [], Body::empty()))
}

/// The digest of a named manifest.
fn resolve(tables: &Tables, repository: &Repository, named: &Named) -> Answered<String> {
    let name = match named {
        Named::Digest(digest) => return Ok(digest.clone()),
        Named::Tag(name) => name,
    };
    let (image, _) =
        records::image(tables, &repository.namespace, &repository.image).ok_or_else(|| missing(repository, named))?;
    let tags = records::tags(tables, image);
    let (_, tag) = tags.get(name.as_str()).ok_or_else(|| missing(repository, named))?;
    Ok(tag.text("digest").to_owned())
}

fn missing(repository: &Repository, named: &Named) -> Refused {
    let (Named::Tag(reference) | Named::Digest(reference)) = named;
    unknown(ErrorCode::ManifestUnknown, format!("{} has no manifest {reference}", repository.name))
}

/// The identifier of the repository's image, which is made if need be.
fn image(tx: &mut Transaction<'_>, repository: &Repository) -> String {
    if let Some((id, _)) = records::image(tx.tables(), &repository.namespace, &repository.image) {
        return id.to_owned();
    }
    let (id, now) = (tx.ids().uuid(), rfc3339(tx.now()));
    let mut record = Record::of(&json!({
        "id": id,
        "name": repository.image,
        "namespace_id": repository.namespace,
        "status": "ready",
        "status_message": "",
        "visibility": "inherit",
        "size": 0,
        "tags": [],
        "created_at": now,
        "updated_at": now,
    }));
    record.hidden.insert("project_id".into(), repository.project.clone().into());
    tx.put(IMAGE, &id, record);
    tx.event(IMAGE, &id, "created", Some("ready"));
    id
}

/// Gives a manifest a tag, which another one may have had.
fn tag(tx: &mut Transaction<'_>, image: &str, name: &str, digest: &str) {
    let now = rfc3339(tx.now());
    let there = records::tags(tx.tables(), image).get(name).map(|(id, tag)| ((*id).to_owned(), Record::clone(tag)));
    let (id, record, what) = match there {
        Some((id, mut tag)) => {
            tag.body.insert("digest".into(), digest.into());
            tag.body.insert("updated_at".into(), now.into());
            (id, tag, "updated")
        }
        None => {
            let id = tx.ids().uuid();
            let tag = Record::of(&json!({
                "id": id,
                "name": name,
                "image_id": image,
                "status": "ready",
                "digest": digest,
                "created_at": now,
                "updated_at": now,
            }));
            (id, tag, "created")
        }
    };
    tx.put(TAG, &id, record);
    tx.event(TAG, &id, what, Some("ready"));
}

/// What a manifest says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
}

/// What a manifest or index needs to be there.
struct Document {
    media_type: String,
    /// Configuration and layers, with their sizes.
    blobs: Vec<Needed>,
    /// Layers by digest.
    layers: BTreeMap<String, u64>,
    /// The manifests of an index.
    children: Vec<Needed>,
}

struct Needed {
    digest: String,
    size: u64,
}

impl From<&Descriptor> for Needed {
    fn from(descriptor: &Descriptor) -> Self {
        Self { digest: descriptor.digest().to_string(), size: descriptor.size() }
    }
}

impl Document {
    /// Reads a manifest. Its type is what the header says, and must be what it says itself.
    fn read(bytes: &[u8], content_type: Option<&str>) -> Answered<Self> {
        let wrong = |error: &dyn std::fmt::Display| {
            invalid(ErrorCode::ManifestInvalid, format!("the manifest cannot be read: {error}"))
        };
        let kind: Kind = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        if kind.schema_version != 2 {
            return Err(wrong(&format!("schemaVersion {} is not supported, only 2", kind.schema_version)));
        }
        let sent = content_type.and_then(|sent| sent.split(';').next()).map(str::trim).filter(|sent| !sent.is_empty());
        if let (Some(sent), Some(said)) = (sent, &kind.media_type)
            && sent != said
        {
            return Err(wrong(&format!("it calls itself {said}, the Content-Type {sent}")));
        }
        let usual = if kind.manifests.is_some() { MediaType::ImageIndex } else { MediaType::ImageManifest };
        let media_type = sent.map(str::to_owned).or(kind.media_type).unwrap_or_else(|| usual.to_string());
        if media_type == MediaType::ImageIndex.as_ref() || media_type == DOCKER_LIST {
            let index: ImageIndex = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
            let children = index.manifests().iter().map(Needed::from).collect();
            return Ok(Self { media_type, blobs: Vec::new(), layers: BTreeMap::new(), children });
        }
        if media_type != MediaType::ImageManifest.as_ref() && media_type != DOCKER_MANIFEST {
            return Err(wrong(&format!("{media_type} is no type of manifest that this registry knows")));
        }
        let manifest: ImageManifest = serde_json::from_slice(bytes).map_err(|error| wrong(&error))?;
        // Layers with addresses of their own need not be pushed.
        let here = |layer: &&Descriptor| layer.urls().as_ref().is_none_or(Vec::is_empty);
        let blobs = std::iter::once(manifest.config()).chain(manifest.layers().iter().filter(here));
        Ok(Self {
            media_type,
            blobs: blobs.map(Needed::from).collect(),
            layers: manifest.layers().iter().map(|layer| (layer.digest().to_string(), layer.size())).collect(),
            children: Vec::new(),
        })
    }

    /// Refuses what names something that was not pushed before, or is of another size.
    fn check(&self, tables: &Tables, repository: &Repository) -> Answered<()> {
        let size_of_blob = |key: &str| records::read::<Blob>(tables, BLOB, key).map(|blob| blob.size);
        let size_of_manifest = |key: &str| records::read::<Manifest>(tables, MANIFEST, key).map(|it| it.size);
        let blobs = self.blobs.iter().map(|needed| (needed, size_of_blob(&repository.key(&needed.digest))));
        let children = self.children.iter().map(|needed| (needed, size_of_manifest(&repository.key(&needed.digest))));
        for (Needed { digest, size }, there) in blobs.chain(children) {
            match there {
                Some(there) if there == *size => {}
                Some(there) => {
                    let message = format!("the manifest says {digest} has {size} bytes; it has {there}");
                    return Err(invalid(ErrorCode::ManifestInvalid, message));
                }
                None => {
                    let message = format!("the manifest names {digest}, which was not pushed to {}", repository.name);
                    return Err(invalid(ErrorCode::ManifestBlobUnknown, message));
                }
            }
        }
        Ok(())
    }
}

//! Container Registry: namespaces, and the images and tags pushed into them. API reference:
//! Container Registry API v1.
//!
//! Images and tags are made by a push, never by this API: the OCI data plane is
//! [`crate::registry`]. Namespaces and images pass through `deleting` (recorded);
//! what they hold cannot be pulled any more from the moment their deletion is asked
//! for, and a namespace counts its images without those being deleted. A tag is gone
//! at once. Not emulated: the states `locked` and `error`, and their causes.

mod image;
mod namespace;
mod tag;

use std::time::Duration;

use crate::kernel::Product;

const READ: &[&str] = &["ContainerRegistryReadOnly"];
const WRITE: &[&str] = &["ContainerRegistryFullAccess"];

/// How long a deletion takes: it was over at the second look of the recordings.
const DELETING: Duration = Duration::from_secs(1);

pub(super) fn product() -> Product {
    Product {
        name: "registry",
        title: "Container Registry",
        resources: vec![namespace::namespace(), image::image(), tag::tag()],
    }
}

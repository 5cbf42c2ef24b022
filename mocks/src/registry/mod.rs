//! Container Registry's data plane: the OCI Distribution API v1.1 at `rg.<region>.scw.cloud`.
//!
//! A request comes to [`ContainerRegistry::handle`]; [`path`] reads what it is
//! for, [`access`] decides who asks and whether they may; [`uploads`], [`blobs`],
//! [`manifests`] and [`tags`] answer. They keep [`records`] in the kernel's store,
//! where the namespaces, images and tags of the JSON API are, and bytes in its blobs.
//!
//! Not emulated: referrers (clients fall back to the tag schema), the catalogue of
//! repositories, digests other than SHA-256, deletion of single blobs, login by
//! bearer token.

mod access;
mod blobs;
mod door;
mod manifests;
mod path;
mod pull;
mod records;
mod refusal;
mod tags;
mod uploads;

pub(crate) use access::all_allowing;
pub use door::ContainerRegistry;
pub(crate) use pull::pin;
pub(crate) use records::{IMAGE, NAMESPACE, TAG, forget_contents, recount_image, recount_namespace};

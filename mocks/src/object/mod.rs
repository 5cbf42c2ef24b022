//! Object Storage: S3 as Scaleway serves it.
//!
//! The protocol (signatures, XML, routing) is the `s3s` crate's. A request comes
//! to [`ObjectStorage::handle`], which refuses what s3s would misunderstand and
//! notes what it does not pass on; [`access`] decides whether the caller may;
//! [`service`] says which function carries out which operation; those read and
//! write [`records`] in the kernel's store and contents in its blobs.
//!
//! What is not implemented answers `NotImplemented`, which surfaces loudly, and
//! stands in docs/limits.md.

mod access;
mod acl;
mod auth;
mod bucket;
mod checksums;
mod condition;
mod configuration;
mod content;
mod door;
mod errors;
mod get;
mod listing;
mod lock;
mod meta;
mod multipart;
mod policy;
mod put;
mod records;
mod service;
mod service_bucket;
mod tagging;
mod uploads;
mod version;

pub(crate) use access::operations;
pub use auth::{Errand, Identity, Key, Permission, Principal};
pub use door::ObjectStorage;
pub(crate) use records::BUCKET;
pub(crate) use service_bucket::{Kept, SERVICE_KEY, ServiceBucket};

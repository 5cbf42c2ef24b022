//! A small S3 client: what Pulumi's state needs of a bucket, and nothing more.
//!
//! It speaks to Scaleway's Object Storage, to the local cloud and to MinIO alike. The HTTP client
//! comes from outside: which proxy to take and whom to trust is the caller's matter. Requests are
//! signed with `aws-sigv4` in their headers, since conditions have to be sent as headers, which
//! presigned addresses (as `rusty-s3` makes them) leave unsigned.
//!
//! Nothing is tried again here: [`Error::is_transient`] says what might help a second time.

mod access;
mod error;
mod etag;
mod operations;
mod send;
mod writer;
mod xml;

pub use access::{Access, Addressing, Bucket, Key};
pub use error::Error;
pub use etag::{Condition, ETag};
pub use operations::{Head, Listed, Object, Rule, Version, Versioning, Written};
pub use writer::Writer;

pub(crate) use send::{Ask, encoded, settings};
pub(crate) use xml::{child, parse};

//! Which bucket, where, and with which key.

use std::fmt;

use reqwest::Client;
use url::Url;

/// An access key. Its secret is never shown.
#[derive(Clone)]
pub struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Key {
    /// A key by its identifier (`SCW…`, or `SCW…@project`) and secret.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into() }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({}, secret not shown)", self.id)
    }
}

/// How a bucket is named in an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// `https://host/bucket/key`: works everywhere.
    #[default]
    Path,
    /// `https://bucket.host/key`.
    VirtualHost,
}

/// Where a bucket is and how to get in.
#[derive(Clone, Debug)]
pub struct Access {
    /// `https://s3.fr-par.scw.cloud`, or where the local cloud or MinIO listens.
    pub endpoint: Url,
    /// The region that signatures name.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What every key begins with: empty, or a path as in Pulumi's `s3://bucket/prefix`.
    pub prefix: String,
    /// How the bucket is named in addresses.
    pub addressing: Addressing,
    /// Who asks.
    pub key: Key,
}

/// A bucket, or the part of it under a prefix. Keys given to it and told by it are without the prefix.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub(super) client: Client,
    pub(super) access: Access,
}

impl Bucket {
    /// A bucket that is asked through this client.
    #[must_use]
    pub fn new(client: Client, access: Access) -> Self {
        let prefix = access.prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client, access: Access { prefix, ..access } }
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.access.bucket
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.access.region
    }

    /// What every key begins with: empty, or a path that ends with a slash.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.access.prefix
    }

    /// The bucket and prefix as one name to show: `s3://bucket/prefix`.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("s3://{}/{}", self.access.bucket, self.access.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_in_what_is_printed_of_a_key() {
        let key = Key::new("SCWEXAMPLE", "a-secret-to-keep");
        let shown = format!("{key:?}");
        assert!(shown.contains("SCWEXAMPLE") && !shown.contains("a-secret-to-keep"), "{shown}");
    }
}

//! Buckets of the cloud's own products, such as the one with the code of functions.
//!
//! No project owns them and no list shows them: they are opened by pre-signed
//! addresses only. The key that signs is the product's own; IAM knows nothing of it.

use std::{
    io::{self, Read},
    time::Duration,
};

use bytes::Bytes;
use md5::{Digest as _, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::StaticFormatDescription, macros::format_description};

use super::{
    acl::Acl,
    auth::canonical,
    checksums::Checksums,
    content::{Content, Piece},
    meta::Meta,
    records::{self, BUCKET, Bucket, VERSION, Versioning},
    version,
};
use crate::kernel::{Blobs, Digest, Record, Tables, Transaction};

/// The kind of the products' keys; the key in the store is the access key.
pub(crate) const SERVICE_KEY: &str = "object.service_key";

/// For how long an address opens a bucket (recorded for the code of functions).
const EXPIRES: Duration = Duration::from_secs(3600);

/// What stays as it is in a signature's query: letters, digits, `-`, `_`, `.` and `~`.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const MOMENT: StaticFormatDescription = format_description!("[year][month][day]T[hour][minute][second]Z");

/// A bucket of one of the cloud's own products.
pub(crate) struct ServiceBucket<'a> {
    /// The product, which stands for the bucket's project.
    pub(crate) service: &'static str,
    /// The bucket's name.
    pub(crate) name: &'a str,
    /// Where it is.
    pub(crate) region: &'a str,
}

/// A file among the blobs, that can become an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    digest: Digest,
    /// How many bytes.
    pub(crate) size: u64,
    md5: String,
}

impl Kept {
    /// Takes in all that a reader gives.
    pub(crate) fn take(blobs: &Blobs, mut from: impl Read) -> io::Result<Self> {
        let (mut writer, mut md5) = (blobs.writer().map_err(io::Error::other)?, Md5::new());
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = from.read(&mut buffer)?;
            let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else { break };
            md5.update(read);
            writer.write(read).map_err(io::Error::other)?;
        }
        let (digest, size) = writer.finish().map_err(io::Error::other)?;
        Ok(Self { digest, size, md5: hex::encode(md5.finalize()) })
    }

    /// The bytes.
    pub(crate) fn bytes(&self, blobs: &Blobs) -> io::Result<Bytes> {
        blobs.get(&self.digest).map_err(io::Error::other)
    }
}

impl ServiceBucket<'_> {
    /// An address at which everybody who knows it may do this with an object, whose name needs no
    /// escaping, as long as they send these headers (lower case, in alphabetical order). Makes the
    /// bucket if there is none yet.
    pub(crate) fn presign(
        &self,
        tx: &mut Transaction<'_>,
        method: &str,
        object: &str,
        headers: &[(&str, String)],
    ) -> String {
        self.presign_for(tx, method, object, headers, EXPIRES)
    }

    /// The same, for as long as is said.
    pub(crate) fn presign_for(
        &self,
        tx: &mut Transaction<'_>,
        method: &str,
        object: &str,
        headers: &[(&str, String)],
        expires: Duration,
    ) -> String {
        self.ensure(tx);
        let (access_key, secret_key) = self.key(tx);
        // Object Storage holds signatures against the wall clock, as every S3 server does.
        let now = OffsetDateTime::now_utc();
        let moment = now.format(MOMENT).unwrap_or_default();
        let day = moment.get(..8).unwrap_or_default();
        let host = format!("s3.{}.scw.cloud", self.region);
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let mut signed: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        signed.push(("host", &host));
        let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
        let query: Vec<String> = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{access_key}/{scope}")),
            ("X-Amz-Date", moment.clone()),
            ("X-Amz-Expires", expires.as_secs().to_string()),
            ("X-Amz-SignedHeaders", names.join(";")),
        ]
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, QUERY)))
        .collect();
        let (path, query) = (format!("/{}/{object}", self.name), query.join("&"));
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("{method}\n{path}\n{query}\n{lines}\n{}\nUNSIGNED-PAYLOAD", names.join(";"));
        let digest = hex::encode(digest::digest(&digest::SHA256, request.as_bytes()));
        let message = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}");
        let signature = sign(&secret_key, &[day, self.region, "s3", "aws4_request", &message]);
        format!("https://{host}{path}?{query}&X-Amz-Signature={signature}")
    }

    /// Puts an object there, in the place of the one of its name, as a file to be saved under a name.
    pub(crate) fn put(&self, tx: &mut Transaction<'_>, object: &str, file: &Kept, save_as: &str) {
        self.ensure(tx);
        let Some(bucket) = records::bucket(tx.tables(), self.name) else { return };
        let content = Content {
            size: file.size,
            etag: file.md5.clone(),
            pieces: vec![Piece { digest: file.digest.clone(), size: file.size }],
            parts: Vec::new(),
            checksums: Checksums::default(),
        };
        let meta = Meta {
            content_type: Some("application/octet-stream".to_owned()),
            content_disposition: Some(format!("attachment; filename=\"{save_as}\"")),
            ..Meta::default()
        };
        version::add(tx, &bucket, object, content, meta);
    }

    /// Whether this object is there.
    pub(crate) fn has(&self, tables: &Tables, object: &str) -> bool {
        records::current(tables, self.name, object).is_some()
    }

    /// Removes an object.
    pub(crate) fn remove(&self, tx: &mut Transaction<'_>, object: &str) {
        if let Some(version) = records::newest(tx.tables(), self.name, object) {
            tx.remove(VERSION, &version.place());
        }
    }

    fn ensure(&self, tx: &mut Transaction<'_>) {
        if tx.get(BUCKET, self.name).is_some() {
            return;
        }
        let bucket = Bucket {
            name: self.name.to_owned(),
            region: self.region.to_owned(),
            project_id: self.service.to_owned(),
            organization_id: String::new(),
            created_at: tx.now(),
            versioning: Versioning::Never,
            acl: Acl::private(&canonical(self.service)),
            tags: Vec::new(),
            lock: None,
            cors: None,
            lifecycle: None,
            website: None,
            encryption: None,
            policy: None,
        };
        records::put_bucket(tx, &bucket, "created");
    }

    /// The product's key, made if it has none.
    fn key(&self, tx: &mut Transaction<'_>) -> (String, String) {
        let mine = tx.tables().all(SERVICE_KEY).find(|(_, key)| key.text("service") == self.service);
        if let Some((access_key, key)) = mine {
            return (access_key.to_owned(), key.text_or_hidden("secret_key").to_owned());
        }
        let (access_key, secret_key) = (tx.ids().access_key(), tx.ids().uuid());
        let mut record = Record::default();
        record.body.insert("service".into(), self.service.into());
        record.hidden.insert("secret_key".into(), secret_key.clone().into());
        tx.put(SERVICE_KEY, &access_key, record);
        (access_key, secret_key)
    }
}

/// The signature: each part is signed with what the part before it gave.
fn sign(secret_key: &str, parts: &[&str]) -> String {
    let mut key = format!("AWS4{secret_key}").into_bytes();
    for part in parts {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    hex::encode(key)
}

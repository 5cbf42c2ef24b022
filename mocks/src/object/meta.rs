//! What an object has besides its contents: headers, metadata, tags, rights, locks.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use md5::{Digest as _, Md5};
use s3s::{
    S3ErrorCode, S3Result,
    dto::{ServerSideEncryption, StorageClass, Tag, Timestamp, TimestampFormat},
};
use serde::{Deserialize, Serialize};

use super::{
    acl::Acl,
    errors::{access_denied, invalid_argument, invalid_request, refuse},
    lock::Retention,
    records::Bucket,
    tagging,
};

/// The storage classes of Scaleway.
const CLASSES: [&str; 3] = ["STANDARD", "ONEZONE_IA", "GLACIER"];
/// The most metadata an object can have, in bytes.
const MOST_METADATA: usize = 2 * 1024;

/// What an object has besides its contents.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Meta {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) website_redirect_location: Option<String>,
    /// None is `STANDARD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) storage_class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encryption: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kms_key: Option<String>,
    /// The MD5 of the customer's key, Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) customer_key: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<Tag>,
    #[serde(default, skip_serializing_if = "Acl::is_empty")]
    pub(super) acl: Acl,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retention: Option<Retention>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) legal_hold: bool,
}

/// The customer's key in a request: algorithm, key, and the key's MD5.
pub(super) struct CustomerKey<'a> {
    pub(super) algorithm: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) md5: Option<&'a str>,
}

/// The metadata of an object to be written, out of an input of s3s, whose types share field names but no trait.
macro_rules! meta_of {
    ($input:expr, $bucket:expr, $now:expr, $acl:expr) => {{
        let input = &$input;
        let mut meta = crate::object::meta::Meta {
            content_type: input.content_type.clone(),
            cache_control: input.cache_control.clone(),
            content_disposition: input.content_disposition.clone(),
            content_encoding: crate::object::meta::without_chunking(input.content_encoding.as_deref()),
            content_language: input.content_language.clone(),
            expires: input.expires.clone(),
            website_redirect_location: input.website_redirect_location.clone(),
            kms_key: input.ssekms_key_id.clone(),
            acl: $acl,
            ..Default::default()
        };
        meta.set_metadata(input.metadata.as_ref())?;
        meta.set_storage_class(input.storage_class.as_ref())?;
        meta.set_encryption(input.server_side_encryption.as_ref(), $bucket)?;
        meta.customer_key = crate::object::meta::customer_key_of!(input).of_new()?;
        meta.set_tags(input.tagging.as_deref())?;
        crate::object::lock::lock_new(
            &mut meta,
            $bucket,
            $now,
            input.object_lock_mode.as_ref(),
            input.object_lock_retain_until_date.as_ref(),
            input.object_lock_legal_hold_status.as_ref(),
        )?;
        meta
    }};
}
pub(super) use meta_of;

/// The customer's key in an input of s3s.
macro_rules! customer_key_of {
    ($input:expr) => {
        crate::object::meta::CustomerKey {
            algorithm: $input.sse_customer_algorithm.as_deref(),
            key: $input.sse_customer_key.as_deref(),
            md5: $input.sse_customer_key_md5.as_deref(),
        }
    };
}
pub(super) use customer_key_of;

impl Meta {
    /// Takes the user's metadata.
    pub(super) fn set_metadata(&mut self, metadata: Option<&HashMap<String, String>>) -> S3Result<()> {
        self.metadata = metadata.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
        let size: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > MOST_METADATA {
            let message = "Your metadata headers exceed the maximum allowed metadata size";
            return Err(refuse(S3ErrorCode::MetadataTooLarge, message));
        }
        if self.metadata.values().any(|value| value.chars().any(char::is_control)) {
            return Err(invalid_argument("Metadata cannot contain control characters"));
        }
        Ok(())
    }

    /// Takes the storage class.
    pub(super) fn set_storage_class(&mut self, class: Option<&StorageClass>) -> S3Result<()> {
        match class.map(StorageClass::as_str) {
            None => self.storage_class = None,
            Some(class) if CLASSES.contains(&class) => {
                self.storage_class = Some(class.to_owned()).filter(|class| class != "STANDARD");
            }
            Some(_) => {
                let message = "The storage class you specified is not valid";
                return Err(refuse(S3ErrorCode::InvalidStorageClass, message));
            }
        }
        Ok(())
    }

    /// Takes the encryption asked for, or else the bucket's.
    pub(super) fn set_encryption(&mut self, asked: Option<&ServerSideEncryption>, bucket: &Bucket) -> S3Result<()> {
        let default = bucket
            .encryption
            .as_ref()
            .and_then(|configuration| configuration.rules.first())
            .and_then(|rule| rule.apply_server_side_encryption_by_default.as_ref());
        match asked.map(ServerSideEncryption::as_str) {
            Some(algorithm @ ("AES256" | "aws:kms")) => self.encryption = Some(algorithm.to_owned()),
            Some(_) => return Err(invalid_argument("The encryption method specified is not supported")),
            None if self.kms_key.is_some() => {
                return Err(invalid_argument("A KMS key can only be given with the algorithm aws:kms"));
            }
            None => {
                self.encryption = default.map(|default| default.sse_algorithm.as_str().to_owned());
                self.kms_key = default.and_then(|default| default.kms_master_key_id.clone());
            }
        }
        Ok(())
    }

    /// Takes the tags of the header `x-amz-tagging`.
    pub(super) fn set_tags(&mut self, header: Option<&str>) -> S3Result<()> {
        self.tags = header.map(tagging::parse_header).transpose()?.unwrap_or_default();
        Ok(())
    }

    /// Whether a reader has the customer's key, if one is needed.
    pub(super) fn unlock(&self, key: &CustomerKey<'_>) -> S3Result<()> {
        let given = key.of_new()?;
        match (&self.customer_key, given) {
            (None, None) => Ok(()),
            (Some(needed), Some(given)) if *needed == given => Ok(()),
            (Some(_), Some(_)) => Err(access_denied()),
            (Some(_), None) => Err(invalid_request(
                "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
            )),
            (None, Some(_)) => Err(invalid_request("The encryption parameters are not applicable to this object.")),
        }
    }

    /// The algorithm of the customer's key, if the object has one.
    pub(super) fn customer_algorithm(&self) -> Option<String> {
        self.customer_key.as_ref().map(|_| "AES256".to_owned())
    }

    /// The user's metadata as s3s wants it; none if there is none.
    pub(super) fn user_metadata(&self) -> Option<HashMap<String, String>> {
        let metadata: HashMap<_, _> = self.metadata.clone().into_iter().collect();
        Some(metadata).filter(|metadata| !metadata.is_empty())
    }
}

impl CustomerKey<'_> {
    /// The MD5 of a well-formed key; none if the request has none. Recorded: the request need not say the MD5.
    pub(super) fn of_new(&self) -> S3Result<Option<String>> {
        let (algorithm, key, md5) = match (self.algorithm, self.key, self.md5) {
            (None, None, None) => return Ok(None),
            (Some(algorithm), Some(key), md5) => (algorithm, key, md5),
            _ => {
                return Err(invalid_argument(
                    "Requests specifying Server Side Encryption with Customer provided keys must provide the algorithm and the key",
                ));
            }
        };
        if algorithm != "AES256" {
            return Err(invalid_argument("The requested encryption algorithm is not valid, must be AES256."));
        }
        let key = BASE64_STANDARD.decode(key).ok().filter(|key| key.len() == 32);
        let key = key.ok_or_else(|| invalid_argument("The secret key was invalid for the specified algorithm."))?;
        let digest = BASE64_STANDARD.encode(Md5::digest(&key));
        if md5.is_some_and(|md5| md5 != digest) {
            return Err(invalid_argument(
                "The calculated MD5 hash of the key did not match the hash that was provided.",
            ));
        }
        Ok(Some(digest))
    }
}

/// The content encoding an object keeps: `aws-chunked` is of the transfer.
pub(super) fn without_chunking(encoding: Option<&str>) -> Option<String> {
    let kept: Vec<_> = encoding?.split(',').map(str::trim).filter(|one| *one != "aws-chunked").collect();
    Some(kept.join(",")).filter(|kept| !kept.is_empty())
}

/// A time as HTTP's headers write it, to the second.
pub(super) fn to_the_second(at: time::OffsetDateTime) -> time::OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

/// A time in a header as HTTP writes it.
pub(super) fn http_date(at: time::OffsetDateTime) -> Option<http::HeaderValue> {
    let mut text = Vec::new();
    Timestamp::from(at).format(TimestampFormat::HttpDate, &mut text).ok()?;
    http::HeaderValue::from_bytes(&text).ok()
}

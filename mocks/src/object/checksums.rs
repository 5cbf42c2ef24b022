//! The checksums S3 knows, as clients send and see them: Base64.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderMap;
use s3s::dto::{ChecksumAlgorithm, ChecksumType};
use serde::{Deserialize, Serialize};

/// The names of all algorithms, as headers write them.
pub(super) const ALGORITHMS: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// The checksums of some content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksums {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc32: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc32c: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc64nvme: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha1: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    /// Of the checksums of the parts, instead of the bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) composite: bool,
}

/// The checksums in an input of s3s, whose types share field names but no trait.
macro_rules! checksums_of {
    ($input:expr) => {
        Checksums {
            crc32: $input.checksum_crc32.clone(),
            crc32c: $input.checksum_crc32c.clone(),
            crc64nvme: $input.checksum_crc64nvme.clone(),
            sha1: $input.checksum_sha1.clone(),
            sha256: $input.checksum_sha256.clone(),
            composite: false,
        }
    };
}
pub(super) use checksums_of;

/// An output of s3s with these checksums put into it.
macro_rules! with_checksums {
    ($output:expr, $sums:expr) => {{
        let mut output = $output;
        let sums = $sums;
        output.checksum_crc32 = sums.crc32.clone();
        output.checksum_crc32c = sums.crc32c.clone();
        output.checksum_crc64nvme = sums.crc64nvme.clone();
        output.checksum_sha1 = sums.sha1.clone();
        output.checksum_sha256 = sums.sha256.clone();
        output
    }};
}
pub(super) use with_checksums;

impl Checksums {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        ALGORITHMS.iter().all(|name| self.get(name).is_none())
    }

    /// The checksum of this algorithm.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        match name {
            "crc32" => self.crc32.as_deref(),
            "crc32c" => self.crc32c.as_deref(),
            "crc64nvme" => self.crc64nvme.as_deref(),
            "sha1" => self.sha1.as_deref(),
            "sha256" => self.sha256.as_deref(),
            _ => None,
        }
    }

    /// Sets the checksum of this algorithm.
    pub(super) fn set(&mut self, name: &str, sum: String) {
        match name {
            "crc32" => self.crc32 = Some(sum),
            "crc32c" => self.crc32c = Some(sum),
            "crc64nvme" => self.crc64nvme = Some(sum),
            "sha1" => self.sha1 = Some(sum),
            "sha256" => self.sha256 = Some(sum),
            _ => {}
        }
    }

    /// Adds what headers or trailers say.
    pub(super) fn add_headers(&mut self, headers: &HeaderMap) {
        for name in ALGORITHMS {
            let value = headers.get(format!("x-amz-checksum-{name}")).and_then(|value| value.to_str().ok());
            if let Some(value) = value {
                self.set(name, value.trim().to_owned());
            }
        }
    }

    /// The first algorithm for which another sum was sent than this one, which was computed.
    pub(super) fn contradicted_by(&self, sent: &Self) -> Option<&'static str> {
        ALGORITHMS.into_iter().find(|name| sent.get(name).is_some_and(|sum| self.get(name) != Some(sum)))
    }

    /// The algorithms there are sums of.
    pub(super) fn algorithms(&self) -> Vec<ChecksumAlgorithm> {
        let names = ALGORITHMS.iter().filter(|name| self.get(name).is_some());
        names.map(|name| ChecksumAlgorithm::from(name.to_ascii_uppercase())).collect()
    }

    /// Whether the sums are of the bytes or of the parts' sums.
    pub(super) fn kind(&self) -> Option<ChecksumType> {
        let kind = if self.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
        (!self.is_empty()).then(|| ChecksumType::from_static(kind))
    }

    /// A sum's bytes.
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        BASE64_STANDARD.decode(self.get(name)?).ok()
    }
}

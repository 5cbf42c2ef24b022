//! The contents of objects and parts: taken in, checked, and given out again.

use std::ops::Range;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::{StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
use md5::{Digest as _, Md5};
use s3s::{
    Body, S3Error, S3ErrorCode, S3Result, TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::Checksum as _,
    dto::{Checksum, StreamingBlob},
};
use serde::{Deserialize, Serialize};

use super::{
    checksums::{ALGORITHMS, Checksums},
    errors::{another_body, invalid_request, refuse, usual},
};
use crate::kernel::{Blobs, Digest};

/// The largest object of a single request, and the largest part: 5 GiB.
pub(super) const LARGEST: u64 = 5 * 1024 * 1024 * 1024;

/// A run of bytes that is kept as one blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// What an object or a part contains.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Content {
    #[serde(default)]
    pub(super) size: u64,
    /// Without quotes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) etag: String,
    /// The blobs, in order: one, or one for each part of a multipart upload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pieces: Vec<Piece>,
    /// The sizes of the parts, if the object was uploaded in parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<u64>,
    #[serde(default, skip_serializing_if = "Checksums::is_empty")]
    pub(super) checksums: Checksums,
}

/// What a request says about the bytes it brings.
#[derive(Default)]
pub(super) struct Promised {
    pub(super) length: Option<i64>,
    pub(super) md5: Option<String>,
    pub(super) checksums: Checksums,
    /// A checksum to compute although none was sent.
    pub(super) algorithm: Option<String>,
    /// The checksums that follow the bytes.
    pub(super) trailers: Option<TrailingHeaders>,
}

impl Promised {
    /// What the headers of a request promise, together with what s3s understood of them.
    pub(super) fn new(headers: &HeaderMap, trailers: Option<TrailingHeaders>, checksums: Checksums) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let announced = text("x-amz-trailer").and_then(|trailer| trailer.trim().strip_prefix("x-amz-checksum-"));
        let algorithm = text("x-amz-sdk-checksum-algorithm").or(announced).map(str::to_ascii_lowercase);
        let algorithm = match algorithm {
            Some(name) if !ALGORITHMS.contains(&name.as_str()) => {
                return Err(invalid_request("Checksum algorithm provided is unsupported."));
            }
            algorithm => algorithm,
        };
        let length = match text("content-length").map(str::parse) {
            Some(Ok(length)) => Some(length),
            Some(Err(_)) => return Err(invalid_request("invalid header: content-length")),
            None => None,
        };
        Ok(Self { length, md5: text("content-md5").map(str::to_owned), checksums, algorithm, trailers })
    }
}

/// Takes in the bytes of a request: they are kept as a blob when they are what was promised.
pub(super) async fn take(blobs: &Blobs, body: Option<StreamingBlob>, promised: Promised) -> S3Result<Content> {
    let expected_md5 = promised.md5.as_deref().map(decode_md5).transpose()?;
    let length = promised.length.map(u64::try_from).transpose().map_err(|_| usual(S3ErrorCode::InvalidArgument))?;
    if length.is_some_and(|length| length > LARGEST) {
        return Err(usual(S3ErrorCode::EntityTooLarge));
    }
    let mut hasher = hasher(&promised.checksums, promised.algorithm.as_deref());
    let mut md5 = Md5::new();
    let mut writer = blobs.writer()?;
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| broken(&*error))?;
            if writer.length() + chunk.len() as u64 > LARGEST {
                return Err(usual(S3ErrorCode::EntityTooLarge));
            }
            md5.update(&chunk);
            hasher.update(&chunk);
            writer.write(&chunk)?;
        }
    }
    if length.is_some_and(|length| length != writer.length()) {
        return Err(usual(S3ErrorCode::IncompleteBody));
    }
    let md5 = md5.finalize();
    if expected_md5.is_some_and(|expected| expected != md5[..]) {
        return Err(usual(S3ErrorCode::BadDigest));
    }
    let computed = Checksums::from(hasher.finalize());
    let mut sent = promised.checksums;
    if let Some(trailers) = promised.trailers.and_then(|trailers| trailers.take()) {
        sent.add_headers(&trailers);
    }
    if let Some(algorithm) = computed.contradicted_by(&sent) {
        return Err(mismatch(algorithm));
    }
    let (digest, size) = writer.finish()?;
    Ok(Content {
        size,
        etag: hex::encode(md5),
        pieces: vec![Piece { digest, size }],
        parts: Vec::new(),
        checksums: computed,
    })
}

/// Whether a document, which is no object, is what its headers promise.
pub(super) fn check_document(document: &[u8], headers: &HeaderMap) -> S3Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(signed) = text("x-amz-content-sha256").filter(|hash| hash.len() == 64)
        && !signed.eq_ignore_ascii_case(Digest::of(document).as_str())
    {
        return Err(another_body());
    }
    if let Some(md5) = text("content-md5")
        && decode_md5(md5)? != Md5::digest(document)[..]
    {
        return Err(usual(S3ErrorCode::BadDigest));
    }
    let mut sent = Checksums::default();
    sent.add_headers(headers);
    let mut hasher = hasher(&sent, None);
    hasher.update(document);
    match Checksums::from(hasher.finalize()).contradicted_by(&sent) {
        Some(algorithm) => Err(mismatch(algorithm)),
        None => Ok(()),
    }
}

/// A stream of some bytes of a content.
pub(super) fn give(blobs: &Blobs, content: &Content, range: Range<u64>) -> StreamingBlob {
    let blobs = blobs.clone();
    let parts = cut(&content.pieces, range);
    let stream = futures::stream::iter(parts)
        .then(move |(piece, range)| {
            let blobs = blobs.clone();
            async move { blobs.read(&piece.digest, range).await.map_err(std::io::Error::other) }
        })
        .try_flatten()
        .map_ok(hyper::body::Frame::data);
    Body::http_body_unsync(http_body_util::StreamBody::new(stream)).into()
}

/// The pieces that hold these bytes, each with what is wanted of it.
pub(super) fn cut(pieces: &[Piece], range: Range<u64>) -> Vec<(Piece, Range<u64>)> {
    let mut from = 0;
    let mut wanted = Vec::new();
    for piece in pieces {
        let start = range.start.max(from) - from;
        let end = range.end.min(from + piece.size).saturating_sub(from);
        if start < end {
            wanted.push((piece.clone(), start..end));
        }
        from += piece.size;
    }
    wanted
}

/// The checksum of a content's bytes, which are read for it.
pub(super) async fn sum(blobs: &Blobs, pieces: &[Piece], algorithm: &str) -> S3Result<Checksums> {
    let mut hasher = hasher(&Checksums::default(), Some(algorithm));
    for piece in pieces {
        let mut stream = blobs.read(&piece.digest, 0..piece.size).await?;
        while let Some(chunk) = stream.next().await {
            hasher.update(&chunk.map_err(S3Error::internal_error)?);
        }
    }
    Ok(Checksums::from(hasher.finalize()))
}

/// The MD5 of a content's bytes, which are read for it.
pub(super) async fn md5(blobs: &Blobs, pieces: &[(Piece, Range<u64>)]) -> S3Result<String> {
    let mut md5 = Md5::new();
    for (piece, range) in pieces {
        let mut stream = blobs.read(&piece.digest, range.clone()).await?;
        while let Some(chunk) = stream.next().await {
            md5.update(&chunk.map_err(S3Error::internal_error)?);
        }
    }
    Ok(hex::encode(md5.finalize()))
}

/// A hasher for the checksums that were sent and the one that is wanted.
pub(super) fn hasher(sent: &Checksums, wanted: Option<&str>) -> ChecksumHasher {
    let needed = |name: &str| wanted == Some(name) || sent.get(name).is_some();
    ChecksumHasher {
        crc32: needed("crc32").then(s3s::crypto::Crc32::new),
        crc32c: needed("crc32c").then(s3s::crypto::Crc32c::new),
        sha1: needed("sha1").then(s3s::crypto::Sha1::new),
        sha256: needed("sha256").then(s3s::crypto::Sha256::new),
        crc64nvme: needed("crc64nvme").then(s3s::crypto::Crc64Nvme::new),
    }
}

/// The refusal of bytes whose checksum is another one than was sent.
pub(super) fn mismatch(algorithm: &str) -> S3Error {
    let name = algorithm.to_ascii_uppercase();
    refuse(S3ErrorCode::BadDigest, format!("The {name} you specified did not match the calculated checksum."))
}

fn decode_md5(text: &str) -> S3Result<[u8; 16]> {
    let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| usual(S3ErrorCode::InvalidDigest))
}

/// Why a body ended early. s3s checks signed bodies while they are read and keeps its error types to itself.
fn broken(error: &(dyn std::error::Error + 'static)) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        another_body()
    } else if text.contains("SignatureMismatch") {
        usual(S3ErrorCode::SignatureDoesNotMatch)
    } else if text.contains("FormatError") || text.contains("TooLarge") || text.contains("TooMany") {
        invalid_request("The chunks of the body are malformed.")
    } else {
        usual(S3ErrorCode::IncompleteBody)
    }
}

impl From<Checksum> for Checksums {
    fn from(sums: Checksum) -> Self {
        Self {
            crc32: sums.checksum_crc32,
            crc32c: sums.checksum_crc32c,
            crc64nvme: sums.checksum_crc64nvme,
            sha1: sums.checksum_sha1,
            sha256: sums.checksum_sha256,
            composite: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_out_of_the_pieces_that_hold_it() {
        let piece = |size| Piece { digest: Digest::of(&[]), size };
        let pieces = [piece(5), piece(3), piece(4)];
        let cut = |range| cut(&pieces, range).into_iter().map(|(_, range)| range).collect::<Vec<_>>();
        assert_eq!(cut(0..12), [0..5, 0..3, 0..4]);
        assert_eq!(cut(4..9), [4..5, 0..3, 0..1]);
        assert_eq!(cut(5..8), std::iter::once(0..3).collect::<Vec<_>>());
        assert!(cut(12..12).is_empty());
    }
}

//! Blobs: layers and configurations, by digest.

use std::ops::RangeInclusive;

use axum::body::Body;
use http::{Response, StatusCode, header};
use oci_spec::distribution::ErrorCode;

use super::{
    door::{DIGEST, Visit, answer},
    records::{self, BLOB, Blob},
    refusal::{Answered, refuse, unknown},
};

/// `HEAD` and `GET` of a blob, whole or one range of it.
pub(super) async fn get(visit: &Visit<'_>, digest: &str, head_only: bool) -> Answered<Response<Body>> {
    let key = visit.repository.key(digest);
    let blob: Option<Blob> = visit.registry.store.read(|tables| records::read(tables, BLOB, &key));
    let Some(blob) = blob else {
        let message = format!("{} has no blob {digest}", visit.repository.name);
        return Err(unknown(ErrorCode::BlobUnknown, message));
    };
    let asked = visit.header(header::RANGE).and_then(|range| range_of(range, blob.size));
    let (status, bytes) = match asked {
        None => (StatusCode::OK, 0..blob.size),
        Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, *range.start()..range.end().saturating_add(1)),
        Some(None) => {
            let message = format!("the blob has {} bytes", blob.size);
            return Err(refuse(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::SizeInvalid, message)
                .with(header::CONTENT_RANGE, format!("bytes */{}", blob.size)));
        }
    };
    let body = if head_only {
        Body::empty()
    } else {
        Body::from_stream(visit.registry.blobs.read(&blob.content, bytes.clone()).await?)
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, (bytes.end - bytes.start).to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, format!("\"{digest}\"")),
        (DIGEST, digest.to_owned()),
    ];
    let mut response = answer(status, headers, body);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", bytes.start, bytes.end.saturating_sub(1), blob.size);
        if let Ok(range) = range.parse() {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
    }
    Ok(response)
}

/// The one range a header asks for. `None`: nothing that HTTP makes us follow; `Some(None)`: one
/// that the blob does not have.
fn range_of(header: &str, size: u64) -> Option<Option<RangeInclusive<u64>>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let length: u64 = last.parse().ok()?;
        return Some((length > 0 && size > 0).then(|| size.saturating_sub(length)..=size - 1));
    }
    let first: u64 = first.parse().ok()?;
    let last: u64 = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    if last < first {
        return None;
    }
    Some((first < size).then(|| first..=last.min(size - 1)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::from_to("bytes=2-4", Some(Some(2..=4)))]
    #[case::to_the_end("bytes=2-", Some(Some(2..=9)))]
    #[case::the_last("bytes=-3", Some(Some(7..=9)))]
    #[case::more_than_there_is("bytes=5-99", Some(Some(5..=9)))]
    #[case::all_and_more("bytes=-99", Some(Some(0..=9)))]
    #[case::behind_the_end("bytes=10-", Some(None))]
    #[case::none("bytes=-0", Some(None))]
    #[case::several("bytes=0-1,4-5", None)]
    #[case::backwards("bytes=4-2", None)]
    #[case::other_units("lines=1-2", None)]
    fn one_range_is_followed(#[case] header: &str, #[case] expected: Option<Option<RangeInclusive<u64>>>) {
        assert_eq!(range_of(header, 10), expected);
    }

    #[test]
    fn an_empty_blob_has_no_range() {
        assert_eq!(range_of("bytes=0-", 0), Some(None));
        assert_eq!(range_of("bytes=-1", 0), Some(None));
    }
}

//! What a request asks for, and what of it is passed on. What is not in these lists is not.

use bytes::Bytes;
use http::{HeaderMap, Method, request::Parts};
use percent_encoding::percent_decode_str;

use super::{refusal::Refusal, signature::header};
use crate::bucket::{Ask, Bucket, encoded};

/// The operations of S3 that Pulumi's backend uses, and those that belong to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    HeadBucket,
    ListObjects,
    GetObject,
    HeadObject,
    ListParts,
    PutObject,
    CopyObject,
    DeleteObject,
    CreateMultipartUpload,
    UploadPart,
    CompleteMultipartUpload,
    AbortMultipartUpload,
}

impl Operation {
    /// S3's name for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HeadBucket => "HeadBucket",
            Self::ListObjects => "ListObjects",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::ListParts => "ListParts",
            Self::PutObject => "PutObject",
            Self::CopyObject => "CopyObject",
            Self::DeleteObject => "DeleteObject",
            Self::CreateMultipartUpload => "CreateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::AbortMultipartUpload => "AbortMultipartUpload",
        }
    }

    /// Whether it changes anything.
    pub(super) fn writes(self) -> bool {
        !matches!(self, Self::HeadBucket | Self::ListObjects | Self::GetObject | Self::HeadObject | Self::ListParts)
    }

    /// The parameters it may have.
    fn takes(self, parameter: &str) -> bool {
        if parameter == "x-id" {
            return true;
        }
        match self {
            Self::HeadBucket => false,
            Self::ListObjects => matches!(
                parameter,
                "list-type"
                    | "prefix"
                    | "delimiter"
                    | "max-keys"
                    | "continuation-token"
                    | "start-after"
                    | "marker"
                    | "encoding-type"
                    | "fetch-owner"
            ),
            Self::GetObject | Self::HeadObject => {
                matches!(parameter, "versionId" | "partNumber") || parameter.starts_with("response-")
            }
            Self::ListParts => matches!(parameter, "uploadId" | "max-parts" | "part-number-marker" | "encoding-type"),
            Self::PutObject | Self::CopyObject | Self::DeleteObject => false,
            Self::CreateMultipartUpload => parameter == "uploads",
            Self::UploadPart => matches!(parameter, "uploadId" | "partNumber"),
            Self::CompleteMultipartUpload | Self::AbortMultipartUpload => parameter == "uploadId",
        }
    }
}

/// A request that concerns this bucket and nothing else.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) operation: Operation,
    /// The object's key, or the beginning of the keys to list; without the backend's prefix.
    pub(super) key: String,
    query: Vec<(String, String)>,
}

impl Asked {
    /// Reads a request's head.
    pub(super) fn read(parts: &Parts, bucket: &Bucket) -> Result<Self, Refusal> {
        let path = percent_decode_str(parts.uri.path())
            .decode_utf8()
            .map_err(|_| Refusal::NotUnderstood("its path is not UTF-8".to_owned()))?;
        let mut query = Vec::new();
        for pair in parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.push((decoded(name)?, decoded(value)?));
        }
        let has = |name: &str| query.iter().any(|(given, _)| given == name);
        let outside = || Refusal::OutsideBucket(bucket.shown());
        let (name, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        if name != bucket.name() {
            return Err(outside());
        }
        let operation = match (&parts.method, key.is_empty()) {
            (&Method::HEAD, true) => Operation::HeadBucket,
            (&Method::GET, true) => Operation::ListObjects,
            (&Method::GET, false) if has("uploadId") => Operation::ListParts,
            (&Method::GET, false) => Operation::GetObject,
            (&Method::HEAD, false) => Operation::HeadObject,
            (&Method::PUT, false) if has("uploadId") => Operation::UploadPart,
            (&Method::PUT, false) if parts.headers.contains_key("x-amz-copy-source") => Operation::CopyObject,
            (&Method::PUT, false) => Operation::PutObject,
            (&Method::DELETE, false) if has("uploadId") => Operation::AbortMultipartUpload,
            (&Method::DELETE, false) => Operation::DeleteObject,
            (&Method::POST, false) if has("uploads") => Operation::CreateMultipartUpload,
            (&Method::POST, false) if has("uploadId") => Operation::CompleteMultipartUpload,
            (method, _) => return Err(Refusal::NotForwarded(format!("{method} {path}"))),
        };
        if let Some((name, _)) = query.iter().find(|(name, _)| !operation.takes(name)) {
            return Err(Refusal::NotForwarded(format!("{} with the parameter {name}", operation.name())));
        }
        if operation == Operation::UploadPart && parts.headers.contains_key("x-amz-copy-source") {
            return Err(Refusal::NotForwarded("UploadPartCopy".to_owned()));
        }
        let full = match operation {
            Operation::HeadBucket => return Ok(Self { operation, key: String::new(), query }),
            Operation::ListObjects => query.iter().find(|(name, _)| name == "prefix").map_or("", |(_, value)| value),
            _ => key,
        };
        let key = full.strip_prefix(bucket.prefix()).ok_or_else(outside)?.to_owned();
        // `..` is no path to S3, but whoever shows keys as paths would be led elsewhere.
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(outside());
        }
        Ok(Self { operation, key, query })
    }

    /// The request to the bucket: without who sent it, and without what is between this gateway and the sender.
    pub(super) fn forwarded(
        &self,
        parts: &Parts,
        bucket: &Bucket,
        content: Bytes,
        trailers: Vec<(String, String)>,
    ) -> Result<Ask, Refusal> {
        let whole = matches!(self.operation, Operation::HeadBucket | Operation::ListObjects);
        let mut ask = Ask {
            method: parts.method.clone(),
            key: (!whole).then(|| self.key.clone()),
            query: self.query.clone(),
            headers: passed(&parts.headers, self.operation),
            body: content,
        };
        // A checksum that came behind the content is told before it: the bucket checks it all the same.
        ask.headers.extend(trailers.into_iter().filter(|(name, _)| name.starts_with("x-amz-checksum-")));
        if self.operation == Operation::CopyObject {
            ask.headers.push(("x-amz-copy-source".to_owned(), source(&parts.headers, bucket)?));
        }
        Ok(ask)
    }
}

fn decoded(text: &str) -> Result<String, Refusal> {
    let text = text.replace('+', " ");
    percent_decode_str(&text)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| Refusal::NotUnderstood("its query is not UTF-8".to_owned()))
}

/// The headers that mean something to the bucket.
fn passed(headers: &HeaderMap, operation: Operation) -> Vec<(String, String)> {
    let means = |name: &str| match name {
        "content-type"
        | "content-md5"
        | "cache-control"
        | "content-disposition"
        | "content-language"
        | "expires"
        | "x-amz-checksum-mode"
        | "x-amz-sdk-checksum-algorithm"
        | "x-amz-metadata-directive"
        | "x-amz-storage-class"
        | "x-amz-server-side-encryption"
        | "x-amz-mp-object-size" => true,
        // Conditions of a write are the gateway's to make.
        "range" | "if-match" | "if-none-match" | "if-modified-since" | "if-unmodified-since" | "accept-encoding" => {
            !operation.writes()
        }
        name => ["x-amz-checksum-", "x-amz-meta-", "x-amz-copy-source-if-"].iter().any(|start| name.starts_with(start)),
    };
    let mut all = Vec::new();
    for (name, value) in headers {
        let (name, Ok(value)) = (name.as_str(), value.to_str()) else { continue };
        if name == "content-encoding" {
            // How the content travels to here is of no concern to the bucket.
            let kept: Vec<&str> =
                value.split(',').map(str::trim).filter(|part| *part != "aws-chunked" && !part.is_empty()).collect();
            if !kept.is_empty() {
                all.push((name.to_owned(), kept.join(",")));
            }
        } else if means(name) {
            all.push((name.to_owned(), value.to_owned()));
        }
    }
    all
}

/// Where a copy comes from: from within the backend.
fn source(headers: &HeaderMap, bucket: &Bucket) -> Result<String, Refusal> {
    let text = header(headers, "x-amz-copy-source").unwrap_or_default();
    let (path, version) =
        text.split_once('?').map_or((text, None), |(path, query)| (path, query.strip_prefix("versionId=")));
    let path = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| Refusal::NotUnderstood("its source is not UTF-8".to_owned()))?;
    let outside = || Refusal::OutsideBucket(bucket.shown());
    let (name, key) = path.trim_start_matches('/').split_once('/').ok_or_else(outside)?;
    if name != bucket.name()
        || !key.starts_with(bucket.prefix())
        || key.split('/').any(|part| matches!(part, "." | ".."))
    {
        return Err(outside());
    }
    let mut source = encoded(&format!("{name}/{key}"));
    if let Some(version) = version {
        source.push_str(&format!("?versionId={}", encoded(&decoded(version)?)));
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use rstest::rstest;

    use super::*;
    use crate::bucket::{Access, Addressing, Key};

    fn bucket(prefix: &str) -> Bucket {
        let access = Access {
            endpoint: "http://127.0.0.1:1".parse().unwrap(),
            region: "fr-par".to_owned(),
            bucket: "state".to_owned(),
            prefix: prefix.to_owned(),
            addressing: Addressing::Path,
            key: Key::new("id", "secret"),
        };
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(false);
        let _ = rustls::crypto::ring::default_provider().install_default();
        Bucket::new(client.build().unwrap(), access)
    }

    fn parts(method: &str, target: &str) -> Parts {
        Request::builder().method(method).uri(target).body(()).unwrap().into_parts().0
    }

    #[rstest]
    #[case(
        "GET",
        "/state?list-type=2&prefix=team%2F.pulumi%2Fstacks&x-id=ListObjectsV2",
        Operation::ListObjects,
        ".pulumi/stacks"
    )]
    #[case("GET", "/state/team/.pulumi/meta.yaml?x-id=GetObject", Operation::GetObject, ".pulumi/meta.yaml")]
    #[case("PUT", "/state/team/.pulumi/a%20b?x-id=PutObject", Operation::PutObject, ".pulumi/a b")]
    #[case("PUT", "/state/team/a?partNumber=1&uploadId=x%2By", Operation::UploadPart, "a")]
    #[case("POST", "/state/team/a?uploads", Operation::CreateMultipartUpload, "a")]
    #[case("POST", "/state/team/a?uploadId=x", Operation::CompleteMultipartUpload, "a")]
    #[case("DELETE", "/state/team/a?x-id=DeleteObject", Operation::DeleteObject, "a")]
    fn what_pulumi_does_is_understood(
        #[case] method: &str,
        #[case] target: &str,
        #[case] operation: Operation,
        #[case] key: &str,
    ) {
        let asked = Asked::read(&parts(method, target), &bucket("team")).unwrap();
        assert_eq!((asked.operation, asked.key.as_str()), (operation, key));
    }

    #[rstest]
    #[case::all_buckets("GET", "/")]
    #[case::other_bucket("GET", "/other/team/a")]
    #[case::longer_bucket("GET", "/state2/team/a")]
    #[case::other_prefix("PUT", "/state/team2/a")]
    #[case::whole_bucket_listed("GET", "/state?list-type=2")]
    #[case::climbing("PUT", "/state/team/../other/a")]
    #[case::climbing_encoded("PUT", "/state/team/%2e%2e/other/a")]
    fn what_is_elsewhere_is_refused(#[case] method: &str, #[case] target: &str) {
        let refusal = Asked::read(&parts(method, target), &bucket("team")).unwrap_err();
        assert!(matches!(refusal, Refusal::OutsideBucket(_)), "{refusal:?}");
    }

    #[rstest]
    #[case::policy("PUT", "/state/team/a?policy")]
    #[case::bucket_policy("PUT", "/state?policy")]
    #[case::many_deleted("POST", "/state?delete")]
    #[case::bucket_deleted("DELETE", "/state")]
    #[case::version_deleted("DELETE", "/state/team/a?versionId=1")]
    #[case::tags("PUT", "/state/team/a?tagging")]
    #[case::settings("GET", "/state?versioning")]
    #[case::presigned("GET", "/state/team/a?X-Amz-Signature=1")]
    fn what_pulumi_never_does_is_refused(#[case] method: &str, #[case] target: &str) {
        let refusal = Asked::read(&parts(method, target), &bucket("team")).unwrap_err();
        assert!(matches!(refusal, Refusal::NotForwarded(_)), "{refusal:?}");
    }

    #[rstest]
    #[case("state/team/.pulumi/a b", Some("state/team/.pulumi/a%20b"))]
    #[case("/state/team/a?versionId=1", Some("state/team/a?versionId=1"))]
    #[case("state/elsewhere/a", None)]
    #[case("other/team/a", None)]
    #[case("state/team/../a", None)]
    fn a_copy_comes_from_within(#[case] from: &str, #[case] expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-copy-source", from.parse().unwrap());
        assert_eq!(source(&headers, &bucket("team")).ok().as_deref(), expected);
    }

    #[test]
    fn who_sent_it_and_how_it_travelled_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "AWS4-HMAC-SHA256 …"),
            ("content-encoding", "aws-chunked,gzip"),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-acl", "public-read"),
            ("if-none-match", "*"),
            ("x-amz-meta-a", "b"),
        ] {
            headers.insert(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let mut kept = passed(&headers, Operation::PutObject);
        kept.sort();
        assert_eq!(kept, [("content-encoding".into(), "gzip".into()), ("x-amz-meta-a".into(), "b".into())]);
    }
}

//! Why Object Storage refuses, in S3's codes, and how a refusal looks on the wire.

use std::borrow::Cow;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use s3s::{S3Error, S3ErrorCode};

use crate::kernel::{BlobError, JournalError};

/// The largest refusal that is rendered anew; s3s writes a few hundred bytes.
const LARGEST: usize = 64 * 1024;

/// A refusal with S3's code and a message.
pub(super) fn refuse(code: S3ErrorCode, message: impl Into<Cow<'static, str>>) -> S3Error {
    S3Error::with_message(code, message)
}

/// A refusal with S3's code and its usual message.
pub(super) fn usual(code: S3ErrorCode) -> S3Error {
    S3Error::new(code)
}

/// A refusal with a code that s3s does not know, which is always the client's fault.
pub(super) fn unlisted(code: &'static str, message: impl Into<Cow<'static, str>>) -> S3Error {
    let mut refusal = refuse(S3ErrorCode::Custom(code.into()), message);
    refusal.set_status_code(StatusCode::BAD_REQUEST);
    refusal
}

/// The body is not the one that was signed.
pub(super) fn another_body() -> S3Error {
    unlisted("XAmzContentSHA256Mismatch", message("XAmzContentSHA256Mismatch"))
}

/// There is no such bucket, or not in this region.
pub(super) fn no_such_bucket() -> S3Error {
    usual(S3ErrorCode::NoSuchBucket)
}

/// The caller may not.
pub(super) fn access_denied() -> S3Error {
    usual(S3ErrorCode::AccessDenied)
}

/// An argument is wrong.
pub(super) fn invalid_argument(message: impl Into<Cow<'static, str>>) -> S3Error {
    refuse(S3ErrorCode::InvalidArgument, message)
}

/// The request as a whole makes no sense.
pub(super) fn invalid_request(message: impl Into<Cow<'static, str>>) -> S3Error {
    refuse(S3ErrorCode::InvalidRequest, message)
}

/// A condition of the request does not hold.
pub(super) fn precondition_failed() -> S3Error {
    usual(S3ErrorCode::PreconditionFailed)
}

/// Real S3 has it, the local cloud does not.
pub(super) fn not_implemented(message: impl Into<Cow<'static, str>>) -> S3Error {
    refuse(S3ErrorCode::NotImplemented, message)
}

impl From<JournalError> for S3Error {
    fn from(error: JournalError) -> Self {
        tracing::error!(%error, "a change of Object Storage was not kept");
        Self::internal_error(error)
    }
}

impl From<BlobError> for S3Error {
    fn from(error: BlobError) -> Self {
        tracing::error!(%error, "the contents of an object cannot be kept or found");
        Self::internal_error(error)
    }
}

/// What stands in `<Message>` when nobody said anything better.
pub(super) fn message(code: &str) -> &'static str {
    match code {
        "AccessDenied" => "Access Denied",
        "BadDigest" => "The Content-MD5 you specified did not match what we received.",
        "BucketAlreadyExists" => {
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Select a different name and try again."
        }
        "BucketAlreadyOwnedByYou" => {
            "Your previous request to create the named bucket succeeded and you already own it."
        }
        "BucketNotEmpty" => "The bucket you tried to delete is not empty",
        "EntityTooLarge" => "Your proposed upload exceeds the maximum allowed size",
        "EntityTooSmall" => "Your proposed upload is smaller than the minimum allowed size",
        "IncompleteBody" => "You did not provide the number of bytes specified by the Content-Length HTTP header",
        "InternalError" => "We encountered an internal error. Please try again.",
        "InvalidAccessKeyId" => "The AWS Access Key Id you provided does not exist in our records.",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidDigest" => "The Content-MD5 you specified is not valid.",
        "InvalidPart" => {
            "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
        }
        "InvalidPartOrder" => "The list of parts was not in ascending order. Parts must be ordered by part number.",
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against our published schema",
        "MaxMessageLengthExceeded" => "Your request was too big.",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MissingRequestBodyError" => "Request Body is empty",
        "NoSuchBucket" => "The specified bucket does not exist",
        "NoSuchBucketPolicy" => "The bucket policy does not exist",
        "NoSuchCORSConfiguration" => "The CORS configuration does not exist",
        "NoSuchKey" => "The specified key does not exist.",
        "NoSuchLifecycleConfiguration" => "The lifecycle configuration does not exist",
        "NoSuchTagSet" => "The TagSet does not exist",
        "NoSuchUpload" => {
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
        }
        "NoSuchVersion" => "The specified version does not exist.",
        "NoSuchWebsiteConfiguration" => "The specified bucket does not have a website configuration",
        "NotImplemented" => "The local cloud does not implement this.",
        "ObjectLockConfigurationNotFoundError" => "Object Lock configuration does not exist for this bucket",
        "PreconditionFailed" => "At least one of the pre-conditions you specified did not hold",
        "RequestTimeTooSkewed" => "The difference between the request time and the current time is too large.",
        "ServerSideEncryptionConfigurationNotFoundError" => "The server side encryption configuration was not found",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        }
        "XAmzContentSHA256Mismatch" => "The provided 'x-amz-content-sha256' header does not match what was computed.",
        _ => "The request was refused.",
    }
}

/// A refusal before s3s sees the request.
pub(super) fn plain(error: &S3Error, resource: &str, request_id: &str, bodiless: bool) -> Response<Body> {
    let status = error.status_code().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = error.message().unwrap_or_else(|| message(error.code().as_str())).to_owned();
    let headers = error.headers().cloned().unwrap_or_default();
    document(status, headers, &escape(error.code().as_str()), &escape(&text), resource, request_id, bodiless)
}

/// A refusal of s3s, completed: message, request, host and resource are always there.
pub(super) async fn complete(
    response: Response<Body>,
    resource: &str,
    request_id: &str,
    bodiless: bool,
) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    if parts.status == StatusCode::NOT_MODIFIED {
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    let xml = match http_body_util::Limited::new(body, LARGEST).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    let code = between(&xml, "<Code>", "</Code>").unwrap_or("InternalError");
    let text = between(&xml, "<Message>", "</Message>").unwrap_or_else(|| message(code));
    document(parts.status, parts.headers, code, text, resource, request_id, bodiless)
}

fn document(
    status: StatusCode,
    mut headers: HeaderMap,
    code: &str,
    text: &str,
    resource: &str,
    request_id: &str,
    bodiless: bool,
) -> Response<Body> {
    let resource = escape(resource);
    // Recorded of these two, and of no other.
    let bucket = match code {
        "NoSuchLifecycleConfiguration" | "NoSuchTagSet" => {
            let name = resource.trim_start_matches('/').split('/').next().unwrap_or_default();
            format!("<BucketName>{name}</BucketName>")
        }
        _ => String::new(),
    };
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{text}</Message><RequestId>{request_id}</RequestId><HostId>{request_id}</HostId><Resource>{resource}</Resource>{bucket}</Error>"
    );
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    let mut response = Response::new(if bodiless { Body::empty() } else { Body::from(xml) });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let from = text.find(begin)? + begin.len();
    let to = text[from..].find(end)? + from;
    Some(&text[from..to])
}

/// Text as XML's character data; what XML cannot carry at all becomes a question mark.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' | '\n' | '\r' => escaped.push(letter),
            control if control < ' ' || matches!(control, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}

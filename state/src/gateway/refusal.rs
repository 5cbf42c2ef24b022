//! What the gateway answers itself, as S3 says it.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};

use super::server::Answer;

/// Why a request does not reach the bucket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "stackproof: the lease of this run is lost, nothing is written any more; see who holds it with `stackproof lock status`"
    )]
    LeaseLost,
    #[error(
        "stackproof: somebody else changed {0} during this run, which may not write any more; look at it with `stackproof state history`, then start again"
    )]
    Superseded(String),
    #[error("stackproof: this run holds the lease of {held} only, {key} is not part of it")]
    OutsideStack { held: String, key: String },
    #[error("stackproof: this run's backend is {0} and nothing else")]
    OutsideBucket(String),
    #[error("stackproof: {0} is not something that Pulumi does with its state, so it is not passed on")]
    NotForwarded(String),
    #[error("stackproof: the request is not signed by this run: {0}")]
    NotSigned(String),
    #[error("stackproof: the content is not what was announced: {0}")]
    Damaged(String),
    #[error("stackproof: more than {0} MiB in one request are not taken; larger objects come in parts")]
    TooLarge(usize),
    #[error("stackproof: {0}")]
    Unreachable(String),
    #[error("stackproof: the request was not understood: {0}")]
    NotUnderstood(String),
}

impl Refusal {
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::LeaseLost | Self::Superseded(_) | Self::OutsideStack { .. } | Self::OutsideBucket(_) => {
                (StatusCode::FORBIDDEN, "AccessDenied")
            }
            Self::NotForwarded(_) => (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Self::NotSigned(_) => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
            Self::Damaged(_) => (StatusCode::BAD_REQUEST, "BadDigest"),
            Self::TooLarge(_) => (StatusCode::BAD_REQUEST, "EntityTooLarge"),
            Self::Unreachable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Self::NotUnderstood(_) => (StatusCode::BAD_REQUEST, "InvalidRequest"),
        }
    }

    /// A short name for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::LeaseLost => "lease lost",
            Self::Superseded(_) => "superseded",
            Self::OutsideStack { .. } => "outside of the stack",
            Self::OutsideBucket(_) => "outside of the bucket",
            Self::NotForwarded(_) => "not forwarded",
            Self::NotSigned(_) => "not signed",
            Self::Damaged(_) => "damaged",
            Self::TooLarge(_) => "too large",
            Self::Unreachable(_) => "bucket unreachable",
            Self::NotUnderstood(_) => "not understood",
        }
    }

    /// As an answer.
    pub(super) fn answer(&self) -> Answer {
        let (status, code) = self.kind();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message></Error>",
            escaped(&self.to_string())
        );
        document(status, body)
    }
}

/// An XML document as an answer.
pub(super) fn document(status: StatusCode, body: String) -> Answer {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    response
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // XML has no way to write them.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_is_a_document_that_s3_clients_read() {
        let refusal = Refusal::OutsideStack { held: "organization/shop/dev".into(), key: "a<b>&\u{1}".into() };
        let answer = refusal.answer();
        assert_eq!(answer.status(), 403);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let document = crate::bucket::parse(std::str::from_utf8(&body).unwrap())
            .unwrap()
            .root_element()
            .first_child()
            .unwrap()
            .text()
            .map(str::to_owned);
        assert_eq!(document.as_deref(), Some("AccessDenied"));
    }
}

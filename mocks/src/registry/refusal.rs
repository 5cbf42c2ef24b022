//! Why a request is refused, in the words of the specification.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use oci_spec::distribution::{ErrorCode, ErrorInfoBuilder, ErrorResponseBuilder};

use crate::kernel::{BlobError, JournalError};

/// A refusal.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    /// None: the local cloud itself failed, for which the specification has no code.
    code: Option<ErrorCode>,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

pub(super) type Answered<T> = Result<T, Refused>;

/// A refusal with this status, code and message.
pub(super) fn refuse(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Refused {
    Refused { status, code: Some(code), message: message.into(), headers: Vec::new() }
}

/// What was asked for is not there.
pub(super) fn unknown(code: ErrorCode, message: impl Into<String>) -> Refused {
    refuse(StatusCode::NOT_FOUND, code, message)
}

/// What was sent is wrong.
pub(super) fn invalid(code: ErrorCode, message: impl Into<String>) -> Refused {
    refuse(StatusCode::BAD_REQUEST, code, message)
}

impl Refused {
    /// The same with another header.
    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The refusal as an answer.
    pub(super) fn render(self) -> Response<Body> {
        let body = self.code.and_then(|code| {
            let info = ErrorInfoBuilder::default().code(code).message(self.message.as_str()).build().ok()?;
            let response = ErrorResponseBuilder::default().errors(vec![info]).build().ok()?;
            serde_json::to_vec(&response).ok()
        });
        let mut response = Response::new(Body::from(body.unwrap_or_default()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// The local cloud itself failed.
    pub(super) fn failed(why: &dyn std::fmt::Display) -> Self {
        tracing::error!(%why, "the registry failed");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: None, message: String::new(), headers: Vec::new() }
    }
}

impl From<JournalError> for Refused {
    fn from(error: JournalError) -> Self {
        Self::failed(&error)
    }
}

impl From<BlobError> for Refused {
    fn from(error: BlobError) -> Self {
        Self::failed(&error)
    }
}

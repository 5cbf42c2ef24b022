//! Refusals as Scaleway's JSON writes them.
//!
//! The official SDKs dispatch on `type` (Go SDK, `scw/errors.go`), then on the status.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::kernel::Refusal;

/// The answer that tells a client of a refusal.
pub fn render(refusal: &Refusal) -> Response<Body> {
    let (status, body) = describe(refusal);
    let mut response = respond(status, serde_json::to_vec(&body).unwrap_or_default());
    if let Refusal::TooManyRequests(seconds) = refusal {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    response
}

fn describe(refusal: &Refusal) -> (StatusCode, Value) {
    match refusal {
        Refusal::NotFound { resource, id } => (
            StatusCode::NOT_FOUND,
            json!({"message": "resource is not found", "resource": resource, "resource_id": id, "type": "not_found"}),
        ),
        Refusal::InvalidArguments(faults) => {
            let details: Vec<Value> = faults
                .iter()
                .map(|fault| json!({"argument_name": fault.argument, "help_message": fault.help, "reason": fault.reason.as_str()}))
                .collect();
            (
                StatusCode::BAD_REQUEST,
                json!({"details": details, "message": "invalid argument(s)", "type": "invalid_arguments"}),
            )
        }
        Refusal::MalformedBody(why) => (
            StatusCode::BAD_REQUEST,
            json!({"message": format!("malformed request body: {why}"), "type": "invalid_request_error", "fields": {}}),
        ),
        Refusal::BodyTooLarge(limit) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            json!({"message": format!("request body is larger than {limit} bytes"), "type": "invalid_request_error", "fields": {}}),
        ),
        Refusal::PermissionsDenied { resource, action } => {
            let detail = json!({"action": action, "resource": resource});
            let details = if resource.is_empty() { json!([]) } else { json!([detail]) };
            (
                StatusCode::FORBIDDEN,
                json!({"details": details, "message": "insufficient permissions", "type": "permissions_denied"}),
            )
        }
        Refusal::Forbidden(what) => (StatusCode::FORBIDDEN, json!({"message": what})),
        Refusal::DeniedAuthentication { reason } => (
            StatusCode::UNAUTHORIZED,
            json!({"message": "authentication is denied", "method": "api_key", "reason": reason, "type": "denied_authentication"}),
        ),
        Refusal::QuotaExceeded { resource, quota, current } => (
            StatusCode::FORBIDDEN,
            json!({"details": [{"resource": resource, "quota": quota, "current": current, "scope": "project"}], "message": "quota(s) exceeded for this resource", "type": "quotas_exceeded"}),
        ),
        Refusal::TransientState { resource, id, state } => (
            StatusCode::CONFLICT,
            json!({"current_state": state, "message": "resource is in a transient state", "resource": resource, "resource_id": id, "type": "transient_state"}),
        ),
        Refusal::Precondition { precondition, help } => (
            StatusCode::PRECONDITION_FAILED,
            json!({"help_message": help, "message": "precondition is not respected", "precondition": precondition, "type": "precondition_failed"}),
        ),
        Refusal::Conflict(what) => (StatusCode::CONFLICT, json!({"message": what, "type": "conflict"})),
        Refusal::TooManyRequests(_) => {
            (StatusCode::TOO_MANY_REQUESTS, json!({"message": "too many requests", "type": "too_many_requests"}))
        }
        Refusal::NotImplemented { route } => (
            StatusCode::NOT_IMPLEMENTED,
            json!({"message": format!("the local cloud has no route {route}"), "route": route, "type": "not_implemented"}),
        ),
        Refusal::Internal(why) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            json!({"message": format!("internal error: {why}"), "type": "internal_error"}),
        ),
    }
}

/// An answer as Scaleway's gateway sends it: JSON even where there is no body.
pub(super) fn respond(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::SERVER, HeaderValue::from_static("Scaleway API Gateway (stackproof)"));
    // Nobody has to be kept from guessing it, so the kernel need not be asked for each.
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())) {
        headers.insert("x-request-id", id);
    }
    response
}

//! What the audit log is told of a request.

use http::{HeaderMap, Response, header};

use crate::kernel::{Answer, Asked, AuditEntry, Call, Cause, Cloud, Observation, Resource, Route, remembered};

/// The longest name of a program that is remembered, in characters.
const AGENT_KEPT: usize = 256;

/// The entry of a request; its answer's head is still to come.
pub(super) fn entry(
    cloud: &Cloud,
    observed: &Observation,
    resource: &Resource,
    route: &Route,
    call: &Call,
    headers: &HeaderMap,
    answer: Option<&Answer>,
) -> AuditEntry {
    let (project_id, about) = cloud.concerned(observed, resource, call, answer);
    // What the path names is a part of the request; of the place, the locality tells (recorded).
    let mut body = remembered(resource, &call.body);
    let named = call.params.iter().filter(|(name, _)| name != "region" && name != "zone");
    body.extend(named.map(|(name, value)| (name.clone(), value.clone().into())));
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    AuditEntry {
        number: 0,
        at: cloud.store().clock().now(),
        organization_id: call.caller.organization_id.clone(),
        project_id,
        locality: call.param("region").or(call.param("zone")).unwrap_or_default().to_owned(),
        kind: cloud.catalogue().stored(resource).kind,
        cause: Cause::Request(Asked {
            principal_id: call.caller.principal.1.clone(),
            user_agent: agent.map(|agent| agent.chars().take(AGENT_KEPT).collect()),
            request_id: String::new(),
            route: *route,
            body,
            status: 0,
        }),
        about,
    }
}

/// The entry with how its request was answered.
pub(super) fn answered<B>(mut entry: AuditEntry, response: &Response<B>) -> AuditEntry {
    if let Cause::Request(asked) = &mut entry.cause {
        asked.status = response.status().as_u16();
        let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        asked.request_id = id.unwrap_or_default().to_owned();
    }
    entry
}

//! HTTP and Scaleway's JSON: who asks, for which route, what the answer looks like.
//!
//! It knows no product: routes come from the catalogue, behaviour from the kernel.

mod audit;
mod auth;
mod error;
mod router;

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

pub use auth::{SECRET_KIND, secret_key_digest};
pub(crate) use auth::{caller, caller_of, has_expired, origin};
pub use error::render;

use crate::control::Traffic;
use crate::kernel::{Answer, AuditEntry, Call, Cloud, Operation, Reason, Refusal, Resource, Route};
use router::{Matched, Router};

/// The largest body the API takes, in bytes.
pub const BODY_LIMIT: usize = 2 << 20;

/// The regions there are.
pub const REGIONS: [&str; 4] = ["fr-par", "nl-ams", "pl-waw", "it-mil"];

/// The zones there are.
pub const ZONES: [&str; 10] = [
    "fr-par-1", "fr-par-2", "fr-par-3", "nl-ams-1", "nl-ams-2", "nl-ams-3", "pl-waw-1", "pl-waw-2", "pl-waw-3",
    "it-mil-1",
];

/// Scaleway's JSON API over a cloud.
pub struct Api {
    cloud: Arc<Cloud>,
    router: Router,
}

/// What else is to be known of an answer than the client sees.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The route's path with its parameters' names; empty when there is none.
    pub route: &'static str,
    /// The resource's kind; empty when there is none.
    pub kind: &'static str,
    /// The answer tells of a state that the client has to ask for again.
    pub not_ready: bool,
    /// There is no such route in the local cloud.
    pub unknown_route: bool,
}

impl Api {
    /// The API of this cloud.
    ///
    /// # Errors
    /// Two routes that cannot be told apart.
    pub fn new(cloud: Arc<Cloud>) -> Result<Self, String> {
        let router = Router::new(cloud.catalogue())?;
        Ok(Self { cloud, router })
    }

    /// Answers a request; the [`Outcome`] is in the answer's extensions.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let mut outcome = Outcome::default();
        let mut entry = None;
        let mut response = match self.answer(request, &mut outcome, &mut entry).await {
            Ok(Answer::Ok(body)) => error::respond(StatusCode::OK, serde_json::to_vec(&body).unwrap_or_default()),
            Ok(Answer::Kept(record)) => {
                error::respond(StatusCode::OK, serde_json::to_vec(&record.body).unwrap_or_default())
            }
            Ok(Answer::NoContent) => error::respond(StatusCode::NO_CONTENT, Vec::new()),
            Err(refusal) => {
                if let Refusal::Internal(why) = &refusal {
                    tracing::error!(why, "the local cloud failed");
                }
                error::render(&refusal)
            }
        };
        if let Some(entry) = entry {
            self.cloud.audit().add(audit::answered(entry, &response));
        }
        response.extensions_mut().insert(outcome);
        response
    }

    async fn answer(
        &self,
        request: Request<Body>,
        outcome: &mut Outcome,
        entry: &mut Option<AuditEntry>,
    ) -> Result<Answer, Refusal> {
        let (head, body) = request.into_parts();
        let Some(matched) = self.router.find(self.cloud.catalogue(), &head.method, head.uri.path())? else {
            outcome.unknown_route = true;
            return Err(Refusal::NotImplemented { route: format!("{} {}", head.method, head.uri.path()) });
        };
        outcome.route = matched.route.path;
        outcome.kind = self.cloud.catalogue().stored(matched.resource).kind;
        let caller = auth::authenticate(self.cloud.store(), &head.headers, &head.extensions)?;
        check_locality(&matched)?;
        let body = read_body(&head.method, &head.headers, body).await?;
        let query = form_pairs(head.uri.query().unwrap_or_default());
        let mut call = Call { caller, params: matched.params, query, body, prepared: Value::Null, view: None };
        let (resource, route) = (matched.resource, &matched.route);
        let traffic = head.extensions.get::<Arc<Traffic>>();
        let observed = self.cloud.observe(resource, route, &call);
        let answer = self.carry_out(resource, route, &mut call, traffic).await;
        if let Some(observed) = observed {
            *entry =
                Some(audit::entry(&self.cloud, &observed, resource, route, &call, &head.headers, answer.as_ref().ok()));
        }
        let answer = answer?;
        if let (Operation::Get, Some(body)) = (matched.route.operation, answer.body()) {
            outcome.not_ready = self.cloud.catalogue().is_transient(matched.resource, body);
        }
        Ok(answer)
    }

    async fn carry_out(
        &self,
        resource: &Resource,
        route: &Route,
        call: &mut Call,
        traffic: Option<&Arc<Traffic>>,
    ) -> Result<Answer, Refusal> {
        if let Some(work) = self.cloud.prepare(resource, route, call)? {
            let done = tokio::task::spawn_blocking(work).await;
            call.prepared = done.map_err(|error| Refusal::Internal(error.to_string()))??;
        }
        let answer = self.cloud.answer(resource, route, call)?;
        let _waits = traffic.map(Traffic::wait);
        Ok(self.cloud.awaited(resource, route, call, answer).await)
    }
}

fn check_locality(matched: &Matched<'_>) -> Result<(), Refusal> {
    for (name, value) in &matched.params {
        let known: &[&str] = match name.as_str() {
            "region" => &REGIONS,
            "zone" => &ZONES,
            _ => continue,
        };
        if !known.contains(&value.as_str()) {
            return Err(Refusal::argument(name, Reason::Constraint, format!("must be one of {}", known.join(", "))));
        }
    }
    Ok(())
}

/// The JSON object of a body. An empty body is an empty object.
async fn read_body(method: &Method, headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Refusal> {
    if method == Method::GET {
        return Ok(Map::new());
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT) {
        return Err(Refusal::BodyTooLarge(BODY_LIMIT));
    }
    let bytes = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(Refusal::BodyTooLarge(BODY_LIMIT));
        }
        Err(error) => {
            return Err(Refusal::MalformedBody(format!("the body ended early: {error}")));
        }
    };
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(Refusal::MalformedBody("the body must be a JSON object".into())),
        Err(error) => Err(Refusal::MalformedBody(error.to_string())),
    }
}

fn form_pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

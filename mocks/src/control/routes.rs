//! The control API's routes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Fault;
use crate::{front::Front, kernel::rfc3339, planes::Planes};

/// How long the clock's advance waits for what is due by then.
const PATIENCE: Duration = Duration::from_secs(8);

/// The control API of a cloud. `ready` is what `GET /status` tells: addresses and environment.
pub fn router(front: Arc<Front>, planes: Option<Arc<Planes>>, ready: Value) -> Router {
    let behind = super::behind::routes(planes.clone());
    let advancing = post(move |front: State<Arc<Front>>, by: Json<Advance>| advance(front, planes.clone(), by));
    Router::new()
        .route("/status", get(move || async move { Json(ready) }))
        .route("/traffic", get(traffic).delete(reset_traffic))
        .route("/requests", get(requests))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/clock", get(clock))
        .route("/clock/advance", advancing)
        .route("/events", get(events))
        .route("/resources", get(resources))
        .route("/iam", get(iam).delete(forget_iam))
        .route("/iam/denials", get(denials))
        .route("/fork", post(fork))
        .with_state(front)
        .merge(behind)
}

async fn traffic(State(front): State<Arc<Front>>) -> Json<super::Totals> {
    Json(front.traffic().totals())
}

async fn reset_traffic(State(front): State<Arc<Front>>) -> StatusCode {
    front.traffic().reset();
    StatusCode::NO_CONTENT
}

async fn requests(State(front): State<Arc<Front>>) -> impl IntoResponse {
    Json(front.traffic().log())
}

async fn faults(State(front): State<Arc<Front>>) -> Json<Vec<super::FaultReport>> {
    Json(front.faults().report())
}

async fn add_fault(State(front): State<Arc<Front>>, Json(fault): Json<Fault>) -> Json<Value> {
    Json(json!({"id": front.faults().add(fault)}))
}

async fn clear_faults(State(front): State<Arc<Front>>) -> StatusCode {
    front.faults().clear();
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(front): State<Arc<Front>>, Path(id): Path<u64>) -> StatusCode {
    if front.faults().remove(id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn clock(State(front): State<Arc<Front>>) -> Json<Value> {
    Json(json!({"now": rfc3339(front.cloud().store().clock().now())}))
}

#[derive(Deserialize)]
struct Advance {
    /// Seconds of the cloud's time.
    seconds: u64,
}

/// Answers when what is due by then has happened, or when that takes longer than who asks will wait.
async fn advance(State(front): State<Arc<Front>>, planes: Option<Arc<Planes>>, Json(by): Json<Advance>) -> Response {
    front.cloud().store().clock().advance(Duration::from_secs(by.seconds));
    if let Err(refusal) = front.cloud().settle() {
        return failed(&refusal);
    }
    if let Some(planes) = planes
        && tokio::time::timeout(PATIENCE, planes.caught_up()).await.is_err()
    {
        tracing::warn!("containers are still at what the clock called them for; the answer does not wait longer");
    }
    clock(State(front)).await.into_response()
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn events(State(front): State<Arc<Front>>, Query(since): Query<Since>) -> impl IntoResponse {
    Json(front.cloud().store().events_since(since.since))
}

/// How many there are of each kind, for a look at what is left.
async fn resources(State(front): State<Arc<Front>>) -> Json<Value> {
    let counts = front.cloud().store().read(|tables| {
        let kinds = front.cloud().catalogue().resources().filter(|kind| !kind.is_view());
        kinds.map(|kind| (kind.kind.to_owned(), json!(tables.all(kind.kind).count()))).collect()
    });
    Json(Value::Object(counts))
}

/// What everybody called, and how much each permission set allows.
async fn iam(State(front): State<Arc<Front>>) -> Json<super::Permissions> {
    Json(super::Permissions::of(front.cloud()))
}

async fn forget_iam(State(front): State<Arc<Front>>) -> StatusCode {
    front.cloud().guard().forget();
    StatusCode::NO_CONTENT
}

async fn denials(State(front): State<Arc<Front>>) -> impl IntoResponse {
    Json(front.cloud().guard().denials())
}

#[derive(Deserialize)]
struct Fork {
    /// The state directory to write; it must not be in use.
    folder: PathBuf,
}

async fn fork(State(front): State<Arc<Front>>, Json(fork): Json<Fork>) -> Response {
    match front.fork(&fork.folder) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"message": error.to_string()}))).into_response()
}

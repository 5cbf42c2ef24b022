//! The control API of what runs behind the API.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::planes::Planes;

type Behind = Option<Arc<Planes>>;

pub(super) fn routes(planes: Behind) -> Router {
    Router::new()
        .route("/planes", get(tell))
        .route("/planes/tunnels", post(tunnel))
        .route("/planes/probes", post(probe))
        .route("/planes/databases/{id}/kill", post(kill))
        .route("/planes/{id}/logs", get(logs))
        .with_state(planes)
}

/// What runs and how, what cannot, and whether isolation can be proven.
async fn tell(State(planes): State<Behind>) -> Json<Value> {
    Json(match &planes {
        Some(planes) => json!({
            "runs": true,
            "driver": planes.driver().name(),
            "missing": planes.missing(),
            "isolation": planes.isolation(),
        }),
        None => json!({"runs": false, "driver": null, "missing": [], "isolation": null}),
    })
}

#[derive(Deserialize)]
struct Way {
    /// The identifier of the private network it begins in; none: in none.
    network: Option<String>,
    /// Where it leads.
    to: SocketAddr,
}

async fn tunnel(State(planes): State<Behind>, Json(way): Json<Way>) -> Response {
    let Some(planes) = planes else { return nothing_runs() };
    let network = way.network.unwrap_or_default();
    answer(planes.tunnel(&network, way.to).await.map(|listens| json!({"listens": listens})))
}

async fn probe(State(planes): State<Behind>, Json(way): Json<Way>) -> Response {
    let Some(planes) = planes else { return nothing_runs() };
    answer(planes.probe(way.network.as_deref(), way.to).await.map(|probe| json!(probe)))
}

async fn kill(State(planes): State<Behind>, Path(id): Path<String>) -> Response {
    let Some(planes) = planes else { return nothing_runs() };
    answer(planes.kill(&id).map(|process| json!({"process": process})))
}

async fn logs(State(planes): State<Behind>, Path(id): Path<String>) -> Response {
    let Some(planes) = planes else { return nothing_runs() };
    match planes.logs(&id) {
        Some(logs) => logs.into_response(),
        None => refuse(StatusCode::NOT_FOUND, &format!("nothing runs for {id}")),
    }
}

fn answer(done: Result<Value, String>) -> Response {
    match done {
        Ok(told) => Json(told).into_response(),
        Err(why) => refuse(StatusCode::CONFLICT, &why),
    }
}

fn nothing_runs() -> Response {
    refuse(StatusCode::NOT_FOUND, "nothing runs behind this local cloud")
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"message": message}))).into_response()
}

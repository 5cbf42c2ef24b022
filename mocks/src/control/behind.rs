//! The control API of what runs behind the API.

use std::{convert::Infallible, net::SocketAddr, os::fd::OwnedFd, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::{StreamExt, stream};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{Interest, unix::AsyncFd};

use crate::planes::{Entrance, Planes};

type Behind = Option<Arc<Planes>>;

pub(super) fn routes(planes: Behind) -> Router {
    Router::new()
        .route("/planes", get(tell))
        .route("/planes/endpoints", get(endpoints))
        .route("/planes/tunnels", post(tunnel))
        .route("/planes/probes", post(probe))
        .route("/planes/entrances", post(enter))
        .route("/planes/containers/{id}", get(container))
        .route("/planes/databases/{id}/kill", post(kill))
        .route("/planes/{id}/logs", get(logs))
        .route("/planes/{id}/metrics", get(metrics))
        .with_state(planes)
}

/// What runs and how, what cannot, what is in trouble, and whether isolation can be proven.
async fn tell(State(planes): State<Behind>) -> Json<Value> {
    Json(match &planes {
        Some(planes) => json!({
            "runs": true,
            "driver": planes.driver().name(),
            "missing": planes.missing(),
            "troubles": planes.troubles(),
            "isolation": planes.isolation(),
        }),
        None => json!({"runs": false, "driver": null, "missing": [], "troubles": [], "isolation": null}),
    })
}

/// Where on this machine the cloud's hosts answer that speak another protocol than HTTP: host, port, address.
async fn endpoints(State(planes): State<Behind>) -> Json<Value> {
    Json(json!(planes.map(|planes| planes.endpoints()).unwrap_or_default()))
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

#[derive(Deserialize)]
struct Enter {
    /// The name or identifier of the private network to be in, too.
    network: Option<String>,
    /// Who asks: the entrance is there at least as long as this process is.
    process: u32,
}

/// Opens an entrance, tells of it in one line, and then nothing more: it is there until whoever asked has closed the
/// connection (or all who inherited it have), and its process has ended.
async fn enter(State(planes): State<Behind>, Json(asked): Json<Enter>) -> Response {
    let Some(planes) = planes else { return nothing_runs() };
    // Opened while who asks is there: later the number may be someone else's. Not every kernel has it; then the
    // connection alone counts.
    let process = i32::try_from(asked.process).ok().and_then(Pid::from_raw);
    let process = process.and_then(|process| pidfd_open(process, PidfdFlags::empty()).ok());
    // A task: who asks may leave before it is there, and then it has to go all the same.
    let opening = tokio::spawn(async move { planes.enter(asked.network.as_deref()).await });
    let entrance = match opening.await {
        Ok(Ok(entrance)) => entrance,
        Ok(Err(why)) => return refuse(StatusCode::CONFLICT, &why),
        Err(error) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let told = json!({"namespace": entrance.namespace(), "nameserver": entrance.nameserver()});
    let held = Held { entrance: Some(entrance), process };
    let line = Bytes::from(format!("{told}\n"));
    let stays = stream::pending::<Result<Bytes, Infallible>>().inspect(move |_| {
        let _until_the_connection_ends = &held;
    });
    Body::from_stream(stream::iter([Ok(line)]).chain(stays)).into_response()
}

/// An entrance while the connection that it was asked on is open.
struct Held {
    entrance: Option<Entrance>,
    process: Option<OwnedFd>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Where the cloud itself ends, so does the entrance.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (entrance, process) = (self.entrance.take(), self.process.take());
        runtime.spawn(async move {
            if let Some(process) = process {
                ended(process).await;
            }
            drop(entrance);
        });
    }
}

/// Waits until a process has ended.
async fn ended(process: OwnedFd) {
    #[expect(deprecated, reason = "deprecated for what may close under it; an OwnedFd stays open while it is held")]
    let watched = AsyncFd::with_interest(process, Interest::READABLE);
    match watched {
        Ok(process) => drop(process.readable().await),
        Err(error) => tracing::warn!(%error, "the end of a command cannot be waited for"),
    }
}

async fn kill(State(planes): State<Behind>, Path(id): Path<String>) -> Response {
    let Some(planes) = planes else { return nothing_runs() };
    answer(planes.kill(&id).map(|process| json!({"process": process})))
}

async fn container(State(planes): State<Behind>, Path(id): Path<String>) -> Response {
    let Some(planes) = planes else { return nothing_runs() };
    match planes.container(&id) {
        Some(status) => Json(status).into_response(),
        None => refuse(StatusCode::NOT_FOUND, &format!("no container runs for {id}")),
    }
}

async fn logs(State(planes): State<Behind>, Path(id): Path<String>) -> Response {
    let Some(planes) = planes else { return nothing_runs() };
    match planes.logs(&id) {
        Some(logs) => logs.into_response(),
        None => refuse(StatusCode::NOT_FOUND, &format!("nothing runs for {id}")),
    }
}

async fn metrics(State(planes): State<Behind>, Path(id): Path<String>) -> Response {
    let Some(planes) = planes else { return nothing_runs() };
    match planes.metrics(&id) {
        Some(metrics) => Json(metrics).into_response(),
        None => refuse(StatusCode::NOT_FOUND, &format!("nothing runs for {id} that is measured")),
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

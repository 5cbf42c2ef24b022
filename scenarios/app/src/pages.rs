//! What it answers.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{MatchedPath, Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Application,
    database::{LONGEST, Unavailable},
};

type Shared = State<Arc<Application>>;

/// Every route.
pub(crate) fn router(application: Arc<Application>) -> Router {
    Router::new()
        .route("/", get(front))
        .route("/health", get(health))
        .route("/notes", get(notes).post(write))
        .route("/database", get(connection))
        .route("/assets/{*key}", get(asset))
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn_with_state(Arc::clone(&application), observe))
        .with_state(application)
}

/// Counts and logs every request.
async fn observe(State(application): Shared, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let (method, begun) = (request.method().to_string(), Instant::now());
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), begun.elapsed());
    application.metrics.answered(&route, status, took);
    tracing::info!(method, route, status, milliseconds = took.as_secs_f64() * 1000.0, "answered");
    response
}

/// It is alive as long as it answers: that the database does not is no reason to be restarted.
async fn health(State(application): Shared) -> Json<serde_json::Value> {
    let database = application.database.connection().await;
    application.metrics.database_up.set(i64::from(database.is_ok()));
    let told = if database.is_ok() { "available" } else { "unavailable" };
    Json(json!({"status": "ok", "database": told}))
}

async fn front(State(application): Shared) -> Response {
    match application.database.read().await {
        Ok(notes) => Html(format!("<!doctype html><title>Notes</title><p>{} notes.</p>", notes.len())).into_response(),
        Err(error) => {
            tracing::error!(%error, "the front page is answered without notes");
            let page = "<!doctype html><title>Notes</title><p>Notes cannot be read just now. Nothing is lost; \
                please try again in a minute.</p>";
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], Html(page)).into_response()
        }
    }
}

async fn notes(State(application): Shared) -> Result<Response, Unavailable> {
    Ok(Json(application.database.read().await?).into_response())
}

/// A note to be kept.
#[derive(Deserialize)]
struct New {
    text: String,
}

async fn write(State(application): Shared, Json(new): Json<New>) -> Result<Response, Unavailable> {
    if new.text.is_empty() || new.text.chars().count() > LONGEST || new.text.contains('\0') {
        let error = format!("text must have 1 to {LONGEST} characters, none of them NUL");
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": error}))).into_response());
    }
    Ok((StatusCode::CREATED, Json(application.database.write(&new.text).await?)).into_response())
}

async fn connection(State(application): Shared) -> Result<Response, Unavailable> {
    Ok(Json(application.database.connection().await?).into_response())
}

async fn asset(State(application): Shared, Path(key): Path<String>) -> Response {
    let address = application.assets.address(&key).to_string();
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, address), (header::CACHE_CONTROL, "no-store".into())])
        .into_response()
}

async fn metrics(State(application): Shared) -> Response {
    match application.metrics.told() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        tracing::error!(error = %self, "answered without the database");
        let body = Json(json!({"error": "the database is unavailable; nothing is lost, try again"}));
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], body).into_response()
    }
}

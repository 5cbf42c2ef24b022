//! The sample application: what a team would run in the stack's container.
//!
//! It keeps notes in the managed database, over TLS whose certificate it verifies, hands out assets of the
//! bucket by addresses signed beforehand, tells its metrics in Prometheus' format, and logs JSON lines. Everything
//! it needs to know stands in its environment (`infra/stackproof_infra/environment.py`).

mod assets;
mod database;
mod metrics;
mod pages;
mod settings;

use std::{net::Ipv6Addr, process::ExitCode, sync::Arc};

use tokio::{net::TcpListener, signal::unix};
use tracing_subscriber::EnvFilter;

use crate::{assets::Assets, database::Database, metrics::Metrics, settings::Settings};

/// What every request may need.
struct Application {
    database: Database,
    assets: Assets,
    metrics: Metrics,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the application cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let application = Application {
        database: Database::new(&settings)?,
        assets: Assets::new(&settings)?,
        metrics: Metrics::default(),
    };
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, settings.port));
    let listener = listener.await.map_err(|error| format!("port {} cannot be listened on: {error}", settings.port))?;
    tracing::info!(port = settings.port, "listening");
    let told = async |kind| match unix::signal(kind) {
        Ok(mut signal) => signal.recv().await,
        Err(_) => std::future::pending().await,
    };
    // What is being answered when it is told to stop is still answered.
    let stop = async move {
        tokio::select! {
            _ = told(unix::SignalKind::terminate()) => {}
            _ = told(unix::SignalKind::interrupt()) => {}
        }
        tracing::info!("stopping");
    };
    axum::serve(listener, pages::router(Arc::new(application)))
        .with_graceful_shutdown(stop)
        .await
        .map_err(|error| error.to_string())
}

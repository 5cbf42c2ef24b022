//! Notes in the managed database, reached over TLS only, by a certificate that is verified.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{Config, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::Serialize;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::settings::Settings;

/// How long a request waits for the database before it is answered without.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest note, in characters.
pub(crate) const LONGEST: usize = 1000;

/// A note.
#[derive(Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) id: i64,
    pub(crate) text: String,
    /// When it was written, by the database's clock, as PostgreSQL writes it.
    pub(crate) written_at: String,
}

/// How the application reaches its database.
#[derive(Debug, Serialize)]
pub(crate) struct Connection {
    /// Whom it is signed in as.
    pub(crate) user: String,
    /// The server's address as the server sees it.
    pub(crate) server: Option<String>,
    /// Likewise ours.
    pub(crate) client: Option<String>,
    /// Such as `TLSv1.3`.
    pub(crate) tls: Option<String>,
    pub(crate) cipher: Option<String>,
}

/// The database does not answer, or not as it should.
#[derive(Debug, thiserror::Error)]
#[error("the database is unavailable: {0}")]
pub(crate) struct Unavailable(String);

/// The database.
pub(crate) struct Database {
    pool: Pool,
}

impl Database {
    /// The one of these settings. Nothing is connected to yet.
    ///
    /// # Errors
    /// When its certificate cannot be read.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(settings.database_certificate.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("DATABASE_CA_CERTIFICATE is no PEM: {error}"))?;
            roots.add(certificate).map_err(|error| format!("DATABASE_CA_CERTIFICATE is not to be trusted: {error}"))?;
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut server = tokio_postgres::Config::new();
        server
            .host(&settings.database_host)
            .port(settings.database_port)
            .dbname(&settings.database_name)
            .user(&settings.database_user)
            .password(&settings.database_password)
            .application_name("stackproof-app")
            .connect_timeout(PATIENCE)
            .ssl_mode(SslMode::Require);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let manager = Manager::from_config(server, MakeRustlsConnect::new(tls), recycling);
        let timeouts = Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
        let pool = Pool::builder(manager)
            .max_size(Config::default().get_pool_config().max_size.min(8))
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { pool })
    }

    async fn client(&self) -> Result<deadpool_postgres::Client, Unavailable> {
        let client = self.pool.get().await.map_err(|error| Unavailable(told(&error)))?;
        let table = "CREATE TABLE IF NOT EXISTS notes (
            id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            text TEXT NOT NULL,
            written_at TIMESTAMPTZ NOT NULL DEFAULT now()
        )";
        let there = client.query_opt("SELECT 1 FROM pg_tables WHERE tablename = 'notes'", &[]).await;
        if there.map_err(|error| Unavailable(told(&error)))?.is_none() {
            client.batch_execute(table).await.map_err(|error| Unavailable(told(&error)))?;
        }
        Ok(client)
    }

    /// Keeps a note; once it is returned it is committed.
    pub(crate) async fn write(&self, text: &str) -> Result<Note, Unavailable> {
        let statement = "INSERT INTO notes (text) VALUES ($1) RETURNING id, text, written_at::text";
        let row = self.client().await?.query_one(statement, &[&text]).await;
        row.map(|row| note(&row)).map_err(|error| Unavailable(told(&error)))
    }

    /// The latest notes, newest first, a hundred at most.
    pub(crate) async fn read(&self) -> Result<Vec<Note>, Unavailable> {
        let statement = "SELECT id, text, written_at::text FROM notes ORDER BY id DESC LIMIT 100";
        let rows = self.client().await?.query(statement, &[]).await;
        rows.map(|rows| rows.iter().map(note).collect()).map_err(|error| Unavailable(told(&error)))
    }

    /// How it is connected to.
    pub(crate) async fn connection(&self) -> Result<Connection, Unavailable> {
        let statement = "SELECT session_user::text, host(inet_server_addr()), host(inet_client_addr()), version, cipher
            FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let row = self.client().await?.query_one(statement, &[]).await;
        let row = row.map_err(|error| Unavailable(told(&error)))?;
        Ok(Connection { user: row.get(0), server: row.get(1), client: row.get(2), tls: row.get(3), cipher: row.get(4) })
    }
}

fn note(row: &tokio_postgres::Row) -> Note {
    Note { id: row.get(0), text: row.get(1), written_at: row.get(2) }
}

/// An error with everything that caused it.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

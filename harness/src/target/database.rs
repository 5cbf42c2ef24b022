//! A client of a PostgreSQL database, as any user could write it: TLS, its certificate verified.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_postgres::{
    Client, SimpleQueryMessage,
    config::{Config, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Failure;

/// How long a login may take (NFR-011).
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a database is, and who logs in.
#[derive(Clone)]
pub struct Login {
    /// The name or address that the certificate has to name.
    pub host: String,
    /// Where the connection is made, if not there: a tunnel's address.
    pub through: Option<std::net::SocketAddr>,
    /// The port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The database.
    pub database: String,
    /// What the server's certificate has to be signed with, as PEM.
    pub certificate: String,
}

impl Login {
    /// Logs in.
    ///
    /// # Errors
    /// What the network, TLS or the server said.
    async fn open(&self) -> Result<Client, Failure> {
        let failed = |why: String| {
            Failure::failed(format!("{} cannot log in to database {} at {}", self.user, self.database, self.host))
                .because(why)
        };
        let mut config = Config::new();
        config.user(&self.user).password(&self.password).dbname(&self.database);
        config.ssl_mode(SslMode::Require).connect_timeout(TIMEOUT);
        config.host(&self.host).port(self.through.map_or(self.port, |through| through.port()));
        if let Some(through) = self.through {
            config.hostaddr(through.ip());
        }
        let tls = self.tls().map_err(failed)?;
        let opened = tokio::time::timeout(TIMEOUT, config.connect(tls)).await;
        let opened = opened.map_err(|_| failed(format!("no answer in {} s", TIMEOUT.as_secs())))?;
        let (client, connection) = opened.map_err(|error| failed(told(&error)))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a database ended");
            }
        });
        Ok(client)
    }

    /// Trusts the given certificate only, and looks at the name.
    fn tls(&self) -> Result<MakeRustlsConnect, String> {
        crate::tls::install();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.certificate.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("the certificate is none: {error}"))?;
            roots.add(certificate).map_err(|error| format!("the certificate cannot be trusted: {error}"))?;
        }
        Ok(MakeRustlsConnect::new(
            ClientConfig::builder().with_root_certificates(Arc::new(roots)).with_no_client_auth(),
        ))
    }

    /// The rows that a query gives, as texts; NULL is an empty one.
    ///
    /// # Errors
    /// What the network, TLS or the server said.
    pub async fn query(&self, query: &str) -> Result<Vec<Vec<String>>, Failure> {
        let client = self.open().await?;
        let answer = client.simple_query(query).await;
        let answer = answer.map_err(|error| Failure::failed(format!("{query} failed")).because(told(&error)))?;
        let rows = answer.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }
}

/// What the server said, not only that it said something.
fn told(error: &tokio_postgres::Error) -> String {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    let mut said = Vec::new();
    while let Some(one) = cause {
        said.push(one.to_string());
        cause = one.source();
    }
    said.join(": ")
}

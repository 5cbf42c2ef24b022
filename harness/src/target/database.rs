//! A client of a PostgreSQL database, as any user could write it: TLS, its certificate verified.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio_postgres::{
    Client, SimpleQueryMessage,
    config::{Config, SslMode},
    tls::MakeTlsConnect,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use super::{Environment, way};
use crate::Failure;

/// PostgreSQL's port.
const PORT: u16 = 5432;

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
    /// What the server's certificate has to be signed with, as PEM; empty: a root of the machine.
    pub certificate: String,
    /// The proxy that leads there, if one does.
    pub proxy: Option<String>,
}

impl Login {
    /// A login at an endpoint that Scaleway's API told, `postgres://host:port/database?…`, as a tool in this
    /// environment would do it with `sslmode=verify-full`.
    ///
    /// # Errors
    /// When the endpoint is none, or the roots of `SSL_CERT_FILE` cannot be read.
    pub fn at_endpoint(environment: &Environment, endpoint: &str, user: &str, password: &str) -> Result<Self, Failure> {
        let no_endpoint = || Failure::failed(format!("{endpoint} is no endpoint of a database"));
        let url = Url::parse(endpoint).map_err(|error| no_endpoint().because(error))?;
        let host = url.host_str().ok_or_else(no_endpoint)?;
        let certificate = match environment.get("SSL_CERT_FILE") {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| Failure::environment(format!("{path} cannot be read: {error}")))?,
            None => String::new(),
        };
        Ok(Self {
            host: host.to_owned(),
            through: None,
            port: url.port().unwrap_or(PORT),
            user: user.to_owned(),
            password: password.to_owned(),
            database: url.path().trim_start_matches('/').to_owned(),
            certificate,
            proxy: environment.get("HTTPS_PROXY").map(str::to_owned),
        })
    }

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
        let opened = tokio::time::timeout(TIMEOUT, self.connect(&config, tls)).await;
        opened.map_err(|_| failed(format!("no answer in {} s", TIMEOUT.as_secs())))?.map_err(failed)
    }

    async fn connect(&self, config: &Config, mut tls: MakeRustlsConnect) -> Result<Client, String> {
        if self.proxy.is_none() {
            let (client, connection) = config.connect(tls).await.map_err(|error| told(&error))?;
            tokio::spawn(see_to_its_end(connection));
            return Ok(client);
        }
        let stream = way::to(self.proxy.as_deref(), &self.host, self.port).await?;
        let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, &self.host);
        let tls = tls.map_err(|error| error.to_string())?;
        let (client, connection) = config.connect_raw(stream, tls).await.map_err(|error| told(&error))?;
        tokio::spawn(see_to_its_end(connection));
        Ok(client)
    }

    /// Trusts the given certificate only, or the machine's roots where none is, and looks at the name.
    fn tls(&self) -> Result<MakeRustlsConnect, String> {
        crate::tls::install();
        if self.certificate.is_empty() {
            let config = ClientConfig::builder().with_platform_verifier().map_err(|error| error.to_string())?;
            return Ok(MakeRustlsConnect::new(config.with_no_client_auth()));
        }
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

async fn see_to_its_end(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to a database ended");
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
